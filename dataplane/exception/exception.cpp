// SPDX-License-Identifier: Apache-2.0
#include "dataplane/exception/exception.hpp"

#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include <cstring>

#include "dataplane/exception/local.hpp"
#include "dataplane/lcp/header.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/net/checksum.hpp"
#include "dataplane/net/neighbour_discovery.hpp"
#include "dataplane/net/turn.hpp"

namespace lf::exception {
namespace {

using lcp::be16;

constexpr uint32_t kIcmpSize = sizeof(rte_icmp_hdr);
constexpr uint32_t kQuotedPorts = 4;  // of the quoted packet, behind its IP header

// What is to become of a packet that is none of ours: its verdict where there is no kernel port.
struct Elsewhere {
  Verdict reason;
};

struct Outcome {
  Verdict verdict;
  bool elsewhere = false;
  bool icmp_error = false;

  Outcome(Verdict v) noexcept : verdict(v) {}                            // NOLINT
  Outcome(Elsewhere e) noexcept : verdict(e.reason), elsewhere(true) {}  // NOLINT
  static Outcome error() noexcept {
    Outcome o(Verdict::to_control);
    o.icmp_error = true;
    return o;
  }
};

Outcome or_elsewhere(Verdict v) noexcept {
  return v == Verdict::none ? Outcome(Elsewhere{Verdict::not_ours}) : Outcome(v);
}

bool is_to_port(const parse::Table& t, const uint8_t* frame, const Meta& meta) noexcept {
  const uint64_t mac = net::mac48(&t.ports[meta.in_port].mac);
  return mac == 0 || net::mac48(frame) == mac;
}

Outcome take_icmp4(rte_mbuf* m, const Meta& meta, uint32_t length) noexcept {
  const auto* frame = rte_pktmbuf_mtod(m, const uint8_t*);
  const auto& icmp = *reinterpret_cast<const rte_icmp_hdr*>(frame + meta.l4_offset);
  if (length < kIcmpSize || !net::is_right(net::sum_bytes(&icmp, length)))
    return Verdict::arp_malformed;
  switch (icmp.icmp_type) {
    case RTE_IP_ICMP_ECHO_REQUEST:
      return icmp.icmp_code == 0 ? answer_echo(m, meta, length) : Verdict::arp_malformed;
    case 3:   // destination unreachable
    case 11:  // time exceeded
    case 12:  // parameter problem
      if (length < kIcmpSize + sizeof(rte_ipv4_hdr) + kQuotedPorts) return Verdict::arp_malformed;
      return Outcome::error();
    default:
      return Elsewhere{Verdict::own_echo};
  }
}

Outcome take_ipv4(const parse::Table& t, rte_mbuf* m, const Meta& meta) noexcept {
  const auto* frame = rte_pktmbuf_mtod(m, const uint8_t*);
  const auto& ip = *reinterpret_cast<const rte_ipv4_hdr*>(frame + meta.l3_offset);
  if (!is_to_port(t, frame, meta) || !parse::find_own(t, net::from_ipv4(ip.dst_addr)))
    return Elsewhere{Verdict::not_ours};
  const uint32_t length = be16(ip.total_length) - static_cast<uint32_t>(sizeof(ip));
  switch (ip.next_proto_id) {
    case IPPROTO_ICMP:
      return take_icmp4(m, meta, length);
    case IPPROTO_UDP:
      return Elsewhere{Verdict::udp_port};
    default:
      return Elsewhere{Verdict::not_ours};
  }
}

Outcome take_icmp6(const parse::Table& t, rte_mbuf* m, const Meta& meta, bool own) noexcept {
  const auto* frame = rte_pktmbuf_mtod(m, const uint8_t*);
  const auto& ip = *reinterpret_cast<const rte_ipv6_hdr*>(frame + meta.l3_offset);
  const auto& icmp = *reinterpret_cast<const rte_icmp_hdr*>(frame + meta.l4_offset);
  const uint32_t length = be16(ip.payload_len);
  if (length < kIcmpSize) return Verdict::arp_malformed;
  const bool solicitation = icmp.icmp_type == net::kNeighbourSolicitation;
  const bool advertisement = icmp.icmp_type == net::kNeighbourAdvertisement;
  if (!own && !solicitation && !advertisement) return Elsewhere{Verdict::not_ours};
  if (net::fold(net::pseudo_sum_ipv6(ip, IPPROTO_ICMPV6, length) + net::sum_bytes(&icmp, length)) !=
      0xffff)
    return Verdict::arp_malformed;
  if (solicitation) return or_elsewhere(take_solicitation(t, m, meta, length));
  if (advertisement) return take_advertisement(m, meta, length);
  switch (icmp.icmp_type) {
    case 128:  // echo request
      return icmp.icmp_code == 0 ? answer_echo(m, meta, length) : Verdict::arp_malformed;
    case 1:  // destination unreachable
    case 2:  // packet too big
    case 3:  // time exceeded
    case 4:  // parameter problem
      if (length < kIcmpSize + sizeof(rte_ipv6_hdr) + kQuotedPorts) return Verdict::arp_malformed;
      return Outcome::error();
    default:
      return Elsewhere{Verdict::own_echo};
  }
}

Outcome take_ipv6(const parse::Table& t, rte_mbuf* m, const Meta& meta) noexcept {
  const auto* frame = rte_pktmbuf_mtod(m, const uint8_t*);
  const auto& ip = *reinterpret_cast<const rte_ipv6_hdr*>(frame + meta.l3_offset);
  const IpAddress destination = net::from_ipv6(ip.dst_addr);
  const bool own =
      is_to_port(t, frame, meta) && !net::is_ipv4(destination) && parse::find_own(t, destination);
  if (ip.proto == IPPROTO_ICMPV6) return take_icmp6(t, m, meta, own);
  return Elsewhere{own && ip.proto == IPPROTO_UDP ? Verdict::udp_port : Verdict::not_ours};
}

Outcome take(const parse::Table& t, rte_mbuf* m, const Meta& meta) noexcept {
  if (meta.ip_version == 4) return take_ipv4(t, m, meta);
  if (meta.ip_version == 6) return take_ipv6(t, m, meta);
  uint16_t ether_type;
  std::memcpy(&ether_type, rte_pktmbuf_mtod_offset(m, const uint8_t*, meta.l3_offset - 2), 2);
  if (ether_type == be16(RTE_ETHER_TYPE_ARP)) return or_elsewhere(take_arp(t, m, meta));
  return Elsewhere{Verdict::unknown_ethertype};
}

void send(Burst& burst, Out& out, uint32_t i, uint8_t port, Verdict verdict) noexcept {
  burst.meta[i].out_port = port;
  burst.decide(i, verdict);
  out.transmit.add(i);
}

void settle(const net::Port& port, Burst& burst, Out& out, uint32_t i, Outcome o) noexcept {
  if (o.elsewhere && port.kernel_port != net::kNoPort)
    return send(burst, out, i, port.kernel_port, Verdict::to_kernel);
  if (o.verdict == Verdict::to_control) {
    burst.decide(i, o.verdict);
    return (o.icmp_error ? out.icmp_errors : out.neighbours).add(i);
  }
  if (info(o.verdict).kind == VerdictKind::ans)
    return send(burst, out, i, burst.meta[i].in_port, o.verdict);
  burst.decide(i, o.verdict);
}

// A PROBE becomes its PROBE_REPLY: the same bytes with another type, untagged.
void answer_probe(rte_mbuf* m, const Meta& meta) noexcept {
  constexpr uint16_t kUdpSize = sizeof(rte_udp_hdr) + sizeof(lcp::Header);
  auto* frame = rte_pktmbuf_mtod(m, uint8_t*);
  net::turn_datagram(frame, meta, kUdpSize);
  meta.lcp->type = static_cast<uint8_t>(lcp::Type::probe_reply);
  meta.lcp->flags = 0;
  std::memset(meta.lcp->tag, 0, sizeof(meta.lcp->tag));
  net::set_udp_checksum(frame + meta.l3_offset, meta.ip_version,
                        *reinterpret_cast<rte_udp_hdr*>(frame + meta.l4_offset));
}

}  // namespace

void run(const parse::Table& table, Burst& burst, const Selection& exceptions,
         const Selection& probes, Out& out) noexcept {
  out.transmit.count = out.neighbours.count = out.icmp_errors.count = 0;
  for (const uint8_t i : exceptions) {
    const Meta& meta = burst.meta[i];
    const net::Port& port = table.ports[meta.in_port];
    if (port.kernel_of != net::kNoPort) {
      send(burst, out, i, port.kernel_of, Verdict::from_kernel);
    } else {
      settle(port, burst, out, i, take(table, burst.packets[i], meta));
    }
  }
  for (const uint8_t i : probes) {
    answer_probe(burst.packets[i], burst.meta[i]);
    send(burst, out, i, burst.meta[i].in_port, Verdict::probe_answered);
  }
}

}  // namespace lf::exception
