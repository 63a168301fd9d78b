// SPDX-License-Identifier: Apache-2.0
// Writes the Ethernet header of a frame that is sent on, with a VLAN tag or without one, and keeps
// the packet's metadata true. Called by stages on workers.
#pragma once

#include <rte_ether.h>
#include <rte_mbuf.h>

#include <cassert>
#include <cstdint>
#include <cstring>

#include "dataplane/core/burst.hpp"
#include "dataplane/lcp/header.hpp"
#include "dataplane/net/offsets.hpp"

namespace lf::net {

// Writes a link header with the tag `vlan_tci` (0: none) and returns what is behind it.
inline uint8_t* write_link(uint8_t* frame, const rte_ether_addr& destination,
                           const rte_ether_addr& source, uint16_t vlan_tci,
                           uint8_t ip_version) noexcept {
  const uint16_t ether_type =
      lcp::be16(ip_version == 4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
  std::memcpy(frame, &destination, RTE_ETHER_ADDR_LEN);
  std::memcpy(frame + RTE_ETHER_ADDR_LEN, &source, RTE_ETHER_ADDR_LEN);
  uint8_t* type = frame + 2 * RTE_ETHER_ADDR_LEN;
  if (vlan_tci) {
    const uint32_t tag = uint32_t{lcp::be16(RTE_ETHER_TYPE_VLAN)} | uint32_t{lcp::be16(vlan_tci)}
                                                                        << 16;
    std::memcpy(type, &tag, sizeof(tag));
    type += kTagSize;
  }
  std::memcpy(type, &ether_type, sizeof(ether_type));
  return type + sizeof(ether_type);
}

// Gives the frame a link header with the tag `vlan_tci` (0: none) and returns its new start. Only
// moves the start of the frame: pointers into the packet stay valid. The mbuf has its headroom.
inline uint8_t* set_link(rte_mbuf* m, Meta& meta, const rte_ether_addr& destination,
                         const rte_ether_addr& source, uint16_t vlan_tci) noexcept {
  if (vlan_tci == 0 && meta.l3_offset == kEtherSize) [[likely]] {  // everything stays in its place
    auto* start = rte_pktmbuf_mtod(m, uint8_t*);
    write_link(start, destination, source, 0, meta.ip_version);
    meta.vlan_tci = 0;
    return start;
  }
  const uint8_t size = vlan_tci ? kEtherSize + kTagSize : kEtherSize;
  if (size != meta.l3_offset) {
    const int grow = size - meta.l3_offset;
    [[maybe_unused]] const char* moved =
        grow > 0 ? rte_pktmbuf_prepend(m, kTagSize) : rte_pktmbuf_adj(m, kTagSize);
    assert(moved);
    meta.l3_offset = static_cast<uint8_t>(meta.l3_offset + grow);
    meta.l4_offset = static_cast<uint8_t>(meta.l4_offset + grow);
    meta.lcp_offset = static_cast<uint8_t>(meta.lcp_offset + grow);
  }
  auto* frame = rte_pktmbuf_mtod(m, uint8_t*);
  write_link(frame, destination, source, vlan_tci, meta.ip_version);
  meta.vlan_tci = vlan_tci;
  return frame;
}

// Sends a frame back to where it came from: the MAC addresses change places, a tag stays. In
// registers, as a copy through memory would wait for its own stores.
inline void swap_macs(uint8_t* frame) noexcept {
  uint64_t first;
  uint32_t last;
  std::memcpy(&first, frame, sizeof(first));
  std::memcpy(&last, frame + sizeof(first), sizeof(last));
  const uint64_t destination = first & 0xffff'ffff'ffff;
  const uint64_t source = first >> 48 | uint64_t{last} << 16;
  first = source | destination << 48;
  last = static_cast<uint32_t>(destination >> 16);
  std::memcpy(frame, &first, sizeof(first));
  std::memcpy(frame + sizeof(first), &last, sizeof(last));
}

}  // namespace lf::net
