// SPDX-License-Identifier: Apache-2.0
#include "control/probe/frame.hpp"

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <algorithm>
#include <cstring>

#include "dataplane/net/address.hpp"
#include "dataplane/net/checksum.hpp"

namespace lf::probe {
namespace {

constexpr uint8_t kHops = 64;
constexpr size_t kFrameMin = 60;  // without the frame check sequence
constexpr uint8_t kVersion4Length5 = 0x45;
constexpr uint32_t kVersion6 = 6u << 28;

template <typename T>
void append(std::vector<uint8_t>& frame, const T& header) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&header);
  frame.insert(frame.end(), bytes, bytes + sizeof header);
}

void append_ethernet(std::vector<uint8_t>& frame, const forward::Node& node) {
  const uint16_t type =
      rte_cpu_to_be_16(node.ip_version == 4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
  rte_ether_hdr ethernet{node.mac, node.source_mac, type};
  if (node.vlan_tci == 0) return append(frame, ethernet);
  ethernet.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN);
  append(frame, ethernet);
  append(frame, rte_vlan_hdr{rte_cpu_to_be_16(node.vlan_tci), type});
}

void append_ip(std::vector<uint8_t>& frame, const forward::Node& node, uint16_t udp_length) {
  if (node.ip_version == 4) {
    rte_ipv4_hdr ip{};
    ip.version_ihl = kVersion4Length5;
    ip.total_length = rte_cpu_to_be_16(static_cast<uint16_t>(sizeof ip + udp_length));
    ip.fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG);
    ip.time_to_live = kHops;
    ip.next_proto_id = IPPROTO_UDP;
    ip.src_addr = net::to_ipv4(node.source);
    ip.dst_addr = net::to_ipv4(node.address);
    ip.hdr_checksum = net::checksum_of(net::sum_bytes(&ip, sizeof ip));
    return append(frame, ip);
  }
  rte_ipv6_hdr ip{};
  ip.vtc_flow = rte_cpu_to_be_32(kVersion6);
  ip.payload_len = rte_cpu_to_be_16(udp_length);
  ip.proto = IPPROTO_UDP;
  ip.hop_limits = kHops;
  net::to_ipv6(node.source, ip.src_addr);
  net::to_ipv6(node.address, ip.dst_addr);
  append(frame, ip);
}

}  // namespace

std::vector<uint8_t> frame_to(const forward::Node& node, std::span<const uint8_t> datagram) {
  std::vector<uint8_t> frame;
  const auto length = static_cast<uint16_t>(sizeof(rte_udp_hdr) + datagram.size());
  append_ethernet(frame, node);
  append_ip(frame, node, length);
  rte_udp_hdr udp{node.source_port, node.port, rte_cpu_to_be_16(length), 0};
  udp.dgram_cksum = net::udp_checksum_of(
      net::pseudo_sum(node.source, node.address, IPPROTO_UDP, length) +
      net::sum_bytes(&udp, sizeof udp) + net::sum_bytes(datagram.data(), datagram.size()));
  append(frame, udp);
  frame.insert(frame.end(), datagram.begin(), datagram.end());
  frame.resize(std::max(frame.size(), kFrameMin));
  return frame;
}

}  // namespace lf::probe
