// SPDX-License-Identifier: Apache-2.0
// The frames of pipeline_bench: commands and flow packets, made anew in mbufs before every pass,
// and written to a file for dpdk-testpmd.
#pragma once

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "dataplane/lcp/header.hpp"
#include "dataplane/net/address.hpp"

namespace lf::bench {

struct Options {
  bool auth = true;
  bool audit = false;
  uint32_t orgs = 1;
  uint32_t operators = 1;
  uint32_t duplicates = 0;  // percent
  uint32_t wrong = 0;       // one in so many commands has a wrong UDP checksum; 0: none
  bool unsummed = false;    // commands have no UDP checksum
  bool offloaded = false;   // the port says that checksums are right
  uint16_t vlan = 0;        // on the wire; 0: untagged
  bool ipv6 = false;
  bool replies = false;     // measure the nodes' replies instead
  uint32_t timeout_ms = 100;  // of commands
  uint64_t entries = 1u << 20;
  std::string ledger = "empty";  // what it holds before: empty, half, full, flooded
  uint32_t burst = 32;
  uint32_t size = 128;  // bytes of a frame
  uint32_t frames = 8192;
  uint32_t passes = 160;
  uint32_t nodes = 3;
  bool stages = false;
  bool no_huge = false;
  uint32_t flows = 0;  // 0: commands
  uint32_t nat = 0;    // places for translated flows; 0: twice the flows
  std::string mode = "nat";
  uint32_t workers = 1;  // at the same time, over the same tables, ledger and quotas
  uint32_t idle = 0;     // workers beside them that get nothing
  std::string policy;    // file of rules
  std::string pcap;
};

constexpr uint16_t kFlowPort = 5353;

// Where headers are in a frame.
inline uint32_t l3_of(const Options& o) {
  return sizeof(rte_ether_hdr) + (o.vlan != 0 ? sizeof(rte_vlan_hdr) : 0);
}
inline uint32_t l4_of(const Options& o) {
  return l3_of(o) + (o.ipv6 ? sizeof(rte_ipv6_hdr) : sizeof(rte_ipv4_hdr));
}
inline uint32_t lcp_of(const Options& o) { return l4_of(o) + sizeof(rte_udp_hdr); }

// 10.`net`.x.x, or fd00::10`net`:x:x.
inline IpAddress address(const Options& o, uint8_t net, uint32_t number) {
  if (!o.ipv6) return net::from_ipv4(rte_cpu_to_be_32(RTE_IPV4(10, net, 0, 0) + number));
  uint8_t bytes[16] = {0xfd};
  bytes[11] = 10;
  bytes[10] = net;
  for (uint32_t k = 0; k < 4; ++k) bytes[12 + k] = static_cast<uint8_t>(number >> (24 - 8 * k));
  return net::from_ipv6(bytes);
}
inline uint8_t ip_version(const Options& o) { return o.ipv6 ? 6 : 4; }
inline IpAddress vip(const Options& o) { return address(o, 0, 1); }

inline void fill_link(rte_ether_hdr& eth, const Options& o) {
  eth.dst_addr = {{2, 0, 0, 0, 0, 1}};
  eth.src_addr = {{2, 0, 0, 0, 0, 2}};
  const uint16_t type = o.ipv6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4;
  eth.ether_type = rte_cpu_to_be_16(o.vlan != 0 ? RTE_ETHER_TYPE_VLAN : type);
  if (o.vlan == 0) return;
  auto& tag = *reinterpret_cast<rte_vlan_hdr*>(&eth + 1);
  tag.vlan_tci = rte_cpu_to_be_16(o.vlan);
  tag.eth_proto = rte_cpu_to_be_16(type);
}

// To the VIP. `l4_length`: of what follows.
inline void fill_ip(void* l3, const Options& o, const IpAddress& source, uint16_t l4_length) {
  const IpAddress to = vip(o);
  if (o.ipv6) {
    auto& ip = *static_cast<rte_ipv6_hdr*>(l3);
    ip.vtc_flow = RTE_BE32(0x60000000);
    ip.payload_len = rte_cpu_to_be_16(l4_length);
    ip.hop_limits = 64;
    ip.proto = 17;
    std::memcpy(ip.src_addr, &source, sizeof ip.src_addr);
    std::memcpy(ip.dst_addr, &to, sizeof ip.dst_addr);
    return;
  }
  auto& ip = *static_cast<rte_ipv4_hdr*>(l3);
  ip.version_ihl = RTE_IPV4_VHL_DEF;
  ip.total_length = rte_cpu_to_be_16(static_cast<uint16_t>(l4_length + sizeof ip));
  ip.time_to_live = 64;
  ip.next_proto_id = 17;
  ip.src_addr = net::to_ipv4(source);
  ip.dst_addr = net::to_ipv4(to);
  ip.hdr_checksum = rte_ipv4_cksum(&ip);
}

// Fills a frame anew: Ethernet, IP, UDP, zeros.
inline rte_udp_hdr* make_udp(rte_mbuf* m, const Options& o, const IpAddress& source,
                             uint16_t source_port, rte_be16_t port) {
  rte_pktmbuf_reset(m);
  m->port = 0;
  char* frame = rte_pktmbuf_append(m, static_cast<uint16_t>(o.size));
  std::memset(frame, 0, o.size);
  fill_link(*reinterpret_cast<rte_ether_hdr*>(frame), o);
  const auto length = static_cast<uint16_t>(o.size - l4_of(o));
  fill_ip(frame + l3_of(o), o, source, length);
  auto* udp = reinterpret_cast<rte_udp_hdr*>(frame + l4_of(o));
  udp->src_port = rte_cpu_to_be_16(source_port);
  udp->dst_port = port;
  udp->dgram_len = rte_cpu_to_be_16(length);
  return udp;
}

inline void set_checksum(rte_udp_hdr& udp, const Options& o) {
  udp.dgram_cksum = 0;
  const char* l3 = reinterpret_cast<const char*>(&udp) - (l4_of(o) - l3_of(o));
  udp.dgram_cksum =
      o.ipv6 ? rte_ipv6_udptcp_cksum(reinterpret_cast<const rte_ipv6_hdr*>(l3), &udp)
             : rte_ipv4_udptcp_cksum(reinterpret_cast<const rte_ipv4_hdr*>(l3), &udp);
}

// A command; tag and UDP checksum come afterwards.
inline void make_frame(rte_mbuf* m, const Options& o, uint64_t id, uint32_t org,
                       uint64_t deadline_us) {
  auto* udp = make_udp(m, o, address(o, 2, static_cast<uint32_t>(id % 4096) + 1),
                       static_cast<uint16_t>(20000 + id % 20000), RTE_BE16(lcp::kDefaultPort));
  auto* h = reinterpret_cast<lcp::Header*>(udp + 1);
  h->magic = lcp::be16(lcp::kMagic);
  h->version = lcp::kVersion;
  h->type = static_cast<uint8_t>(lcp::Type::command);
  h->intent = static_cast<uint8_t>(1 + id % 3);
  h->severity = 1;
  h->org_id = lcp::be32(org);
  h->operator_id = lcp::be32(1 + static_cast<uint32_t>(id % o.operators));
  std::memcpy(h->command_id, &id, sizeof id);
  std::memcpy(h->command_id + 8, &org, sizeof org);
  h->deadline_us = lcp::be64(deadline_us);
  h->payload_length = lcp::be16(
      static_cast<uint16_t>(rte_be_to_cpu_16(udp->dgram_len) - sizeof *udp - sizeof *h));
  h->key_id = lcp::be16(1);
}

// The reply to a command that is as its node gets it; tag and checksums come afterwards.
inline void make_reply(rte_mbuf* m, const Options& o) {
  auto* frame = rte_pktmbuf_mtod(m, uint8_t*);
  void* l3 = frame + l3_of(o);
  auto& udp = *reinterpret_cast<rte_udp_hdr*>(frame + l4_of(o));
  auto* h = reinterpret_cast<lcp::Header*>(&udp + 1);
  IpAddress to, node;
  net::load_addresses(static_cast<const uint8_t*>(l3), ip_version(o), to, node);
  constexpr uint16_t kLcp = sizeof(lcp::Header) + sizeof(lcp::ReplyBody);
  const auto length = static_cast<uint16_t>(sizeof udp + kLcp);
  m->data_len = static_cast<uint16_t>(m->pkt_len = lcp_of(o) + kLcp);
  m->ol_flags = 0;
  fill_link(*reinterpret_cast<rte_ether_hdr*>(frame), o);
  std::memset(l3, 0, l4_of(o) - l3_of(o));
  fill_ip(l3, o, node, length);
  const rte_be16_t port = udp.src_port;
  udp.src_port = udp.dst_port;
  udp.dst_port = port;
  udp.dgram_len = rte_cpu_to_be_16(length);
  h->type = static_cast<uint8_t>(lcp::Type::reply);
  h->flags = 0;
  std::memset(h->tag, 0, sizeof h->tag);
  h->payload_length = lcp::be16(sizeof(lcp::ReplyBody));
  lcp::ReplyBody body{};
  body.status = static_cast<uint8_t>(lcp::Status::ok);
  std::memcpy(h + 1, &body, sizeof body);
}

// A datagram of one of the flows, in no order that a cache could profit from.
inline void make_flow_frame(rte_mbuf* m, const Options& o, uint64_t number) {
  const auto flow = static_cast<uint32_t>(number * 2654435761u % o.flows);
  auto* udp = make_udp(m, o, address(o, 2, flow / 32768 * 256 + 1),
                       static_cast<uint16_t>(20000 + flow % 32768), RTE_BE16(kFlowPort));
  set_checksum(*udp, o);
}

// As net_pcap reads it.
inline void write_pcap(const std::vector<rte_mbuf*>& frames, const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  const auto put = [&](auto value) { file.write(reinterpret_cast<char*>(&value), sizeof value); };
  put(uint32_t{0xa1b2c3d4});
  put(uint16_t{2});
  put(uint16_t{4});
  put(uint64_t{0});
  put(uint32_t{65535});
  put(uint32_t{1});
  // All of them: net_pcap with infinite_rx keeps each in an mbuf of its own, so that it pays for the
  // headers that are not in the cache as the pipeline does.
  for (const rte_mbuf* m : frames) {
    put(uint64_t{0});
    put(uint32_t{m->pkt_len});
    put(uint32_t{m->pkt_len});
    file.write(rte_pktmbuf_mtod(m, const char*), m->pkt_len);
  }
}

}  // namespace lf::bench
