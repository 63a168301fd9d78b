// SPDX-License-Identifier: Apache-2.0
// The packet that nearly all are, the short way: an untagged frame to the port's MAC address, IPv4
// without options, a whole UDP datagram to the endpoint of a service, a tagged COMMAND, all of it
// right. Headers are compared with templates, several fields at a time. Refuses nothing: what is
// different in any way is left to the general way, which decides. Both give the same metadata.
#pragma once

#include <immintrin.h>
#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <cstddef>

#include "dataplane/net/checksum.hpp"
#include "dataplane/parse/checks.hpp"
#include "dataplane/parse/table.hpp"

namespace lf::parse {

// Where the packet before went.
struct LastEndpoint {
  uint32_t address = 0;
  uint16_t port = 0;
  const Endpoint* endpoint = nullptr;
};

inline constexpr uint32_t kUsualIp = sizeof(rte_ether_hdr);
inline constexpr uint32_t kUsualUdp = kUsualIp + sizeof(rte_ipv4_hdr);
inline constexpr uint32_t kUsualLcp = kUsualUdp + sizeof(rte_udp_hdr);
inline constexpr uint32_t kUsualMin = kUsualLcp + sizeof(lcp::Header);

// EtherType to protocol, 16 bytes from offset 12: IPv4, version and header length, no fragment, UDP.
inline bool is_usual_ipv4(const uint8_t* frame) noexcept {
  const __m128i mask = _mm_setr_epi8(-1, -1, -1, 0, 0, 0, 0, 0, 0x3f, -1, 0, -1, 0, 0, 0, 0);
  const __m128i want =
      _mm_setr_epi8(0x08, 0x00, 0x45, 0, 0, 0, 0, 0, 0, 0, 0, IPPROTO_UDP, 0, 0, 0, 0);
  const __m128i seen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(frame + 12));
  return _mm_testz_si128(_mm_xor_si128(seen, want), mask) != 0;
}

// Magic, version, type COMMAND, no flag but the known ones and the tag's set; severity 1 to 5.
inline bool is_usual_command(const lcp::Header& h) noexcept {
  constexpr uint64_t kMask = 0x0000'00fd'ffff'ffff;
  constexpr uint64_t kWant = uint64_t{lcp::be16(lcp::kMagic)} | uint64_t{lcp::kVersion} << 16 |
                             uint64_t{static_cast<uint8_t>(lcp::Type::command)} << 24 |
                             uint64_t{lcp::kFlagTagged} << 32;
  static_assert((0xff & ~lcp::kFlagsKnown) == 0xfc && lcp::kFlagTagged == 1);
  uint64_t start;
  std::memcpy(&start, &h, sizeof(start));
  const auto severity = static_cast<uint8_t>(h.severity - lcp::kSeverityMin);
  return (start & kMask) == kWant && severity <= lcp::kSeverityMax - lcp::kSeverityMin;
}

[[gnu::always_inline]] inline bool usual_checksums(const net::Port& port, const rte_mbuf* m,
                                                   const rte_ipv4_hdr& ip, const rte_udp_hdr& udp,
                                                   uint32_t size) noexcept {
  bool bad = false;
  if (!port_knows<RTE_MBUF_F_RX_IP_CKSUM_MASK, RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN,
                  RTE_MBUF_F_RX_IP_CKSUM_BAD>(port.rx_ip_checksum, m->ol_flags, bad))
    bad = !net::is_right(net::ipv4_header_sum(&ip));
  if (bad) [[unlikely]]
    return false;
  if (port_knows<RTE_MBUF_F_RX_L4_CKSUM_MASK, RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN,
                 RTE_MBUF_F_RX_L4_CKSUM_BAD>(port.rx_udp_checksum, m->ol_flags, bad))
    return !bad && udp.dgram_cksum != 0;
  const uint64_t pseudo =
      uint64_t{ip.src_addr} + ip.dst_addr + (IPPROTO_UDP << 8) + udp.dgram_len;
  return udp.dgram_cksum != 0 && net::is_right(net::command_sum(&udp, size, pseudo));
}

// True: the packet is usual, its metadata complete. False: nothing has been changed.
[[gnu::always_inline]] inline bool parse_usual(const Table& t, LastEndpoint& last, rte_mbuf* m,
                                               Meta& meta) noexcept {
  const uint32_t port_id = m->port;
  const uint32_t length = m->data_len;
  if (m->nb_segs != 1 || port_id >= kPortsMax || length < kUsualMin) [[unlikely]]
    return false;
  const net::Port& port = t.ports[port_id];
  const auto* frame = rte_pktmbuf_mtod(m, const uint8_t*);
  if (net::mac48(frame) != net::mac48(&port.mac) || port.vlan_tci != 0 ||
      port.kernel_of != net::kNoPort || !is_usual_ipv4(frame)) [[unlikely]]
    return false;
  const auto& ip = *reinterpret_cast<const rte_ipv4_hdr*>(frame + kUsualIp);
  const auto& udp = *reinterpret_cast<const rte_udp_hdr*>(frame + kUsualUdp);
  const auto& h = *reinterpret_cast<const lcp::Header*>(frame + kUsualLcp);
  const uint32_t total = lcp::be16(ip.total_length);
  const uint32_t size = total - static_cast<uint32_t>(sizeof(ip));
  const uint32_t end = kUsualIp + total;
  if (end > length || end < kUsualMin || lcp::be16(udp.dgram_len) != size) [[unlikely]]
    return false;
  if (ip.dst_addr != last.address || udp.dst_port != last.port) [[unlikely]] {
    const IpAddress own = net::from_ipv4(ip.dst_addr);
    last = {ip.dst_addr, udp.dst_port, find_endpoint(t, own, udp.dst_port, 4)};
  }
  if (last.endpoint == nullptr || !last.endpoint->takes_commands) [[unlikely]]
    return false;
  if (!net::is_ipv4_source(ip.src_addr) || find_own(t, net::from_ipv4(ip.src_addr)) ||
      ip.time_to_live <= 1 || !is_usual_command(h)) [[unlikely]]
    return false;
  const auto payload = static_cast<uint16_t>(end - kUsualMin);
  if (lcp::be16(h.payload_length) != payload || !usual_checksums(port, m, ip, udp, size))
      [[unlikely]]
    return false;

  if (end != length) [[unlikely]]  // Ethernet padding
    m->data_len = static_cast<uint16_t>(m->pkt_len = end);
  const IntentIndex intent = t.intent_index[h.intent];
  meta.lcp = const_cast<lcp::Header*>(&h);
  meta.deadline_us = lcp::be64(h.deadline_us);
  meta.org_id = lcp::be32(h.org_id);
  meta.operator_id = lcp::be32(h.operator_id);
  meta.target_id = lcp::be32(h.target_id);
  meta.payload_length = payload;
  meta.key_id = lcp::be16(h.key_id);
  meta.service = last.endpoint->service[intent];
  meta.l3_offset = kUsualIp;
  meta.l4_offset = kUsualUdp;
  meta.lcp_offset = kUsualLcp;
  meta.ip_version = 4;
  meta.kind = Kind::command;
  copy_small_fields(meta, h);
  meta.in_port = static_cast<uint8_t>(port_id);
  meta.intent_index = intent;
  meta.replayable = t.replayable >> intent & 1;
  return true;
}

}  // namespace lf::parse
