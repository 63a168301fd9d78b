// SPDX-License-Identifier: Apache-2.0
#include "dataplane/net/turn.hpp"

#include <rte_ip.h>
#include <rte_udp.h>

#include <cstddef>
#include <cstring>

#include "dataplane/lcp/header.hpp"
#include "dataplane/net/checksum.hpp"
#include "dataplane/net/link.hpp"

namespace lf::net {

using lcp::be16;
using lcp::be32;

namespace {

// Wire order, as it lies in memory; `low` comes first.
constexpr uint32_t pair16(uint16_t low, uint16_t high) noexcept {
  return low | uint32_t{high} << 16;
}
constexpr uint64_t pair32(uint32_t low, uint32_t high) noexcept {
  return low | uint64_t{high} << 32;
}

// The header is put together in registers: summing up what was just stored in small pieces would
// wait for the stores.
void turn_ipv4(uint8_t* l3, uint16_t size) noexcept {
  uint32_t source, destination;
  std::memcpy(&source, l3 + offsetof(rte_ipv4_hdr, src_addr), sizeof(source));
  std::memcpy(&destination, l3 + offsetof(rte_ipv4_hdr, dst_addr), sizeof(destination));
  const uint8_t protocol = l3[offsetof(rte_ipv4_hdr, next_proto_id)];
  const uint16_t total = static_cast<uint16_t>(sizeof(rte_ipv4_hdr) + size);
  const uint64_t first =
      pair32(pair16(RTE_IPV4_VHL_DEF, be16(total)), pair16(0, be16(RTE_IPV4_HDR_DF_FLAG)));
  const uint16_t ttl = static_cast<uint16_t>(kOwnTtl | protocol << 8);
  const uint64_t sum = half_sum(first) + ttl + source + destination;
  const uint64_t second = pair32(pair16(ttl, checksum_of(sum)), destination);
  std::memcpy(l3, &first, sizeof(first));
  std::memcpy(l3 + 8, &second, sizeof(second));
  std::memcpy(l3 + 16, &source, sizeof(source));
}

void turn_ipv6(uint8_t* l3, uint16_t size) noexcept {
  auto& ip = *reinterpret_cast<rte_ipv6_hdr*>(l3);
  const IpAddress source = from_ipv6(ip.src_addr);
  const IpAddress destination = from_ipv6(ip.dst_addr);
  to_ipv6(destination, ip.src_addr);
  to_ipv6(source, ip.dst_addr);
  ip.vtc_flow = be32(0x60000000);
  ip.payload_len = be16(size);
  ip.hop_limits = kOwnTtl;
}

}  // namespace

void turn_ip(uint8_t* l3, uint8_t ip_version, uint16_t size) noexcept {
  if (ip_version == 4) {
    turn_ipv4(l3, size);
  } else {
    turn_ipv6(l3, size);
  }
}

void turn_datagram(uint8_t* frame, const Meta& meta, uint16_t udp_size) noexcept {
  swap_macs(frame);
  turn_ip(frame + meta.l3_offset, meta.ip_version, udp_size);
  uint8_t* udp = frame + meta.l4_offset;
  uint16_t source, destination;
  std::memcpy(&source, udp, sizeof(source));
  std::memcpy(&destination, udp + sizeof(source), sizeof(destination));
  const uint64_t turned = pair32(pair16(destination, source), be16(udp_size));
  std::memcpy(udp, &turned, sizeof(turned));
}

}  // namespace lf::net
