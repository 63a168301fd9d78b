// SPDX-License-Identifier: Apache-2.0
// The way back to a client: what the ledger keeps of a command's sender, and what rewrite needs to
// send the node's reply there. Taken from the frame before it is rewritten. The source MAC of the
// reply is that of `out_port`, so it is not kept here.
#pragma once

#include <rte_ether.h>
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
inline constexpr size_t kClientBytes = offsetof(Client, ip_version) + 1;  // without padding
static_assert(kClientBytes == 46);

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

// The same as words, as they lie in memory, the padding 0: made in registers, for the ledger's
// flights.
inline void client_words(const rte_mbuf* m, const Meta& meta, uint64_t words[6]) noexcept {
  const auto* frame = rte_pktmbuf_mtod(m, const uint8_t*);
  IpAddress address, local;
  net::load_addresses(frame + meta.l3_offset, meta.ip_version, address, local);
  uint32_t ports;  // source, destination
  uint64_t macs;   // end of the destination, source
  std::memcpy(&ports, frame + meta.l4_offset, sizeof ports);
  std::memcpy(&macs, frame + 2 * RTE_ETHER_ADDR_LEN - sizeof macs, sizeof macs);
  const uint64_t mac = macs >> 16;
  words[0] = address.hi;
  words[1] = address.lo;
  words[2] = local.hi;
  words[3] = local.lo;
  words[4] = ports | mac << 32;
  words[5] = mac >> 32 | uint64_t{meta.vlan_tci} << 16 | uint64_t{meta.in_port} << 32 |
             uint64_t{meta.ip_version} << 40;
}
static_assert(offsetof(Client, port) == 32 && offsetof(Client, mac) == 36 &&
              offsetof(Client, vlan_tci) == 42 && offsetof(Client, out_port) == 44);

}  // namespace lf::rewrite
