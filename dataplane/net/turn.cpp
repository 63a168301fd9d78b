// SPDX-License-Identifier: Apache-2.0
#include "dataplane/net/turn.hpp"

#include <rte_ip.h>
#include <rte_udp.h>

#include <cstring>

#include "dataplane/lcp/header.hpp"
#include "dataplane/net/checksum.hpp"
#include "dataplane/net/link.hpp"

namespace lf::net {

using lcp::be16;
using lcp::be32;

void turn_ip(uint8_t* l3, uint8_t ip_version, uint16_t size) noexcept {
  if (ip_version == 4) {
    auto& ip = *reinterpret_cast<rte_ipv4_hdr*>(l3);
    const uint32_t source = ip.src_addr;
    ip.src_addr = ip.dst_addr;
    ip.dst_addr = source;
    ip.type_of_service = 0;
    ip.total_length = be16(static_cast<uint16_t>(sizeof(ip) + size));
    ip.packet_id = 0;
    ip.fragment_offset = be16(RTE_IPV4_HDR_DF_FLAG);
    ip.time_to_live = kOwnTtl;
    set_ipv4_checksum(ip);
  } else {
    auto& ip = *reinterpret_cast<rte_ipv6_hdr*>(l3);
    uint8_t source[16];
    std::memcpy(source, ip.src_addr, sizeof(source));
    std::memcpy(ip.src_addr, ip.dst_addr, sizeof(source));
    std::memcpy(ip.dst_addr, source, sizeof(source));
    ip.vtc_flow = be32(0x60000000);
    ip.payload_len = be16(size);
    ip.hop_limits = kOwnTtl;
  }
}

void turn_datagram(uint8_t* frame, const Meta& meta, uint16_t udp_size) noexcept {
  swap_macs(frame);
  turn_ip(frame + meta.l3_offset, meta.ip_version, udp_size);
  auto& udp = *reinterpret_cast<rte_udp_hdr*>(frame + meta.l4_offset);
  const uint16_t source = udp.src_port;
  udp.src_port = udp.dst_port;
  udp.dst_port = source;
  udp.dgram_len = be16(udp_size);
  udp.dgram_cksum = 0;
}

}  // namespace lf::net
