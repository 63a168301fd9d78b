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

namespace lf::bench {

struct Options {
  bool auth = true;
  bool audit = false;
  uint32_t orgs = 1;
  uint32_t operators = 1;
  uint32_t duplicates = 0;  // percent
  uint32_t wrong = 0;       // one in so many commands has a wrong UDP checksum; 0: none
  bool unsummed = false;    // commands have no UDP checksum
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

// Fills a frame anew: Ethernet, IPv4, UDP, zeros. `source`: in host order.
inline rte_udp_hdr* make_udp(rte_mbuf* m, uint32_t size, uint32_t source, uint16_t source_port,
                             rte_be16_t port) {
  rte_pktmbuf_reset(m);
  m->port = 0;
  auto* eth = reinterpret_cast<rte_ether_hdr*>(rte_pktmbuf_append(m, static_cast<uint16_t>(size)));
  std::memset(static_cast<void*>(eth), 0, size);
  eth->dst_addr = {{2, 0, 0, 0, 0, 1}};
  eth->src_addr = {{2, 0, 0, 0, 0, 2}};
  eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
  auto* ip = reinterpret_cast<rte_ipv4_hdr*>(eth + 1);
  const auto ip_length = static_cast<uint16_t>(size - sizeof *eth);
  ip->version_ihl = RTE_IPV4_VHL_DEF;
  ip->total_length = rte_cpu_to_be_16(ip_length);
  ip->time_to_live = 64;
  ip->next_proto_id = 17;
  ip->src_addr = rte_cpu_to_be_32(source);
  ip->dst_addr = RTE_BE32(RTE_IPV4(10, 0, 0, 1));
  ip->hdr_checksum = rte_ipv4_cksum(ip);
  auto* udp = reinterpret_cast<rte_udp_hdr*>(ip + 1);
  udp->src_port = rte_cpu_to_be_16(source_port);
  udp->dst_port = port;
  udp->dgram_len = rte_cpu_to_be_16(static_cast<uint16_t>(ip_length - sizeof *ip));
  return udp;
}

// A command; tag and UDP checksum come afterwards.
inline void make_frame(rte_mbuf* m, const Options& o, uint64_t id, uint32_t org,
                       uint64_t deadline_us) {
  auto* udp = make_udp(m, o.size, RTE_IPV4(10, 2, 0, 0) + static_cast<uint32_t>(id % 4096) + 1,
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

// A datagram of one of the flows, in no order that a cache could profit from.
inline void make_flow_frame(rte_mbuf* m, const Options& o, uint64_t number) {
  const auto flow = static_cast<uint32_t>(number * 2654435761u % o.flows);
  auto* udp = make_udp(m, o.size, RTE_IPV4(10, 2, 0, 0) + flow / 32768 * 256 + 1,
                       static_cast<uint16_t>(20000 + flow % 32768), RTE_BE16(kFlowPort));
  udp->dgram_cksum = rte_ipv4_udptcp_cksum(reinterpret_cast<rte_ipv4_hdr*>(udp) - 1, udp);
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
