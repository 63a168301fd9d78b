// SPDX-License-Identifier: Apache-2.0
// ARP and neighbour discovery (RFC 826, RFC 4861) for own addresses.
#include <netinet/in.h>
#include <rte_arp.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>

#include <cstring>

#include "dataplane/exception/local.hpp"
#include "dataplane/lcp/header.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/net/checksum.hpp"
#include "dataplane/net/neighbour_discovery.hpp"

namespace lf::exception {
namespace {

using lcp::be16;
using lcp::be32;

using net::kDiscoveryHopLimit;
using net::LinkLayerOption;
using Message = net::NeighbourMessage;

bool is_own_here(const parse::Table& t, const IpAddress& a, const Meta& meta) noexcept {
  const parse::OwnAddress* own = parse::find_own(t, a);
  return own && own->ports >> meta.in_port & 1 && net::mac48(&t.ports[meta.in_port].mac) != 0;
}

bool is_group(const uint8_t* mac) noexcept {
  return mac[0] & RTE_ETHER_GROUP_ADDR;
}

// Answer to whoever sent the frame.
void set_macs(const parse::Table& t, uint8_t* frame, const Meta& meta,
              const uint8_t* destination) noexcept {
  std::memmove(frame, destination, RTE_ETHER_ADDR_LEN);
  std::memcpy(frame + RTE_ETHER_ADDR_LEN, &t.ports[meta.in_port].mac, RTE_ETHER_ADDR_LEN);
}

// Options have lengths that add up; `source_mac` tells whether one names the sender's address.
bool options_are_sound(const uint8_t* options, uint32_t length, bool& source_mac) noexcept {
  source_mac = false;
  for (uint32_t at = 0; at < length;) {
    if (length - at < 2) return false;
    const uint32_t size = options[at + 1] * 8u;
    if (size == 0 || size > length - at) return false;
    source_mac |= options[at] == net::kSourceLinkLayer;
    at += size;
  }
  return true;
}

// ff02::1:ffxx:xxxx
bool is_solicited_group(const IpAddress& a) noexcept {
  static constexpr uint8_t kGroup[13] = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
  uint8_t bytes[16];
  net::to_ipv6(a, bytes);
  return std::memcmp(bytes, kGroup, sizeof(kGroup)) == 0;
}

bool is_discovery(const rte_ipv6_hdr& ip, const Message& message, uint32_t length) noexcept {
  return length >= sizeof(Message) && ip.hop_limits == kDiscoveryHopLimit && message.code == 0 &&
         message.target[0] != 0xff;
}

// Makes an advertisement of the solicitation's target. `solicited`: to its sender, else to all.
void advertise(const parse::Table& t, uint8_t* frame, const Meta& meta, bool solicited) noexcept {
  static constexpr uint8_t kAllNodesMac[6] = {0x33, 0x33, 0, 0, 0, 1};
  static constexpr uint8_t kAllNodes[16] = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  auto& ip = *reinterpret_cast<rte_ipv6_hdr*>(frame + meta.l3_offset);
  auto& message = *reinterpret_cast<Message*>(frame + meta.l4_offset);
  auto& option = *reinterpret_cast<LinkLayerOption*>(frame + meta.l4_offset + sizeof(Message));
  constexpr uint16_t kSize = sizeof(Message) + sizeof(LinkLayerOption);

  set_macs(t, frame, meta, solicited ? frame + RTE_ETHER_ADDR_LEN : kAllNodesMac);
  ip.vtc_flow = be32(0x60000000);
  ip.payload_len = be16(kSize);
  ip.hop_limits = kDiscoveryHopLimit;
  std::memcpy(ip.dst_addr, solicited ? ip.src_addr : kAllNodes, sizeof(ip.dst_addr));
  std::memcpy(ip.src_addr, message.target, sizeof(ip.src_addr));
  message.type = net::kNeighbourAdvertisement;
  message.flags = be32(solicited ? net::kSolicited | net::kOverride : net::kOverride);
  option.type = net::kTargetLinkLayer;
  option.length = 1;
  std::memcpy(option.mac, &t.ports[meta.in_port].mac, sizeof(option.mac));
  message.checksum = 0;
  message.checksum = net::checksum_of(net::pseudo_sum_ipv6(ip, IPPROTO_ICMPV6, kSize) +
                                      net::sum_bytes(&message, kSize));
}

}  // namespace

Verdict take_arp(const parse::Table& table, rte_mbuf* m, const Meta& meta) noexcept {
  auto* frame = rte_pktmbuf_mtod(m, uint8_t*);
  if (m->data_len < meta.l3_offset + sizeof(rte_arp_hdr)) return Verdict::arp_malformed;
  auto& arp = *reinterpret_cast<rte_arp_hdr*>(frame + meta.l3_offset);
  rte_arp_ipv4& body = arp.arp_data;
  if (arp.arp_hardware != be16(RTE_ARP_HRD_ETHER) ||
      arp.arp_protocol != be16(RTE_ETHER_TYPE_IPV4) || arp.arp_hlen != RTE_ETHER_ADDR_LEN ||
      arp.arp_plen != sizeof(body.arp_sip) || is_group(body.arp_sha.addr_bytes) ||
      is_group(frame + RTE_ETHER_ADDR_LEN))
    return Verdict::arp_malformed;
  if (arp.arp_opcode == be16(RTE_ARP_OP_REPLY)) return Verdict::to_control;
  if (arp.arp_opcode != be16(RTE_ARP_OP_REQUEST)) return Verdict::arp_malformed;
  const uint32_t target = body.arp_tip;
  if (!is_own_here(table, net::from_ipv4(target), meta))
    return body.arp_sip == target ? Verdict::to_control : Verdict::none;  // gratuitous: a move
  arp.arp_opcode = be16(RTE_ARP_OP_REPLY);
  body.arp_tha = body.arp_sha;
  body.arp_tip = body.arp_sip;
  body.arp_sha = table.ports[meta.in_port].mac;
  body.arp_sip = target;
  set_macs(table, frame, meta, frame + RTE_ETHER_ADDR_LEN);
  return Verdict::answered_arp;
}

Verdict take_solicitation(const parse::Table& table, rte_mbuf* m, const Meta& meta,
                          uint32_t length) noexcept {
  auto* frame = rte_pktmbuf_mtod(m, uint8_t*);
  const auto& ip = *reinterpret_cast<const rte_ipv6_hdr*>(frame + meta.l3_offset);
  const auto& message = *reinterpret_cast<const Message*>(frame + meta.l4_offset);
  bool source_mac = false;
  if (!is_discovery(ip, message, length) || is_group(frame + RTE_ETHER_ADDR_LEN) ||
      !options_are_sound(frame + meta.l4_offset + sizeof(Message),
                         length - static_cast<uint32_t>(sizeof(Message)), source_mac))
    return Verdict::arp_malformed;
  const IpAddress source = net::from_ipv6(ip.src_addr);
  const bool unspecified = source == IpAddress{};  // duplicate address detection
  if (unspecified) {
    if (source_mac || !is_solicited_group(net::from_ipv6(ip.dst_addr)))
      return Verdict::arp_malformed;
  } else if (!net::is_ipv6_source(source) || parse::find_own(table, source)) {
    return Verdict::ip_source;
  }
  const IpAddress target = net::from_ipv6(message.target);
  if (net::is_ipv4(target) || !is_own_here(table, target, meta)) return Verdict::none;

  const uint32_t end = meta.l4_offset + sizeof(Message) + sizeof(LinkLayerOption);
  if (m->data_len >= end) {
    rte_pktmbuf_trim(m, static_cast<uint16_t>(m->data_len - end));
  } else if (!rte_pktmbuf_append(m, static_cast<uint16_t>(end - m->data_len))) {
    return Verdict::arp_malformed;
  }
  advertise(table, frame, meta, !unspecified);
  return Verdict::answered_nd;
}

Verdict take_advertisement(const rte_mbuf* m, const Meta& meta, uint32_t length) noexcept {
  const auto* frame = rte_pktmbuf_mtod(m, const uint8_t*);
  const auto& ip = *reinterpret_cast<const rte_ipv6_hdr*>(frame + meta.l3_offset);
  const auto& message = *reinterpret_cast<const Message*>(frame + meta.l4_offset);
  bool source_mac = false;
  if (!is_discovery(ip, message, length) ||
      !options_are_sound(frame + meta.l4_offset + sizeof(Message),
                         length - static_cast<uint32_t>(sizeof(Message)), source_mac))
    return Verdict::arp_malformed;
  return Verdict::to_control;
}

}  // namespace lf::exception
