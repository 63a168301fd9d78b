// SPDX-License-Identifier: Apache-2.0
// The way back to a client: what the ledger keeps of a command's sender, and what rewrite needs to
// send the node's reply there. Taken from the frame before it is rewritten. The source MAC of the
// reply is that of `out_port`, so it is not kept here.
#pragma once

#include <immintrin.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/core/burst.hpp"
#include "dataplane/net/address.hpp"

namespace lf::rewrite {

struct Client {
  IpAddress address;        // where the command came from
  IpAddress local;          // own address that it was sent to; source of the reply
  uint16_t port = 0;        // wire order
  uint16_t local_port = 0;  // wire order
  rte_ether_addr mac{};     // of the client or its gateway
  uint16_t vlan_tci = 0;    // 0: untagged
  uint8_t out_port = 0;     // DPDK port id
  uint8_t ip_version = 0;   // 0: no client on the wire (the command was submitted by control)
};
static_assert(sizeof(Client) == 48);

// The client of a parsed UDP packet that still is as it was received.
inline Client client_of(const rte_mbuf* m, const Meta& meta) noexcept {
  const auto* frame = rte_pktmbuf_mtod(m, const uint8_t*);
  const auto* udp = reinterpret_cast<const rte_udp_hdr*>(frame + meta.l4_offset);
  Client c;
  net::load_addresses(frame + meta.l3_offset, meta.ip_version, c.address, c.local);
  c.port = udp->src_port;
  c.local_port = udp->dst_port;
  std::memcpy(&c.mac, frame + RTE_ETHER_ADDR_LEN, RTE_ETHER_ADDR_LEN);
  c.vlan_tci = meta.vlan_tci;
  c.out_port = meta.in_port;
  c.ip_version = meta.ip_version;
  return c;
}

// Its two addresses as they lie in memory, made in a register for the ledger's flights.
inline __m256i client_addresses(const uint8_t* l3, uint8_t ip_version) noexcept {
  static_assert(offsetof(Client, local) == 16 && offsetof(rte_ipv6_hdr, dst_addr) == 24);
  if (ip_version != 4) [[unlikely]]
    return _mm256_loadu_si256(
        reinterpret_cast<const __m256i*>(l3 + offsetof(rte_ipv6_hdr, src_addr)));
  static_assert(offsetof(rte_ipv4_hdr, src_addr) == 12 && offsetof(rte_ipv4_hdr, dst_addr) == 16);
  const __m256i order = _mm256_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 2, 3,
                                         -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 4, 5, 6, 7);
  const __m256i mapped = _mm256_setr_epi32(0, 0, -0x10000, 0, 0, 0, -0x10000, 0);
  uint64_t pair;
  std::memcpy(&pair, l3 + offsetof(rte_ipv4_hdr, src_addr), sizeof pair);
  const __m256i both = _mm256_set1_epi64x(static_cast<int64_t>(pair));
  return _mm256_or_si256(_mm256_shuffle_epi8(both, order), mapped);
}

}  // namespace lf::rewrite
