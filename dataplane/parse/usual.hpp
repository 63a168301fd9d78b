// SPDX-License-Identifier: Apache-2.0
// The packets that nearly all are, the short way: an untagged frame to the port's MAC address, IPv4
// without options, and in it either a whole UDP datagram to an endpoint, a COMMAND or REPLY, or a
// packet of a flow service to exactly its port; all of it right. Headers are compared with
// templates, several fields at a time. Refuses nothing: what is different in any way is left to the
// general way, which decides. Both give the same metadata.
#pragma once

#include <immintrin.h>
#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <cstddef>

#include "dataplane/net/checksum.hpp"
#include "dataplane/parse/checks.hpp"
#include "dataplane/parse/table.hpp"

namespace lf::parse {

// Where the packet before went: to an endpoint, a flow service or neither.
struct LastPlace {
  uint64_t where = 0;  // place_key() of that packet; 0, of no packet: nothing is known yet
  const Endpoint* endpoint = nullptr;
  const FlowAddress* flow = nullptr;
};

inline constexpr uint32_t kUsualIp = sizeof(rte_ether_hdr);
inline constexpr uint32_t kUsualUdp = kUsualIp + sizeof(rte_ipv4_hdr);
inline constexpr uint32_t kUsualLcp = kUsualUdp + sizeof(rte_udp_hdr);
inline constexpr uint32_t kUsualMin = kUsualLcp + sizeof(lcp::Header);

// EtherType to fragment offset, 16 bytes from offset 12: IPv4, version and header length, no fragment.
inline bool is_usual_ipv4(const uint8_t* frame) noexcept {
  const __m128i mask = _mm_setr_epi8(-1, -1, -1, 0, 0, 0, 0, 0, 0x3f, -1, 0, 0, 0, 0, 0, 0);
  const __m128i want = _mm_setr_epi8(0x08, 0x00, 0x45, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m128i seen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(frame + 12));
  return _mm_testz_si128(_mm_xor_si128(seen, want), mask) != 0;
}

// Magic, version, no flag but the known ones; severity 1 to 5; COMMAND or REPLY, tagged, or untagged
// with no byte of a tag.
inline bool is_usual_lcp(const lcp::Header& h) noexcept {
  constexpr uint64_t kMask = 0x0000'00fc'00ff'ffff;
  constexpr uint64_t kWant = uint64_t{lcp::be16(lcp::kMagic)} | uint64_t{lcp::kVersion} << 16;
  static_assert((0xff & ~lcp::kFlagsKnown) == 0xfc);
  static_assert(lcp::Type::command == lcp::Type{1} && lcp::Type::reply == lcp::Type{2});
  uint64_t start;
  std::memcpy(&start, &h, sizeof(start));
  const auto severity = static_cast<uint8_t>(h.severity - lcp::kSeverityMin);
  if ((start & kMask) != kWant || severity > lcp::kSeverityMax - lcp::kSeverityMin ||
      static_cast<uint8_t>(h.type - 1) > 1) [[unlikely]]
    return false;
  if ((h.flags & lcp::kFlagTagged) != 0) [[likely]]
    return true;
  const __m128i tag = _mm_loadu_si128(reinterpret_cast<const __m128i*>(h.tag));
  return _mm_testz_si128(tag, tag) != 0;
}

// One frame on its short way.
struct UsualFrame {
  const Table& table;
  const net::Port& port;
  rte_mbuf* mbuf;
  const uint8_t* data;
  uint32_t length;

