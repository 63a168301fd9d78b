// SPDX-License-Identifier: Apache-2.0
// Where a packet's headers are, as one number: the four bytes lie together in Meta.
#pragma once

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/core/burst.hpp"

namespace lf::net {

static_assert(offsetof(Meta, l4_offset) == offsetof(Meta, l3_offset) + 1 &&
              offsetof(Meta, lcp_offset) == offsetof(Meta, l3_offset) + 2 &&
              offsetof(Meta, ip_version) == offsetof(Meta, l3_offset) + 3);

inline uint32_t offsets_of(const Meta& meta) noexcept {
  uint32_t offsets;
  std::memcpy(&offsets, &meta.l3_offset, sizeof offsets);
  return offsets;
}

constexpr uint32_t make_offsets(uint8_t l3, uint8_t l4, uint8_t lcp, uint8_t ip_version) noexcept {
  return l3 | uint32_t{l4} << 8 | uint32_t{lcp} << 16 | uint32_t{ip_version} << 24;
}

// LCP in UDP in IPv4 without options in an untagged frame.
inline constexpr uint8_t kUsualIp = sizeof(rte_ether_hdr);
inline constexpr uint8_t kUsualUdp = kUsualIp + sizeof(rte_ipv4_hdr);
inline constexpr uint8_t kUsualLcp = kUsualUdp + sizeof(rte_udp_hdr);
inline constexpr uint32_t kUsualOffsets = make_offsets(kUsualIp, kUsualUdp, kUsualLcp, 4);

}  // namespace lf::net
