// SPDX-License-Identifier: Apache-2.0
#include "control/neighbour/frames.hpp"

#include <rte_arp.h>
#include <rte_icmp.h>
#include <rte_ip.h>

#include <algorithm>
#include <cstring>

#include "dataplane/net/address.hpp"
#include "dataplane/net/neighbour_discovery.hpp"

namespace lf::neighbour {
namespace {

constexpr size_t kFrameMin = 60;
constexpr uint8_t kIcmp6 = 58;

// A message with the one option that its sender has to give.
struct Message {
  net::NeighbourMessage head;
  net::LinkLayerOption option;
} __attribute__((packed));
static_assert(sizeof(Message) == 32);

template <typename T>
T* append(std::vector<uint8_t>& frame) {
  frame.resize(frame.size() + sizeof(T));
  return reinterpret_cast<T*>(frame.data() + frame.size() - sizeof(T));
}

void ethernet(std::vector<uint8_t>& frame, const Question& q, const rte_ether_addr& to,
              uint16_t type) {
  auto* eth = append<rte_ether_hdr>(frame);
  eth->dst_addr = to;
  eth->src_addr = q.source_mac;
  eth->ether_type = rte_cpu_to_be_16(q.vlan != 0 ? RTE_ETHER_TYPE_VLAN : type);
  if (q.vlan == 0) return;
  auto* vlan = append<rte_vlan_hdr>(frame);
  vlan->vlan_tci = rte_cpu_to_be_16(q.vlan);
  vlan->eth_proto = rte_cpu_to_be_16(type);
}

std::vector<uint8_t> arp_request(const Question& q) {
  std::vector<uint8_t> frame;
  frame.reserve(kFrameMin);
  rte_ether_addr to;
  std::memset(&to, 0xff, sizeof to);
  ethernet(frame, q, q.unicast_to.value_or(to), RTE_ETHER_TYPE_ARP);
  auto* arp = append<rte_arp_hdr>(frame);
  arp->arp_hardware = rte_cpu_to_be_16(RTE_ARP_HRD_ETHER);
  arp->arp_protocol = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
  arp->arp_hlen = RTE_ETHER_ADDR_LEN;
  arp->arp_plen = sizeof(uint32_t);
  arp->arp_opcode = rte_cpu_to_be_16(RTE_ARP_OP_REQUEST);
  arp->arp_data.arp_sha = q.source_mac;
  arp->arp_data.arp_sip = net::to_ipv4(q.source);
  arp->arp_data.arp_tha = {};
  arp->arp_data.arp_tip = net::to_ipv4(q.target);
  if (frame.size() < kFrameMin) frame.resize(kFrameMin);
  return frame;
}

std::vector<uint8_t> solicitation(const Question& q) {
  std::vector<uint8_t> frame;
  frame.reserve(128);
  uint8_t target[16];
  net::to_ipv6(q.target, target);
  // ff02::1:ffXX:XXXX and its Ethernet group 33:33:ff:XX:XX:XX (RFC 4291 2.7.1, RFC 2464 7).
  uint8_t group[16] = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
  std::copy(target + 13, target + 16, group + 13);
  const rte_ether_addr group_mac = {{0x33, 0x33, 0xff, target[13], target[14], target[15]}};
  ethernet(frame, q, q.unicast_to.value_or(group_mac), RTE_ETHER_TYPE_IPV6);
  rte_ipv6_hdr ip{};
  ip.vtc_flow = rte_cpu_to_be_32(6u << 28);
  ip.payload_len = rte_cpu_to_be_16(sizeof(Message));
  ip.proto = kIcmp6;
  ip.hop_limits = net::kDiscoveryHopLimit;
  net::to_ipv6(q.source, ip.src_addr);
  std::memcpy(ip.dst_addr, q.unicast_to ? target : group, 16);
  Message message{};
  message.head.type = net::kNeighbourSolicitation;
  std::memcpy(message.head.target, target, 16);
  message.option.type = net::kSourceLinkLayer;
  message.option.length = 1;
  std::memcpy(message.option.mac, &q.source_mac, sizeof message.option.mac);
  message.head.checksum = rte_ipv6_udptcp_cksum(&ip, &message);
  *append<rte_ipv6_hdr>(frame) = ip;
  *append<Message>(frame) = message;
  return frame;
}

std::optional<Heard> read_arp(std::span<const uint8_t> packet) {
  rte_arp_hdr arp;
  if (packet.size() < sizeof arp) return std::nullopt;
  std::memcpy(&arp, packet.data(), sizeof arp);
  if (arp.arp_hardware != rte_cpu_to_be_16(RTE_ARP_HRD_ETHER) ||
      arp.arp_protocol != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) ||
      arp.arp_hlen != RTE_ETHER_ADDR_LEN || arp.arp_plen != sizeof(uint32_t)) {
    return std::nullopt;
  }
  return Heard{net::from_ipv4(arp.arp_data.arp_sip), arp.arp_data.arp_sha};
}

std::optional<Heard> read_advertisement(std::span<const uint8_t> packet) {
  rte_ipv6_hdr ip;
  Message message;
  if (packet.size() < sizeof ip + sizeof message) return std::nullopt;
  std::memcpy(&ip, packet.data(), sizeof ip);
  std::memcpy(&message, packet.data() + sizeof ip, sizeof message);
  const uint16_t length = rte_be_to_cpu_16(ip.payload_len);
  if (ip.proto != kIcmp6 || ip.hop_limits != net::kDiscoveryHopLimit || length < sizeof message ||
      packet.size() < sizeof ip + length || message.head.type != net::kNeighbourAdvertisement ||
      message.head.code != 0 ||
      message.option.type != net::kTargetLinkLayer || message.option.length != 1) {
    return std::nullopt;
  }
  std::vector<uint8_t> summed(packet.begin() + sizeof ip, packet.begin() + sizeof ip + length);
  std::memset(summed.data() + offsetof(net::NeighbourMessage, checksum), 0,
              sizeof message.head.checksum);
  if (rte_ipv6_udptcp_cksum(&ip, summed.data()) != message.head.checksum) return std::nullopt;
  Heard heard{.address = net::from_ipv6(message.head.target)};
  std::memcpy(&heard.mac, message.option.mac, sizeof message.option.mac);
  return heard;
}

}  // namespace

std::vector<uint8_t> request_frame(const Question& question) {
  return question.ip_version == 4 ? arp_request(question) : solicitation(question);
}

std::optional<Heard> read_answer(std::span<const uint8_t> frame) {
  if (frame.size() < sizeof(rte_ether_hdr)) return std::nullopt;
  size_t offset = sizeof(rte_ether_hdr);
  uint16_t type;
  std::memcpy(&type, frame.data() + 12, 2);
  if (type == rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN)) {
    offset += sizeof(rte_vlan_hdr);
    if (frame.size() < offset) return std::nullopt;
    std::memcpy(&type, frame.data() + 16, 2);
  }
  if (type == rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP)) return read_arp(frame.subspan(offset));
  if (type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6)) {
    return read_advertisement(frame.subspan(offset));
  }
  return std::nullopt;
}

}  // namespace lf::neighbour
