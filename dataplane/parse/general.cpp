// SPDX-License-Identifier: Apache-2.0
#include "dataplane/parse/general.hpp"

#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <cstddef>

#include "dataplane/flow/classify.hpp"
#include "dataplane/lcp/check.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/net/checksum.hpp"
#include "dataplane/net/unaligned.hpp"
#include "dataplane/parse/checks.hpp"

namespace lf::parse {
namespace {

using lcp::be16;
using net::load16;

// All ways but that of a datagram for us are kept out of it.
constexpr uint16_t kIpv4 = be16(RTE_ETHER_TYPE_IPV4);
constexpr uint16_t kIpv6 = be16(RTE_ETHER_TYPE_IPV6);
constexpr uint16_t kVlan = be16(RTE_ETHER_TYPE_VLAN);
constexpr uint16_t kQinq = be16(RTE_ETHER_TYPE_QINQ);
constexpr uint16_t kFragment = be16(0x3fff);  // more fragments, or an offset
constexpr uint32_t kUdpSize = sizeof(rte_udp_hdr);
constexpr uint32_t kFragmentSize = 8;  // of the IPv6 fragment header

// One frame while it is looked at.
struct Frame {
  const Table& table;
  const net::Port& port;
  rte_mbuf* mbuf;
  const uint8_t* data;
  uint32_t length;
  uint32_t l3;       // offset of the IP header
  bool to_port_mac;  // unicast to the port, or the port's MAC address is not known
};

// What IP says of a datagram to an endpoint.
struct Datagram {
  const Endpoint& endpoint;
  uint8_t ip_version;
  uint8_t ttl;
  uint32_t l4;             // offset of the UDP header
  uint32_t size;           // of the IP payload
  uint64_t addresses_sum;  // for the pseudo-header
};

Verdict to_exception(Meta& meta) noexcept {
  meta.kind = Kind::exception;
  return Verdict::none;
}

LF_INLINE bool bad_udp_checksum(const Frame& f, const rte_udp_hdr& udp,
                                const Datagram& d) noexcept {
  if (udp.dgram_cksum == 0) [[unlikely]]
    return d.ip_version == 6;
  return bad_udp_sum(f.port, f.mbuf, [&] {
    return d.addresses_sum + (IPPROTO_UDP << 8) + udp.dgram_len + net::sum_bytes(&udp, d.size);
  });
}

// Fills in what the stages read of the LCP header, having checked it.
LF_INLINE Verdict parse_lcp(const Table& t, const Datagram& d, const uint8_t* bytes,
                            uint32_t length, Meta& meta) noexcept {
  const auto& h = *reinterpret_cast<const lcp::Header*>(bytes);
  if (const Verdict v = lcp::check_header(&h, length); v != Verdict::none) [[unlikely]]
    return v;
  const auto* ids = reinterpret_cast<const uint8_t*>(&meta) + kIds;
  take_lcp(t, d.endpoint, h, tail_of(h), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(ids)),
           meta);
  const Kind kind = meta.kind;
  if (kind == Kind::command && !d.endpoint.takes_commands) [[unlikely]]
    return Verdict::udp_port;
  if (d.ttl <= 1 && (kind == Kind::command || kind == Kind::reply)) [[unlikely]]
    return Verdict::ttl_expired;
  return Verdict::none;
}

LF_INLINE Verdict parse_udp(const Frame& f, const Datagram& d, Meta& meta) noexcept {
  const uint8_t* l4 = f.data + d.l4;
  const auto& udp = *reinterpret_cast<const rte_udp_hdr*>(l4);
  if (be16(udp.dgram_len) != d.size) [[unlikely]]
    return Verdict::udp_length;
  if (bad_udp_checksum(f, udp, d)) [[unlikely]]
    return Verdict::udp_checksum;
  const uint32_t end = d.l4 + d.size;
  if (end != f.length) [[unlikely]]  // Ethernet padding
    f.mbuf->data_len = static_cast<uint16_t>(f.mbuf->pkt_len = end);
  meta.l4_offset = static_cast<uint8_t>(d.l4);
  meta.lcp_offset = static_cast<uint8_t>(d.l4 + kUdpSize);
  return parse_lcp(f.table, d, l4 + kUdpSize, d.size - kUdpSize, meta);
}

// Whether it is a flow's. The frame then ends where the packet does.
Verdict parse_flow(const Frame& f, const flow::Transport& packet, Meta& meta) noexcept {
  const Verdict v = flow::classify(f.table, packet, meta);
  if (meta.kind == Kind::undecided) return v;
  const uint32_t end = meta.l4_offset + packet.size;
  if (end != f.length) f.mbuf->data_len = static_cast<uint16_t>(f.mbuf->pkt_len = end);
  return v;
}

// The flow service of a whole segment or datagram to exactly its port: what most packets of flows
// are. All else is for classify().
LF_INLINE const FlowAddress* flow_at_port(const Frame& f, const rte_ipv4_hdr& ip) noexcept {
  const uint32_t total = be16(ip.total_length);
  const bool tcp = ip.next_proto_id == IPPROTO_TCP;
  const uint32_t least = sizeof(ip) + (tcp ? sizeof(rte_tcp_hdr) : kUdpSize);
  if (ip.version_ihl != RTE_IPV4_VHL_DEF || (!tcp && ip.next_proto_id != IPPROTO_UDP) ||
      ip.fragment_offset & kFragment || total > f.length - f.l3 || total < least || !f.to_port_mac)
    return nullptr;
  const uint16_t port = load16(f.data + f.l3 + sizeof(ip) + offsetof(rte_udp_hdr, dst_port));
  return find_flow(f.table, net::from_ipv4(ip.dst_addr), port, ip.next_proto_id, 4);
}

LF_INLINE Verdict parse_ipv4_flow(const Frame& f, const rte_ipv4_hdr& ip, const FlowAddress& flow,
                                  Meta& meta) noexcept {
  if (bad_ipv4_checksum(f.port, f.mbuf, ip)) return Verdict::ip_checksum;
  if (bad_ipv4_source(f.table, ip.src_addr)) return Verdict::ip_source;
  meta.kind = Kind::flow;
  meta.service = flow.service;
  meta.flow_protocol = ip.next_proto_id;
  meta.l4_offset = static_cast<uint8_t>(f.l3 + sizeof(ip));
  const uint32_t end = f.l3 + be16(ip.total_length);
  if (end != f.length) f.mbuf->data_len = static_cast<uint16_t>(f.mbuf->pkt_len = end);
  return Verdict::none;
}

// All IPv4 but whole datagrams to endpoints.
LF_APART Verdict parse_ipv4_other(const Frame& f, Meta& meta) noexcept {
  const auto& ip = *reinterpret_cast<const rte_ipv4_hdr*>(f.data + f.l3);
  if (f.table.has_flows)
    if (const FlowAddress* flow = flow_at_port(f, ip)) return parse_ipv4_flow(f, ip, *flow, meta);
  const uint32_t room = f.length - f.l3;
  if (ip.version_ihl >> 4 != 4) return Verdict::ip_version;
  const uint32_t header = (ip.version_ihl & 0x0f) * 4u;
  const uint32_t total = be16(ip.total_length);
  if (header < sizeof(ip)) return Verdict::ip_options;
  if (total < header || total > room) return Verdict::ip_truncated;
  meta.l4_offset = static_cast<uint8_t>(f.l3 + header);
  if (!f.to_port_mac || !find_own(f.table, net::from_ipv4(ip.dst_addr))) return to_exception(meta);
  if (header != sizeof(ip)) return Verdict::ip_options;
  const bool fragment = ip.fragment_offset & kFragment;
  if (fragment && !f.table.has_flows) return Verdict::ip_fragment;
  if (bad_ipv4_checksum(f.port, f.mbuf, ip)) return Verdict::ip_checksum;
  if (bad_ipv4_source(f.table, ip.src_addr)) return Verdict::ip_source;
  if (f.table.has_flows) {
    const Verdict v = parse_flow(f,
                                 {f.data + meta.l4_offset, total - header,
                                  net::from_ipv4(ip.dst_addr), ip.next_proto_id, fragment},
                                 meta);
    if (v != Verdict::none || meta.kind != Kind::undecided) return v;
    if (fragment) return Verdict::ip_fragment;
  }
  if (ip.next_proto_id == IPPROTO_UDP && total < header + kUdpSize) return Verdict::udp_truncated;
  return to_exception(meta);
}

LF_INLINE Verdict parse_ipv4(const Frame& f, Meta& meta) noexcept {
  const auto& ip = *reinterpret_cast<const rte_ipv4_hdr*>(f.data + f.l3);
  const uint32_t room = f.length - f.l3;
  meta.ip_version = 4;
  if (room < sizeof(ip)) [[unlikely]]
    return Verdict::ip_truncated;
  const uint32_t total = be16(ip.total_length);
  const bool whole_datagram = ip.version_ihl == RTE_IPV4_VHL_DEF &&
                              ip.next_proto_id == IPPROTO_UDP &&
                              !(ip.fragment_offset & kFragment) && total <= room &&
                              total >= sizeof(ip) + kUdpSize && f.to_port_mac;
  if (!whole_datagram) [[unlikely]]
    return parse_ipv4_other(f, meta);
  const uint32_t l4 = f.l3 + static_cast<uint32_t>(sizeof(ip));
  const Endpoint* endpoint =
      find_endpoint(f.table, net::from_ipv4(ip.dst_addr),
                    load16(f.data + l4 + offsetof(rte_udp_hdr, dst_port)), 4);
  if (!endpoint) [[unlikely]]
    return parse_ipv4_other(f, meta);
  if (bad_ipv4_checksum(f.port, f.mbuf, ip)) [[unlikely]]
    return Verdict::ip_checksum;
  if (bad_ipv4_source(f.table, ip.src_addr)) [[unlikely]]
    return Verdict::ip_source;
  return parse_udp(f,
                   {.endpoint = *endpoint,
                    .ip_version = 4,
                    .ttl = ip.time_to_live,
                    .l4 = l4,
                    .size = total - static_cast<uint32_t>(sizeof(ip)),
                    .addresses_sum = uint64_t{ip.src_addr} + ip.dst_addr},
                   meta);
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

bool bad_ipv6_source(const Table& t, const IpAddress& source) noexcept {
  return !net::is_ipv6_source(source) || find_own(t, source);
}

// All IPv6 but datagrams to endpoints.
LF_APART Verdict parse_ipv6_other(const Frame& f, Meta& meta) noexcept {
  const auto& ip = *reinterpret_cast<const rte_ipv6_hdr*>(f.data + f.l3);
  const uint32_t room = f.length - f.l3;
  const uint32_t payload = be16(ip.payload_len);
  if (f.data[f.l3] >> 4 != 6) return Verdict::ip_version;
  if (payload > room - sizeof(ip)) return Verdict::ip_truncated;
  meta.l4_offset = static_cast<uint8_t>(f.l3 + sizeof(ip));
  const IpAddress destination = net::from_ipv6(ip.dst_addr);
  if (!f.to_port_mac || net::is_ipv4(destination) || !find_own(f.table, destination))
    return to_exception(meta);
  const bool fragment =
      ip.proto == IPPROTO_FRAGMENT && f.table.has_flows && payload >= kFragmentSize;
  if (is_extension(ip.proto) && !fragment) return Verdict::ip_extension;
  if (bad_ipv6_source(f.table, net::from_ipv6(ip.src_addr))) return Verdict::ip_source;
  if (f.table.has_flows) {
    const uint8_t* l4 = f.data + meta.l4_offset;
    const Verdict v =
        parse_flow(f, {l4, payload, destination, fragment ? *l4 : ip.proto, fragment}, meta);
    if (v != Verdict::none || meta.kind != Kind::undecided) return v;
    if (fragment) return Verdict::ip_extension;
  }
  if (ip.proto == IPPROTO_UDP && payload < kUdpSize) return Verdict::udp_truncated;
  return to_exception(meta);
}

LF_INLINE Verdict parse_ipv6(const Frame& f, Meta& meta) noexcept {
  const auto& ip = *reinterpret_cast<const rte_ipv6_hdr*>(f.data + f.l3);
  const uint32_t room = f.length - f.l3;
  meta.ip_version = 6;
  if (room < sizeof(ip)) [[unlikely]]
    return Verdict::ip_truncated;
  const uint32_t payload = be16(ip.payload_len);
  const bool datagram = f.data[f.l3] >> 4 == 6 && ip.proto == IPPROTO_UDP &&
                        payload <= room - sizeof(ip) && payload >= kUdpSize && f.to_port_mac;
  if (!datagram) [[unlikely]]
    return parse_ipv6_other(f, meta);
  const uint32_t l4 = f.l3 + static_cast<uint32_t>(sizeof(ip));
  const IpAddress source = net::from_ipv6(ip.src_addr);
  const IpAddress destination = net::from_ipv6(ip.dst_addr);
  const Endpoint* endpoint =
      find_endpoint(f.table, destination, load16(f.data + l4 + offsetof(rte_udp_hdr, dst_port)), 6);
  if (!endpoint) [[unlikely]]
    return parse_ipv6_other(f, meta);
  if (bad_ipv6_source(f.table, source)) [[unlikely]]
    return Verdict::ip_source;
  return parse_udp(f,
                   {.endpoint = *endpoint,
                    .ip_version = 6,
                    .ttl = ip.hop_limits,
                    .l4 = l4,
                    .size = payload,
                    .addresses_sum = net::half_sum(source.hi) + net::half_sum(source.lo) +
                                     net::half_sum(destination.hi) + net::half_sum(destination.lo)},
                   meta);
}

// The EtherType, behind the one VLAN tag that a frame may have.
LF_APART Verdict parse_tag(const uint8_t* frame, uint32_t length, uint16_t& ether_type,
                           Meta& meta) noexcept {
  if (ether_type == kQinq) return Verdict::vlan_stacked;
  if (length < sizeof(rte_ether_hdr) + sizeof(rte_vlan_hdr)) return Verdict::eth_truncated;
  meta.vlan_tci = be16(load16(frame + sizeof(rte_ether_hdr)));
  meta.l3_offset = sizeof(rte_ether_hdr) + sizeof(rte_vlan_hdr);
  ether_type = load16(frame + sizeof(rte_ether_hdr) + 2);
  if (ether_type == kVlan || ether_type == kQinq) return Verdict::vlan_stacked;
  return Verdict::none;
}

}  // namespace

Verdict parse_frame(const Table& t, rte_mbuf* m, Meta& meta) noexcept {
  const uint16_t port_id = m->port;
  if (port_id >= kPortsMax) [[unlikely]]
    return Verdict::not_ours;
  meta.in_port = static_cast<uint8_t>(port_id);
  if (m->nb_segs != 1) [[unlikely]]
    return Verdict::segmented;
  const net::Port& port = t.ports[port_id];
  const auto* data = rte_pktmbuf_mtod(m, const uint8_t*);
  const uint32_t length = m->data_len;
  if (length < sizeof(rte_ether_hdr)) [[unlikely]]
    return Verdict::eth_truncated;
  meta.l3_offset = sizeof(rte_ether_hdr);
  if (port.kernel_of != net::kNoPort) [[unlikely]]
    return to_exception(meta);
  const uint64_t port_mac = net::mac48(&port.mac);
  const bool to_port_mac = net::mac48(data) == port_mac || port_mac == 0;
  if (!to_port_mac && !(data[0] & RTE_ETHER_GROUP_ADDR)) [[unlikely]]
    return Verdict::not_ours;
  uint16_t ether_type = load16(data + 2 * RTE_ETHER_ADDR_LEN);
  uint32_t l3 = sizeof(rte_ether_hdr);
  if (ether_type == kVlan || ether_type == kQinq) [[unlikely]] {
    if (const Verdict v = parse_tag(data, length, ether_type, meta); v != Verdict::none) return v;
    l3 += static_cast<uint32_t>(sizeof(rte_vlan_hdr));
  }
  if (port.vlan_tci && (port.vlan_tci ^ meta.vlan_tci) & 0x0fff) [[unlikely]]
    return Verdict::not_ours;
  const Frame f{t, port, m, data, length, l3, to_port_mac};
  if (ether_type == kIpv4) return parse_ipv4(f, meta);
  if (ether_type == kIpv6) return parse_ipv6(f, meta);
  return to_exception(meta);
}

}  // namespace lf::parse
