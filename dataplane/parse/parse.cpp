// SPDX-License-Identifier: Apache-2.0
#include "dataplane/parse/parse.hpp"

#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_prefetch.h>
#include <rte_udp.h>

#include "dataplane/lcp/check.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/net/checksum.hpp"

namespace lf::parse {
namespace {

using lcp::be16;
using lcp::be32;
using lcp::be64;

constexpr uint16_t kIpv4 = be16(RTE_ETHER_TYPE_IPV4);
constexpr uint16_t kIpv6 = be16(RTE_ETHER_TYPE_IPV6);
constexpr uint16_t kVlan = be16(RTE_ETHER_TYPE_VLAN);
constexpr uint16_t kQinq = be16(RTE_ETHER_TYPE_QINQ);
constexpr uint32_t kUdpSize = sizeof(rte_udp_hdr);

// One frame while it is looked at.
struct Frame {
  const net::Port& port;
  rte_mbuf* mbuf;
  const uint8_t* data;
  uint32_t length;
  bool to_port_mac;  // unicast to the port, or the port's MAC address is not known
};

uint16_t load16(const uint8_t* p) noexcept {
  uint16_t v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}

Verdict to_exception(Meta& meta) noexcept {
  meta.kind = Kind::exception;
  return Verdict::none;
}

// Fills in what the stages read of the LCP header and checks it.
Verdict parse_lcp(const Table& t, const Endpoint& endpoint, const uint8_t* bytes, uint32_t length,
                  uint8_t ttl, Meta& meta) noexcept {
  const auto* h = reinterpret_cast<const lcp::Header*>(bytes);
  if (const Verdict v = lcp::check_header(h, length); v != Verdict::none) [[unlikely]]
    return v;
  const auto type = static_cast<lcp::Type>(h->type);
  const IntentIndex intent = t.intent_index[h->intent];
  meta.lcp = const_cast<lcp::Header*>(h);
  meta.deadline_us = be64(h->deadline_us);
  meta.org_id = be32(h->org_id);
  meta.operator_id = be32(h->operator_id);
  meta.target_id = be32(h->target_id);
  meta.payload_length = static_cast<uint16_t>(length - sizeof(lcp::Header));
  meta.key_id = be16(h->key_id);
  meta.flags = h->flags;
  meta.intent = h->intent;
  meta.severity = h->severity;
  meta.attempt = h->attempt;
  meta.intent_index = intent;
  meta.service = endpoint.service[intent];
  meta.replayable = t.replayable >> intent & 1;
  if (type == lcp::Type::command) [[likely]] {
    meta.kind = Kind::command;
    if (!endpoint.takes_commands) [[unlikely]]
      return Verdict::udp_port;
    return ttl <= 1 ? Verdict::ttl_expired : Verdict::none;
  }
  switch (type) {
    case lcp::Type::reply:
      meta.kind = Kind::reply;
      return ttl <= 1 ? Verdict::ttl_expired : Verdict::none;
    case lcp::Type::approval:
      meta.kind = Kind::approval;
      break;
    case lcp::Type::report:
      meta.kind = Kind::report;
      break;
    case lcp::Type::probe:
      meta.kind = Kind::probe;
      break;
    default:
      meta.kind = Kind::probe_reply;
  }
  return Verdict::none;
}

// The datagram in `size` bytes at meta.l4_offset; its IP header has been checked.
Verdict parse_udp(const Table& t, const Frame& f, const Endpoint& endpoint, uint64_t addresses_sum,
                  uint32_t size, uint8_t ttl, Meta& meta) noexcept {
  if (size < kUdpSize) [[unlikely]]
    return Verdict::udp_truncated;
  const uint8_t* l4 = f.data + meta.l4_offset;
  const auto* udp = reinterpret_cast<const rte_udp_hdr*>(l4);
  if (be16(udp->dgram_len) != size) [[unlikely]]
    return Verdict::udp_length;
  if (udp->dgram_cksum == 0) [[unlikely]] {
    if (meta.ip_version == 6) return Verdict::udp_checksum;
  } else {
    const uint64_t seen = f.mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
    if (f.port.rx_udp_checksum && seen != RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN) {
      // NONE: a virtual port's sender left the sum to its NIC; the data itself is intact.
      if (seen == RTE_MBUF_F_RX_L4_CKSUM_BAD) [[unlikely]]
        return Verdict::udp_checksum;
    } else {
      const uint64_t sum =
          addresses_sum + (IPPROTO_UDP << 8) + udp->dgram_len + net::sum_bytes(l4, size);
      if (net::fold(sum) != 0xffff) [[unlikely]]
        return Verdict::udp_checksum;
    }
  }
  const uint32_t end = meta.l4_offset + size;
  if (end != f.length) [[unlikely]]  // Ethernet padding
    f.mbuf->data_len = static_cast<uint16_t>(f.mbuf->pkt_len = end);
  meta.lcp_offset = static_cast<uint8_t>(meta.l4_offset + kUdpSize);
  return parse_lcp(t, endpoint, l4 + kUdpSize, size - kUdpSize, ttl, meta);
}

bool bad_ipv4_checksum(const Frame& f, const rte_ipv4_hdr* ip) noexcept {
  const uint64_t seen = f.mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
  if (f.port.rx_ip_checksum && seen != RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN)
    return seen == RTE_MBUF_F_RX_IP_CKSUM_BAD;
  return net::fold(net::ipv4_header_sum(ip)) != 0xffff;
}

Verdict parse_ipv4(const Table& t, const Frame& f, Meta& meta) noexcept {
  const auto* ip = reinterpret_cast<const rte_ipv4_hdr*>(f.data + meta.l3_offset);
  const uint32_t room = f.length - meta.l3_offset;
  meta.ip_version = 4;
  if (room < sizeof(*ip)) [[unlikely]]
    return Verdict::ip_truncated;
  if (ip->version_ihl >> 4 != 4) [[unlikely]]
    return Verdict::ip_version;
  const uint32_t header = (ip->version_ihl & 0x0f) * 4u;
  const uint32_t total = be16(ip->total_length);
  if (header < sizeof(*ip)) [[unlikely]]
    return Verdict::ip_options;
  if (total < header || total > room) [[unlikely]]
    return Verdict::ip_truncated;
  meta.l4_offset = static_cast<uint8_t>(meta.l3_offset + header);

  const auto* udp = reinterpret_cast<const rte_udp_hdr*>(f.data + meta.l4_offset);
  const IpAddress destination = net::from_ipv4(ip->dst_addr);
  const bool fragment = ip->fragment_offset & be16(0x3fff);  // more fragments, or an offset
  const bool has_ports = ip->next_proto_id == IPPROTO_UDP && !fragment && total >= header + 4;
  const Endpoint* endpoint =
      has_ports && f.to_port_mac ? find_endpoint(t, destination, udp->dst_port, 4) : nullptr;
  if (!endpoint && (!f.to_port_mac || !find_own(t, destination))) return to_exception(meta);

  if (header != sizeof(*ip)) [[unlikely]]
    return Verdict::ip_options;
  if (fragment) [[unlikely]]
    return Verdict::ip_fragment;
  if (bad_ipv4_checksum(f, ip)) [[unlikely]]
    return Verdict::ip_checksum;
  if (!net::is_ipv4_source(ip->src_addr) || find_own(t, net::from_ipv4(ip->src_addr))) [[unlikely]]
    return Verdict::ip_source;
  if (!endpoint) {
    if (ip->next_proto_id == IPPROTO_UDP && total < header + kUdpSize)
      return Verdict::udp_truncated;
    return to_exception(meta);
  }
  return parse_udp(t, f, *endpoint, uint64_t{ip->src_addr} + ip->dst_addr, total - header,
                   ip->time_to_live, meta);
}

// Next headers that say that another header comes before the upper layer.
bool is_extension(uint8_t next_header) noexcept {
  switch (next_header) {
    case IPPROTO_HOPOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_FRAGMENT:
    case IPPROTO_AH:
    case IPPROTO_DSTOPTS:
    case IPPROTO_MH:
    case 139:  // HIP
    case 140:  // Shim6
      return true;
    default:
      return false;
  }
}

Verdict parse_ipv6(const Table& t, const Frame& f, Meta& meta) noexcept {
  const auto* ip = reinterpret_cast<const rte_ipv6_hdr*>(f.data + meta.l3_offset);
  const uint32_t room = f.length - meta.l3_offset;
  meta.ip_version = 6;
  if (room < sizeof(*ip)) [[unlikely]]
    return Verdict::ip_truncated;
  if ((f.data[meta.l3_offset] >> 4) != 6) [[unlikely]]
    return Verdict::ip_version;
  const uint32_t payload = be16(ip->payload_len);
  if (payload > room - sizeof(*ip)) [[unlikely]]
    return Verdict::ip_truncated;
  meta.l4_offset = static_cast<uint8_t>(meta.l3_offset + sizeof(*ip));

  const auto* udp = reinterpret_cast<const rte_udp_hdr*>(f.data + meta.l4_offset);
  const IpAddress destination = net::from_ipv6(ip->dst_addr);
  const bool has_ports = ip->proto == IPPROTO_UDP && payload >= 4;
  const Endpoint* endpoint =
      has_ports && f.to_port_mac ? find_endpoint(t, destination, udp->dst_port, 6) : nullptr;
  if (!endpoint) {
    if (!f.to_port_mac || net::is_ipv4(destination) || !find_own(t, destination))
      return to_exception(meta);
    if (is_extension(ip->proto)) return Verdict::ip_extension;
  }
  const IpAddress source = net::from_ipv6(ip->src_addr);
  if (!net::is_ipv6_source(source) || find_own(t, source)) [[unlikely]]
    return Verdict::ip_source;
  if (!endpoint) {
    if (ip->proto == IPPROTO_UDP && payload < kUdpSize) return Verdict::udp_truncated;
    return to_exception(meta);
  }
  const uint64_t addresses = net::half_sum(source.hi) + net::half_sum(source.lo) +
                             net::half_sum(destination.hi) + net::half_sum(destination.lo);
  return parse_udp(t, f, *endpoint, addresses, payload, ip->hop_limits, meta);
}

// A VLAN tag, or what is neither IPv4 nor IPv6.
Verdict parse_other(const Table& t, Frame& f, uint16_t ether_type, Meta& meta) noexcept {
  if (ether_type == kVlan) {
    if (f.length < sizeof(rte_ether_hdr) + sizeof(rte_vlan_hdr)) return Verdict::eth_truncated;
    meta.vlan_tci = be16(load16(f.data + sizeof(rte_ether_hdr)));
    meta.l3_offset = sizeof(rte_ether_hdr) + sizeof(rte_vlan_hdr);
    ether_type = load16(f.data + sizeof(rte_ether_hdr) + 2);
    if (ether_type == kVlan || ether_type == kQinq) return Verdict::vlan_stacked;
    if (f.port.vlan_tci && (f.port.vlan_tci ^ meta.vlan_tci) & 0x0fff) return Verdict::not_ours;
    if (ether_type == kIpv4) return parse_ipv4(t, f, meta);
    if (ether_type == kIpv6) return parse_ipv6(t, f, meta);
  } else if (ether_type == kQinq) {
    return Verdict::vlan_stacked;
  }
  return to_exception(meta);
}

Verdict parse_frame(const Table& t, rte_mbuf* m, Meta& meta) noexcept {
  if (m->port >= kPortsMax) [[unlikely]]
    return Verdict::not_ours;
  meta.in_port = static_cast<uint8_t>(m->port);
  Frame f{t.ports[m->port], m, rte_pktmbuf_mtod(m, const uint8_t*), m->data_len, false};
  if (m->nb_segs != 1) [[unlikely]]
    return Verdict::segmented;
  if (f.length < sizeof(rte_ether_hdr)) [[unlikely]]
    return Verdict::eth_truncated;
  meta.l3_offset = sizeof(rte_ether_hdr);
  if (f.port.kernel_of != net::kNoPort) [[unlikely]]
    return to_exception(meta);
  const uint64_t port_mac = net::mac48(&f.port.mac);
  f.to_port_mac = port_mac == 0 || net::mac48(f.data) == port_mac;
  if (!f.to_port_mac && !(f.data[0] & RTE_ETHER_GROUP_ADDR)) [[unlikely]]
    return Verdict::not_ours;
  const uint16_t ether_type = load16(f.data + 2 * RTE_ETHER_ADDR_LEN);
  const bool tagged = ether_type == kVlan;
  if (!tagged && f.port.vlan_tci & 0x0fff) [[unlikely]]
    return Verdict::not_ours;
  if (ether_type == kIpv4) [[likely]]
    return parse_ipv4(t, f, meta);
  if (ether_type == kIpv6) return parse_ipv6(t, f, meta);
  return parse_other(t, f, ether_type, meta);
}

void sort(Sorted& out, uint32_t i, Kind kind) noexcept {
  switch (kind) {
    case Kind::command:
      return out.commands.add(i);
    case Kind::reply:
      return out.replies.add(i);
    case Kind::approval:
      return out.approvals.add(i);
    case Kind::report:
      return out.reports.add(i);
    case Kind::probe:
      return out.probes.add(i);
    case Kind::probe_reply:
      return out.probe_replies.add(i);
    default:
      return out.exceptions.add(i);
  }
}

void clear(Sorted& out) noexcept {
  for (Selection* s : {&out.commands, &out.replies, &out.approvals, &out.reports, &out.probes,
                       &out.probe_replies, &out.exceptions})
    s->count = 0;
}

constexpr uint32_t kAhead = 4;  // packets whose headers are on their way into the cache

void prefetch(const rte_mbuf* m) noexcept {
  const auto* data = rte_pktmbuf_mtod(m, const uint8_t*);
  rte_prefetch0(data);
  rte_prefetch0(data + kCacheLine);
}

}  // namespace

void run(const Table& table, State&, Burst& burst, Sorted& out, Tsc) noexcept {
  clear(out);
  for (uint32_t i = 0; i < kAhead && i < burst.count; ++i) prefetch(burst.packets[i]);
  for (uint32_t i = 0; i < burst.count; ++i) {
    if (i + kAhead < burst.count) prefetch(burst.packets[i + kAhead]);
    Meta& meta = burst.meta[i];
    const Origin origin = meta.origin;
    meta = Meta{};
    meta.origin = origin;
    const Verdict v = parse_frame(table, burst.packets[i], meta);
    meta.verdict = v;
    if (v == Verdict::none) [[likely]]
      sort(out, i, meta.kind);
  }
}

}  // namespace lf::parse
