// SPDX-License-Identifier: Apache-2.0
#include "dataplane/exception/too_big.hpp"

#include <netinet/in.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "dataplane/lcp/header.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/net/checksum.hpp"
#include "dataplane/net/link.hpp"
#include "dataplane/net/turn.hpp"

namespace lf::too_big {
namespace {

using lcp::be16;
using lcp::be32;

// Both messages have the type, the code, a checksum and the MTU in the last half of 8 bytes.
struct Message {
  uint8_t type, code;
  uint16_t checksum;
  uint32_t mtu;
} __attribute__((packed));

// Largest packet that a message may make: RFC 1812 4.3.2.3, RFC 4443 2.4 (c).
constexpr uint16_t kSizeMax4 = 576;
constexpr uint16_t kSizeMax6 = 1280;

void write_ipv4(uint8_t* l3, uint16_t quoted, uint16_t mtu) noexcept {
  auto& ip = *reinterpret_cast<rte_ipv4_hdr*>(l3);
  auto& message = *reinterpret_cast<Message*>(l3 + sizeof(ip));
  const auto& original = *reinterpret_cast<const rte_ipv4_hdr*>(l3 + sizeof(ip) + sizeof(message));
  const uint16_t size = static_cast<uint16_t>(sizeof(message) + quoted);
  ip = {};
  ip.version_ihl = RTE_IPV4_VHL_DEF;
  ip.total_length = be16(static_cast<uint16_t>(sizeof(ip) + size));
  ip.fragment_offset = be16(RTE_IPV4_HDR_DF_FLAG);
  ip.time_to_live = net::kOwnTtl;
  ip.next_proto_id = IPPROTO_ICMP;
  ip.src_addr = original.dst_addr;
  ip.dst_addr = original.src_addr;
  net::set_ipv4_checksum(ip);
  message = {.type = 3, .code = 4, .checksum = 0, .mtu = be32(mtu)};
  message.checksum = net::checksum_of(net::sum_bytes(&message, size));
}

void write_ipv6(uint8_t* l3, uint16_t quoted, uint16_t mtu) noexcept {
  auto& ip = *reinterpret_cast<rte_ipv6_hdr*>(l3);
  auto& message = *reinterpret_cast<Message*>(l3 + sizeof(ip));
  const auto& original = *reinterpret_cast<const rte_ipv6_hdr*>(l3 + sizeof(ip) + sizeof(message));
  const uint16_t size = static_cast<uint16_t>(sizeof(message) + quoted);
  ip.vtc_flow = be32(0x60000000);
  ip.payload_len = be16(size);
  ip.proto = IPPROTO_ICMPV6;
  ip.hop_limits = net::kOwnTtl;
  std::memcpy(ip.src_addr, original.dst_addr, sizeof(ip.src_addr));
  std::memcpy(ip.dst_addr, original.src_addr, sizeof(ip.dst_addr));
  message = {.type = 2, .code = 0, .checksum = 0, .mtu = be32(mtu)};
  message.checksum = net::checksum_of(net::pseudo_sum_ipv6(ip, IPPROTO_ICMPV6, size) +
                                      net::sum_bytes(&message, size));
}

// The packet becomes what the message quotes; false when the mbuf has no headroom left.
bool build(rte_mbuf* m, const Meta& meta, uint16_t mtu) noexcept {
  const bool v4 = meta.ip_version == 4;
  const uint16_t added =
      static_cast<uint16_t>((v4 ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr)) + sizeof(Message));
  const uint16_t quoted = std::min<uint16_t>(static_cast<uint16_t>(m->data_len - meta.l3_offset),
                                             (v4 ? kSizeMax4 : kSizeMax6) - added);
  rte_pktmbuf_trim(m, static_cast<uint16_t>(m->data_len - meta.l3_offset - quoted));
  auto* frame = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(m, added));
  if (!frame) return false;
  std::memmove(frame, frame + added, meta.l3_offset);
  net::swap_macs(frame);
  if (v4) {
    write_ipv4(frame + meta.l3_offset, quoted, mtu);
  } else {
    write_ipv6(frame + meta.l3_offset, quoted, mtu);
  }
  return true;
}

}  // namespace

void run(const forward::Table& table, const net::Ports& ports, State& state, Burst& burst,
         Selection& live, Tsc now) noexcept {
  uint16_t kept = 0;
  for (const uint8_t i : live) {
    Meta& meta = burst.meta[i];
    const bool to_node = meta.kind == Kind::command || meta.kind == Kind::flow;
    const uint16_t mtu = to_node ? table.nodes[meta.node].mtu : ports[meta.out_port].mtu;
    meta.out_port = meta.in_port;
    if (!state.limit.take(now) || !build(burst.packets[i], meta, mtu)) continue;
    live.index[kept++] = i;
  }
  live.count = kept;
}

}  // namespace lf::too_big
