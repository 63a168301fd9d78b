// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow/translate.hpp"

#include <netinet/in.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <cstring>

#include "dataplane/lcp/header.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/net/checksum.hpp"
#include "dataplane/net/unaligned.hpp"

namespace lf::flow {
namespace {

using lcp::be16;
using net::load16;
using net::store16;

constexpr uint32_t kIcmpSize = sizeof(rte_icmp_hdr);

uint64_t address_sum(const IpAddress& a) noexcept {
  return net::half_sum(a.hi) + net::half_sum(a.lo);
}

// Where the checksum of a transport header is, from its start; 0: it has none that we know.
uint32_t checksum_at(uint8_t protocol) noexcept {
  switch (protocol) {
    case IPPROTO_TCP:
      return offsetof(rte_tcp_hdr, cksum);
    case IPPROTO_UDP:
      return offsetof(rte_udp_hdr, dgram_cksum);
    default:
      return 0;
  }
}


// Writes the addresses; returns what they summed up to before and after.
struct Change {
  uint64_t before, after;
};
Change set_addresses(uint8_t* l3, uint8_t version, const IpAddress& source,
                     const IpAddress& destination, uint8_t hops) noexcept {
  IpAddress old_source, old_destination;
  net::load_addresses(l3, version, old_source, old_destination);
  const Change c{address_sum(old_source) + address_sum(old_destination),
                 address_sum(source) + address_sum(destination)};
  if (version == 4) {
    auto& ip = *reinterpret_cast<rte_ipv4_hdr*>(l3);
    ip.src_addr = net::to_ipv4(source);
    ip.dst_addr = net::to_ipv4(destination);
    ip.time_to_live = static_cast<uint8_t>(ip.time_to_live - hops);  // first byte of its word
    ip.hdr_checksum = net::updated(ip.hdr_checksum, c.before + hops, c.after);
  } else {
    auto& ip = *reinterpret_cast<rte_ipv6_hdr*>(l3);
    net::to_ipv6(source, ip.src_addr);
    net::to_ipv6(destination, ip.dst_addr);
    ip.hop_limits = static_cast<uint8_t>(ip.hop_limits - hops);
  }
  return c;
}

// A sender on a virtual port left the checksum to its NIC: only the pseudo-header is in it.
void complete_checksum(uint8_t* l3, uint8_t* l4, uint32_t size, uint8_t version, uint8_t protocol,
                       uint32_t at) noexcept {
  IpAddress source, destination;
  net::load_addresses(l3, version, source, destination);
  store16(l4 + at, 0);
  const uint64_t sum =
      net::pseudo_sum(source, destination, protocol, size) + net::sum_bytes(l4, size);
  store16(l4 + at, protocol == IPPROTO_UDP ? net::udp_checksum_of(sum) : net::checksum_of(sum));
}

}  // namespace

void translate(rte_mbuf* m, const Meta& meta, const Ends& ends) noexcept {
  uint8_t* frame = rte_pktmbuf_mtod(m, uint8_t*);
  uint8_t* l3 = frame + meta.l3_offset;
  uint8_t* l4 = frame + meta.l4_offset;
  Change c = set_addresses(l3, meta.ip_version, ends.source, ends.destination, 1);
  c.before += uint64_t{load16(l4)} + load16(l4 + 2);
  c.after += uint64_t{ends.source_port} + ends.destination_port;
  store16(l4, ends.source_port);
  store16(l4 + 2, ends.destination_port);
  const uint8_t protocol = meta.flow_protocol;
  const uint32_t at = checksum_at(protocol);
  if ((m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE) [[unlikely]] {
    m->ol_flags &= ~RTE_MBUF_F_RX_L4_CKSUM_MASK;
    return complete_checksum(l3, l4, m->data_len - meta.l4_offset, meta.ip_version, protocol, at);
  }
  const uint16_t old = load16(l4 + at);
  if (protocol == IPPROTO_UDP && old == 0) return;  // the sender made none
  const uint16_t sum = net::updated(old, c.before, c.after);
  store16(l4 + at, protocol == IPPROTO_UDP && sum == 0 ? 0xffff : sum);
}

bool translate_error(rte_mbuf* m, const Meta& meta, const IpAddress& source,
                     const IpAddress& destination, const Ends& quoted) noexcept {
  uint8_t* frame = rte_pktmbuf_mtod(m, uint8_t*);
  uint8_t* l3 = frame + meta.l3_offset;
  uint8_t* l4 = frame + meta.l4_offset;
  const bool v4 = meta.ip_version == 4;
  const uint32_t size = m->data_len - meta.l4_offset;
  const auto sum = [&]() noexcept {
    IpAddress from, to;
    net::load_addresses(l3, meta.ip_version, from, to);
    return net::sum_bytes(l4, size) + (v4 ? 0 : net::pseudo_sum(from, to, IPPROTO_ICMPV6, size));
  };
  if (!net::is_right(sum())) return false;
  uint8_t* inner = l4 + kIcmpSize;
  uint8_t* ports = inner + (v4 ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr));
  Change c = set_addresses(inner, meta.ip_version, quoted.source, quoted.destination, 0);
  c.before += uint64_t{load16(ports)} + load16(ports + 2);
  c.after += uint64_t{quoted.source_port} + quoted.destination_port;
  store16(ports, quoted.source_port);
  store16(ports + 2, quoted.destination_port);
  const uint32_t at = checksum_at(meta.flow_protocol);
  const auto quoted_size = static_cast<uint32_t>(frame + m->data_len - ports);
  if (at != 0 && at + 2 <= quoted_size && load16(ports + at) != 0)
    store16(ports + at, net::updated(load16(ports + at), c.before, c.after));
  set_addresses(l3, meta.ip_version, source, destination, 1);
  constexpr uint32_t kAt = offsetof(rte_icmp_hdr, icmp_cksum);
  store16(l4 + kAt, 0);
  store16(l4 + kAt, net::checksum_of(sum()));
  return true;
}

void clamp_mss(rte_mbuf* m, const Meta& meta, uint16_t mss) noexcept {
  uint8_t* l4 = rte_pktmbuf_mtod_offset(m, uint8_t*, meta.l4_offset);
  auto& tcp = *reinterpret_cast<rte_tcp_hdr*>(l4);
  const uint32_t header = (tcp.data_off >> 4) * 4u;
  if (!(tcp.tcp_flags & RTE_TCP_SYN_FLAG) || header > uint32_t{m->data_len} - meta.l4_offset)
    return;
  for (uint32_t at = sizeof(tcp); at + 4 <= header;) {
    const uint8_t kind = l4[at];
    if (kind == 0) return;
    if (kind == 1) {
      ++at;
      continue;
    }
    const uint8_t length = l4[at + 1];
    if (length < 2) return;
    if (kind == 2 && length == 4) {
      const auto asked = static_cast<uint16_t>(l4[at + 2] << 8 | l4[at + 3]);
      if (asked <= mss) return;
      // The option may begin at an odd byte: sums are taken over the words that it lies in.
      const uint32_t first = (at + 2) & ~1u;
      const uint32_t words = first == at + 2 ? 2 : 4;
      const uint64_t before = net::sum_bytes(l4 + first, words);
      l4[at + 2] = static_cast<uint8_t>(mss >> 8);
      l4[at + 3] = static_cast<uint8_t>(mss);
      tcp.cksum = net::updated(tcp.cksum, before, net::sum_bytes(l4 + first, words));
      return;
    }
    at += length;
  }
}

}  // namespace lf::flow
