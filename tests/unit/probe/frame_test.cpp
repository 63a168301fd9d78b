// SPDX-License-Identifier: Apache-2.0
#include "control/probe/frame.hpp"

#include <gtest/gtest.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "control/base/address.hpp"
#include "dataplane/lcp/header.hpp"

namespace lf::probe {
namespace {

forward::Node node(const char* source, const char* address, uint8_t version) {
  forward::Node n;
  n.source = parse_address(source)->address;
  n.address = parse_address(address)->address;
  n.ip_version = version;
  n.source_port = lcp::be16(7171);
  n.port = lcp::be16(9000);
  n.mac.addr_bytes[5] = 0x11;
  n.source_mac.addr_bytes[5] = 0x22;
  return n;
}

const std::vector<uint8_t> kDatagram(81, 0xab);  // an odd length, for the checksum

TEST(ProbeFrame, Ipv4) {
  auto f = frame_to(node("192.0.2.1", "192.0.2.9", 4), kDatagram);
  ASSERT_EQ(f.size(), 14u + 20 + 8 + 81);
  EXPECT_EQ(f[5], 0x11);
  EXPECT_EQ(f[11], 0x22);
  EXPECT_EQ(f[12] << 8 | f[13], 0x0800);
  auto* ip = reinterpret_cast<rte_ipv4_hdr*>(f.data() + 14);
  EXPECT_EQ(rte_be_to_cpu_16(ip->total_length), 20 + 8 + 81);
  EXPECT_EQ(ip->src_addr, rte_cpu_to_be_32(0xc0000201));
  EXPECT_EQ(ip->dst_addr, rte_cpu_to_be_32(0xc0000209));
  EXPECT_EQ(rte_raw_cksum(ip, 20), 0xffff);  // DPDK's own sum over it is complete
  auto* udp = reinterpret_cast<rte_udp_hdr*>(ip + 1);
  EXPECT_EQ(rte_be_to_cpu_16(udp->src_port), 7171);
  EXPECT_EQ(rte_be_to_cpu_16(udp->dst_port), 9000);
  const uint16_t sum = udp->dgram_cksum;
  udp->dgram_cksum = 0;
  EXPECT_EQ(rte_ipv4_udptcp_cksum(ip, udp), sum);
}

TEST(ProbeFrame, Ipv6WithVlan) {
  auto n = node("2001:db8::1", "2001:db8::9", 6);
  n.vlan_tci = 42;
  auto f = frame_to(n, kDatagram);
  ASSERT_EQ(f.size(), 14u + 4 + 40 + 8 + 81);
  EXPECT_EQ(f[12] << 8 | f[13], 0x8100);
  EXPECT_EQ(f[14] << 8 | f[15], 42);
  EXPECT_EQ(f[16] << 8 | f[17], 0x86dd);
  auto* ip = reinterpret_cast<rte_ipv6_hdr*>(f.data() + 18);
  EXPECT_EQ(ip->vtc_flow, rte_cpu_to_be_32(0x60000000));
  EXPECT_EQ(rte_be_to_cpu_16(ip->payload_len), 8 + 81);
  auto* udp = reinterpret_cast<rte_udp_hdr*>(ip + 1);
  const uint16_t sum = udp->dgram_cksum;
  udp->dgram_cksum = 0;
  EXPECT_EQ(rte_ipv6_udptcp_cksum(ip, udp), sum);
}

TEST(ProbeFrame, ShortOnesArePadded) {
  EXPECT_EQ(frame_to(node("192.0.2.1", "192.0.2.9", 4), {}).size(), 60u);
}

}  // namespace
}  // namespace lf::probe
