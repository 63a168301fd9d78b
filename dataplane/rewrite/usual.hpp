// SPDX-License-Identifier: Apache-2.0
// The commands that nearly all are, to their nodes, four at a time: of one layout, which their
// nodes have too, in proxy mode. Of use to the rewrite stage alone.
#pragma once

#include <cstdint>

#include "dataplane/core/burst.hpp"
#include "dataplane/forward/table.hpp"
#include "dataplane/net/offsets.hpp"

namespace lf::rewrite {

inline constexpr uint32_t kFour = 4;

// The first of at least kFour commands: returns how many of them are done and decided forwarded.
// What is left may be too few, or be without a checksum. `ol_flags`: of those that are done, and
// maybe some more, by OR.
uint32_t to_usual_nodes(const forward::Table& table, Burst& burst, const Selection& live,
                        net::Layout layout, uint64_t& ol_flags) noexcept;

}  // namespace lf::rewrite
