// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <rte_udp.h>

#include "dataplane/core/burst.hpp"
#include "dataplane/core/hold_end.hpp"

namespace lf::pipeline {

// Whether control submitted the command and nobody on the wire waits for its answer: batch intake
// sends from UDP port 0. A held command that is released is still known by that.
inline bool is_submitted(const Burst& burst, uint32_t i) noexcept {
  const Meta& meta = burst.meta[i];
  if (meta.origin == Origin::wire) [[likely]]
    return false;
  const auto* udp = rte_pktmbuf_mtod_offset(burst.packets[i], const rte_udp_hdr*, meta.l4_offset);
  return meta.origin == Origin::intake || (was_held(meta.origin) && udp->src_port == 0);
}

}  // namespace lf::pipeline
