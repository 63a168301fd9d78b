// SPDX-License-Identifier: Apache-2.0
// What an encapsulating mode adds to a packet. Used by the table builder, which takes it off a
// node's MTU, and by the stage that writes it.
#pragma once

#include <rte_ip.h>
#include <rte_udp.h>

#include <cstdint>

#include "dataplane/forward/table.hpp"

namespace lf::forward {

inline constexpr uint16_t kGueSize = sizeof(rte_udp_hdr) + 4;

constexpr uint16_t overhead(Mode mode, uint8_t outer_ip_version) noexcept {
  if (mode != Mode::ipip && mode != Mode::gue) return 0;
  const size_t ip = outer_ip_version == 4 ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr);
  return static_cast<uint16_t>(ip + (mode == Mode::gue ? kGueSize : 0));
}

}  // namespace lf::forward