  const rte_ipv4_hdr& ip() const noexcept {
    return *reinterpret_cast<const rte_ipv4_hdr*>(data + kUsualIp);
  }
  const rte_udp_hdr& udp() const noexcept {  // of TCP: its ports
    return *reinterpret_cast<const rte_udp_hdr*>(data + kUsualUdp);
  }
};

LF_INLINE bool usual_ip_header(const UsualFrame& f) noexcept {
  const rte_ipv4_hdr& ip = f.ip();
  return !bad_ipv4_source(f.table, ip.src_addr) && !bad_ipv4_checksum(f.port, f.mbuf, ip);
}

LF_INLINE bool usual_udp_checksum(const UsualFrame& f, uint32_t size) noexcept {
  const rte_ipv4_hdr& ip = f.ip();
  const rte_udp_hdr& udp = f.udp();
  return udp.dgram_cksum != 0 && !bad_udp_sum(f.port, f.mbuf, [&] {
    return net::command_sum(
        &udp, size, uint64_t{ip.src_addr} + ip.dst_addr + (IPPROTO_UDP << 8) + udp.dgram_len);
  });
}

// Metadata that both kinds of packets have.
LF_INLINE void set_usual(const UsualFrame& f, uint32_t end, Kind kind, Meta& meta) noexcept {
  if (end != f.length) [[unlikely]]  // Ethernet padding
    f.mbuf->data_len = static_cast<uint16_t>(f.mbuf->pkt_len = end);
  meta.l3_offset = kUsualIp;
  meta.l4_offset = kUsualUdp;
  meta.ip_version = 4;
  meta.kind = kind;
  meta.in_port = static_cast<uint8_t>(f.mbuf->port);
}

LF_INLINE bool usual_lcp(const UsualFrame& f, const Endpoint& endpoint, uint32_t end,
                        Meta& meta) noexcept {
  const auto& h = *reinterpret_cast<const lcp::Header*>(f.data + kUsualLcp);
  const uint32_t size = end - kUsualUdp;
  if (end < kUsualMin || lcp::be16(f.udp().dgram_len) != size || f.ip().time_to_live <= 1 ||
      !is_usual_lcp(h)) [[unlikely]]
    return false;
  const auto payload = static_cast<uint16_t>(end - kUsualMin);
  const bool command = h.type == static_cast<uint8_t>(lcp::Type::command);
  if (!(command ? endpoint.takes_commands : payload >= sizeof(lcp::ReplyBody)) ||
      lcp::be16(h.payload_length) != payload || !usual_ip_header(f) ||
      !usual_udp_checksum(f, size)) [[unlikely]]
    return false;
  const Kind kind = command ? Kind::command : Kind::reply;
  set_usual(f, end, kind, meta);
  meta.lcp_offset = kUsualLcp;
  take_lcp(f.table, endpoint, h, kind, meta);
  return true;
}

LF_INLINE bool usual_flow(const UsualFrame& f, const FlowAddress& flow, uint32_t end,
                         Meta& meta) noexcept {
  const uint8_t protocol = f.ip().next_proto_id;
  const auto least =
      static_cast<uint32_t>(protocol == IPPROTO_TCP ? sizeof(rte_tcp_hdr) : sizeof(rte_udp_hdr));
  if (end < kUsualUdp + least || !usual_ip_header(f)) [[unlikely]]
    return false;
  set_usual(f, end, Kind::flow, meta);
  meta.service = flow.service;
  meta.flow_protocol = protocol;
  return true;
}

// Destination address and port of an IPv4 packet without options, and its protocol. Together with
// the bit on top never 0.
LF_INLINE uint64_t place_key(const rte_ipv4_hdr& ip) noexcept {
  uint64_t ends;  // destination address, source port, destination port
  std::memcpy(&ends, &ip.dst_addr, sizeof ends);
  return (ends & 0xffff'0000'ffff'ffff) | uint64_t{ip.next_proto_id} << 32 | uint64_t{1} << 40;
}

inline void find_place(const Table& t, const rte_ipv4_hdr& ip, uint16_t port, uint64_t where,
                       LastPlace& last) noexcept {
  const IpAddress own = net::from_ipv4(ip.dst_addr);
  const uint8_t protocol = ip.next_proto_id;
  last = {.where = where};
  if (protocol == IPPROTO_UDP) last.endpoint = find_endpoint(t, own, port, 4);
  const bool may_be_flow = t.has_flows && (protocol == IPPROTO_UDP || protocol == IPPROTO_TCP);
  if (last.endpoint == nullptr && may_be_flow) last.flow = find_flow(t, own, port, protocol, 4);
}

// True: the packet is usual, its metadata complete. False: nothing has been changed.
LF_INLINE bool parse_usual(const Table& t, LastPlace& last, rte_mbuf* m, Meta& meta) noexcept {
  const uint32_t port_id = m->port;
  const uint32_t length = m->data_len;
  static_assert(offsetof(rte_mbuf, port) == offsetof(rte_mbuf, nb_segs) + 2);
  uint32_t segments_and_port;
  std::memcpy(&segments_and_port, &m->nb_segs, sizeof segments_and_port);
  if (std::rotl(segments_and_port - 1, 16) >= kPortsMax || length < kUsualLcp) [[unlikely]]
    return false;  // not one segment, or from no port of ours
  const UsualFrame f{t, t.ports[port_id], m, rte_pktmbuf_mtod(m, const uint8_t*), length};
  if (net::mac48(f.data) != net::mac48(&f.port.mac) || f.port.vlan_tci != 0 ||
      f.port.kernel_of != net::kNoPort || !is_usual_ipv4(f.data)) [[unlikely]]
    return false;
  const rte_ipv4_hdr& ip = f.ip();
  const uint32_t end = kUsualIp + lcp::be16(ip.total_length);
  if (end > length) [[unlikely]]
    return false;
  const uint64_t where = place_key(ip);
  if (where != last.where) [[unlikely]]
    find_place(t, ip, f.udp().dst_port, where, last);
  if (last.endpoint != nullptr) return usual_lcp(f, *last.endpoint, end, meta);
  return last.flow != nullptr && usual_flow(f, *last.flow, end, meta);
}

}  // namespace lf::parse
