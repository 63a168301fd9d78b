// SPDX-License-Identifier: Apache-2.0
// Where the headers of a UDP datagram lie in a frame as lf-gen sends and takes them: one VLAN tag
// at most, IPv4 without options, IPv6 without extension headers.
#pragma once

#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "dataplane/lcp/header.hpp"

namespace lf::gen {

struct Layout {
  bool tagged = false;
  uint8_t ip_version = 4;

  // From the start of the frame.
  constexpr uint32_t ip_at() const {
    return sizeof(rte_ether_hdr) + (tagged ? sizeof(rte_vlan_hdr) : 0);
  }
  constexpr uint32_t udp_at() const {
    return ip_at() + (ip_version == 4 ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr));
  }
  constexpr uint32_t content_at() const { return udp_at() + sizeof(rte_udp_hdr); }
};
inline constexpr uint32_t kContentAtMax = Layout{.tagged = true, .ip_version = 6}.content_at();

// All of them, from one frame to another; the usual length is known to the compiler.
inline void copy_headers(uint8_t* to, const uint8_t* from, const Layout& layout) {
  constexpr uint32_t kUsual = Layout{}.content_at();
  std::memcpy(to, from, kUsual);
  if (layout.content_at() != kUsual)
    std::memcpy(to + kUsual, from + kUsual, layout.content_at() - kUsual);
}

// What follows the link header of a frame, and where.
struct Network {
  bool tagged = false;
  uint16_t ether_type = 0;  // host order; 0: the frame ends before
  uint32_t at() const { return Layout{.tagged = tagged}.ip_at(); }
};
inline Network network_of(std::span<const uint8_t> frame) {
  if (frame.size() < sizeof(rte_ether_hdr)) return {};
  const uint16_t type = lcp::be16(reinterpret_cast<const rte_ether_hdr*>(frame.data())->ether_type);
  if (type != RTE_ETHER_TYPE_VLAN) return {.ether_type = type};
  if (frame.size() < sizeof(rte_ether_hdr) + sizeof(rte_vlan_hdr)) return {};
  const auto* tag = reinterpret_cast<const rte_vlan_hdr*>(frame.data() + sizeof(rte_ether_hdr));
  return {.tagged = true, .ether_type = lcp::be16(tag->eth_proto)};
}

// None: no UDP, or not in such a frame, or its headers are not all there.
inline std::optional<Layout> find_udp(std::span<const uint8_t> frame) {
  const Network network = network_of(frame);
  const Layout layout{
      .tagged = network.tagged,
      .ip_version = network.ether_type == RTE_ETHER_TYPE_IPV6 ? uint8_t{6} : uint8_t{4}};
  if (frame.size() < layout.content_at()) return std::nullopt;
  const uint8_t* ip = frame.data() + layout.ip_at();
  bool udp = false;
  if (network.ether_type == RTE_ETHER_TYPE_IPV4) {
    const auto* ip4 = reinterpret_cast<const rte_ipv4_hdr*>(ip);
    udp = ip4->version_ihl == RTE_IPV4_VHL_DEF && ip4->next_proto_id == IPPROTO_UDP;
  } else if (network.ether_type == RTE_ETHER_TYPE_IPV6) {
    udp = reinterpret_cast<const rte_ipv6_hdr*>(ip)->proto == IPPROTO_UDP;
  }
  if (!udp) return std::nullopt;
  return layout;
}

}  // namespace lf::gen
