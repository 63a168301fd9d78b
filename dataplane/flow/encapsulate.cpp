// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow/encapsulate.hpp"

#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <cstring>

#include "dataplane/forward/overhead.hpp"
#include "dataplane/lcp/header.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/net/checksum.hpp"
#include "dataplane/net/link.hpp"

namespace lf::flow {
namespace {

using lcp::be16;
using lcp::be32;

constexpr uint8_t kTtl = 64;
constexpr uint16_t kEphemeral = 0xc000;  // first of the ports that nobody listens on

// What the inner packet hands on to the outer header.
struct Inner {
  uint8_t protocol;  // IPPROTO_IPIP or IPPROTO_IPV6
  uint8_t tos;
  uint16_t size;
};

Inner read_inner(const uint8_t* l3, uint8_t version, uint32_t size) noexcept {
  if (version == 4) return {IPPROTO_IPIP, l3[1], static_cast<uint16_t>(size)};
  const auto tos = static_cast<uint8_t>(l3[0] << 4 | l3[1] >> 4);
  return {IPPROTO_IPV6, tos, static_cast<uint16_t>(size)};
}

IpAddress source_for(const Outer& outer, const forward::Node& node, uint64_t hash) noexcept {
  if (outer.source == IpAddress{}) return node.source;
  const uint64_t other = hash * 0x9e3779b97f4a7c15;
  return {outer.source.hi | (other & outer.vary.hi), outer.source.lo | (hash & outer.vary.lo)};
}

// Made and summed in registers: the headroom's line may be on its way still, and a look at what has
// just been written there would wait for it.
void write_ipv4(uint8_t* at, const Inner& inner, uint8_t protocol, uint16_t size,
                const IpAddress& source, const IpAddress& destination) noexcept {
  const uint16_t total = be16(static_cast<uint16_t>(sizeof(rte_ipv4_hdr) + size));
  const uint64_t first = RTE_IPV4_VHL_DEF | uint64_t{inner.tos} << 8 | uint64_t{total} << 16 |
                         uint64_t{be16(RTE_IPV4_HDR_DF_FLAG)} << 48;
  uint64_t second = kTtl | uint64_t{protocol} << 8 | uint64_t{net::to_ipv4(source)} << 32;
  const uint32_t third = net::to_ipv4(destination);
  const uint64_t sum = net::half_sum(first) + net::half_sum(second) + third;
  second |= uint64_t{net::checksum_of(sum)} << 16;
  std::memcpy(at, &first, 8);
  std::memcpy(at + 8, &second, 8);
  std::memcpy(at + 16, &third, 4);
}

void write_ipv6(uint8_t* at, const Inner& inner, uint8_t protocol, uint16_t size,
                const IpAddress& source, const IpAddress& destination, uint64_t hash) noexcept {
  auto& ip = *reinterpret_cast<rte_ipv6_hdr*>(at);
  const auto label = static_cast<uint32_t>(hash >> 12) & 0xfffff;
  ip.vtc_flow = be32(6u << 28 | uint32_t{inner.tos} << 20 | label);
  ip.payload_len = be16(size);
  ip.proto = protocol;
  ip.hop_limits = kTtl;
  net::to_ipv6(source, ip.src_addr);
  net::to_ipv6(destination, ip.dst_addr);
}

// UDP and GUE in front of the inner packet. Over IPv4 UDP needs no checksum; over IPv6 it does.
void write_gue(uint8_t* at, const Inner& inner, uint16_t port, uint64_t hash, const uint8_t* l3,
               uint8_t version) noexcept {
  auto& udp = *reinterpret_cast<rte_udp_hdr*>(at);
  udp.src_port = be16(static_cast<uint16_t>(kEphemeral | (hash & 0x3fff)));
  udp.dst_port = port;
  udp.dgram_len = be16(static_cast<uint16_t>(forward::kGueSize + inner.size));
  udp.dgram_cksum = 0;
  uint8_t* gue = at + sizeof(udp);
  gue[0] = 0;  // version 0, a payload, no options
  gue[1] = inner.protocol;
  gue[2] = gue[3] = 0;
  if (version == 6) net::set_udp_checksum(l3, version, udp);
}

}  // namespace

bool encapsulate(rte_mbuf* m, Meta& meta, const Outer& outer, const forward::Node& node,
                 uint64_t hash) noexcept {
  const uint16_t added = forward::overhead(outer.mode, node.ip_version);
  const uint8_t link = node.vlan_tci ? net::kEtherSize + net::kTagSize : net::kEtherSize;
  if (rte_pktmbuf_headroom(m) + meta.l3_offset < added + link) return false;
  const bool gue = outer.mode == forward::Mode::gue;
  const uint32_t inner_size = m->data_len - meta.l3_offset;
  const Inner inner =
      read_inner(rte_pktmbuf_mtod_offset(m, uint8_t*, meta.l3_offset), meta.ip_version, inner_size);
  rte_pktmbuf_adj(m, meta.l3_offset);
  auto* l3 = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(m, added));
  rte_pktmbuf_prepend(m, net::kEtherSize);
  meta.l3_offset = net::kEtherSize;
  meta.ip_version = node.ip_version;
  const uint8_t protocol = gue ? uint8_t{IPPROTO_UDP} : inner.protocol;
  const IpAddress source = source_for(outer, node, hash);
  const auto ip_size =
      static_cast<uint16_t>(node.ip_version == 4 ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr));
  const auto size = static_cast<uint16_t>(inner.size + added - ip_size);
  if (node.ip_version == 4) {
    write_ipv4(l3, inner, protocol, size, source, node.address);
  } else {
    write_ipv6(l3, inner, protocol, size, source, node.address, hash);
  }
  meta.l4_offset = static_cast<uint8_t>(meta.l3_offset + ip_size);
  if (gue) write_gue(l3 + ip_size, inner, outer.gue_port, hash, l3, node.ip_version);
  net::set_link(m, meta, node.mac, node.source_mac, node.vlan_tci);
  return true;
}

}  // namespace lf::flow
