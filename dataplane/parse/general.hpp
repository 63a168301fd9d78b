// SPDX-License-Identifier: Apache-2.0
// The general way through the parse stage: every frame, step by step. It alone refuses packets.
// Thread: any worker.
#pragma once

#include "dataplane/core/burst.hpp"
#include "dataplane/parse/table.hpp"

namespace lf::parse {

// Fills in the metadata of one frame, which is as new. Not `none`: the frame is refused for that.
Verdict parse_frame(const Table& t, rte_mbuf* m, Meta& meta) noexcept;

}  // namespace lf::parse
