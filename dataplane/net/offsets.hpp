// SPDX-License-Identifier: Apache-2.0
// Where a packet's headers are, as one number: the four bytes lie together in Meta. And where they
// are in the four layouts that nearly all commands have.
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

inline constexpr uint8_t kEtherSize = sizeof(rte_ether_hdr);
inline constexpr uint8_t kTagSize = sizeof(rte_vlan_hdr);

// LCP in UDP in IPv4 without options or IPv6 without extension headers, in a frame without a VLAN
// tag: offsets from its start.
template <uint8_t kIpVersion>
struct Usual {
  static constexpr uint8_t kIp = kEtherSize;
  static constexpr uint8_t kUdp =
      kIp + (kIpVersion == 4 ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr));
  static constexpr uint8_t kLcp = kUdp + sizeof(rte_udp_hdr);
};

// That, or the same behind a tag. All is then as if the frame began kTagSize later.
struct Layout {
  uint8_t ip_version = 4;
  bool tagged = false;

  constexpr bool operator==(const Layout&) const = default;

  constexpr uint32_t start() const noexcept { return tagged ? kTagSize : 0u; }
  constexpr uint32_t ip() const noexcept { return kEtherSize + start(); }
  constexpr uint32_t lcp() const noexcept {
    return start() + (ip_version == 4 ? Usual<4>::kLcp : Usual<6>::kLcp);
  }
  constexpr uint32_t offsets() const noexcept {
    return ip() | (lcp() - uint32_t{sizeof(rte_udp_hdr)}) << 8 | lcp() << 16 |
           uint32_t{ip_version} << 24;
  }
};

}  // namespace lf::net
