// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_gen/neighbours.hpp"

#include <netinet/in.h>
#include <rte_arp.h>
#include <rte_ip.h>

#include <cstring>

#include "dataplane/lcp/header.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/net/neighbour_discovery.hpp"
#include "tools/lf_gen/layout.hpp"

namespace lf::gen {
namespace {

using Message = net::NeighbourMessage;

constexpr uint32_t kSolicitationSize = sizeof(rte_ipv6_hdr) + sizeof(Message);

bool is_arp_request(std::span<const uint8_t> packet) {
  return packet.size() >= sizeof(rte_arp_hdr) &&
         reinterpret_cast<const rte_arp_hdr*>(packet.data())->arp_opcode ==
             RTE_BE16(RTE_ARP_OP_REQUEST);
}

bool is_solicitation(std::span<const uint8_t> packet) {
  return packet.size() >= kSolicitationSize &&
         reinterpret_cast<const rte_ipv6_hdr*>(packet.data())->proto == IPPROTO_ICMPV6 &&
         packet[sizeof(rte_ipv6_hdr)] == net::kNeighbourSolicitation;
}

// Both turn a request that lies at `packet` into its reply, and return the reply's length.
uint32_t turn_arp(uint8_t* packet, const rte_ether_addr& mac) {
  auto* arp = reinterpret_cast<rte_arp_hdr*>(packet);
  rte_arp_ipv4& data = arp->arp_data;
  if (data.arp_sip == data.arp_tip) return 0;
  const uint32_t wanted = data.arp_tip;
  arp->arp_opcode = RTE_BE16(RTE_ARP_OP_REPLY);
  data.arp_tha = data.arp_sha;
  data.arp_tip = data.arp_sip;
  data.arp_sha = mac;
  data.arp_sip = wanted;
  return sizeof(*arp);
}

uint32_t turn_solicitation(uint8_t* packet, const rte_ether_addr& mac) {
  auto* ip = reinterpret_cast<rte_ipv6_hdr*>(packet);
  auto* message = reinterpret_cast<Message*>(ip + 1);
  auto* option = reinterpret_cast<net::LinkLayerOption*>(message + 1);
  // Without a source it is duplicate address detection: the sender's own.
  if (net::from_ipv6(ip->src_addr) == IpAddress{}) return 0;
  std::memcpy(ip->dst_addr, ip->src_addr, sizeof(ip->dst_addr));
  std::memcpy(ip->src_addr, message->target, sizeof(ip->src_addr));
  ip->payload_len = RTE_BE16(sizeof(*message) + sizeof(*option));
  ip->hop_limits = net::kDiscoveryHopLimit;
  message->type = net::kNeighbourAdvertisement;
  message->flags = lcp::be32(net::kSolicited | net::kOverride);
  option->type = net::kTargetLinkLayer;
  option->length = 1;
  std::memcpy(option->mac, &mac, sizeof(option->mac));
  message->checksum = 0;
  message->checksum = rte_ipv6_udptcp_cksum(ip, message);
  return kSolicitationSize + sizeof(*option);
}

}  // namespace

bool asks_for_neighbour(std::span<const uint8_t> frame) {
  const Network network = network_of(frame);
  if (network.ether_type == RTE_ETHER_TYPE_ARP) return is_arp_request(frame.subspan(network.at()));
  return network.ether_type == RTE_ETHER_TYPE_IPV6 && is_solicitation(frame.subspan(network.at()));
}

uint32_t write_neighbour_reply(std::span<const uint8_t> frame, const rte_ether_addr& mac,
                               uint8_t* out) {
  const Network network = network_of(frame);
  const bool arp = network.ether_type == RTE_ETHER_TYPE_ARP;
  std::memcpy(out, frame.data(), network.at() + (arp ? sizeof(rte_arp_hdr) : kSolicitationSize));
  auto* eth = reinterpret_cast<rte_ether_hdr*>(out);
  eth->dst_addr = eth->src_addr;
  eth->src_addr = mac;
  uint8_t* packet = out + network.at();
  const uint32_t size = arp ? turn_arp(packet, mac) : turn_solicitation(packet, mac);
  return size == 0 ? 0 : network.at() + size;
}

}  // namespace lf::gen
