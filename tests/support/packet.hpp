// SPDX-License-Identifier: Apache-2.0
// Packets for tests, as values: a Packet says what a frame looks like, with defaults that make a
// valid command from a client to service "commands"; build() turns it into bytes. Every length and
// checksum can be overridden. Shares no code with the data plane (except the LCP constants): its
// checksums are the naive ones, so that it can judge what the stages write.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/lcp/header.hpp"

namespace lf::test {

using Bytes = std::vector<uint8_t>;
using Mac = std::array<uint8_t, 6>;
using Key = std::array<uint8_t, 16>;

// The little world of the tests: one port, a client, two nodes.
inline constexpr Mac kPortMac{0x02, 0, 0, 0, 0, 0x01};
inline constexpr Mac kClientMac{0x02, 0, 0, 0, 0, 0x0c};
inline constexpr Mac kNodeMac{0x02, 0, 0, 0, 0, 0x0e};
inline constexpr Mac kOtherMac{0x02, 0, 0, 0, 0, 0x0f};
inline constexpr Mac kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
inline constexpr const char* kOwn4 = "10.0.0.1";
inline constexpr const char* kOwn6 = "fd00::1";
inline constexpr const char* kClient4 = "10.0.0.12";
inline constexpr const char* kClient6 = "fd00::c";
inline constexpr const char* kNode4 = "10.0.0.14";
inline constexpr const char* kNode6 = "fd00::e";
inline constexpr uint16_t kClientPort = 40000;
inline constexpr uint64_t kNowUs = 1'767'225'600'000'000;  // 2026-01-01T00:00:00Z

struct Lcp {
  uint16_t magic = lcp::kMagic;
  uint8_t version = lcp::kVersion;
  uint8_t type = 1;
  uint8_t flags = 0;
  uint8_t intent = 1;
  uint8_t severity = 1;
  uint8_t attempt = 0;
  uint32_t org = 1;
  uint32_t operator_id = 7;
  uint64_t id = 1;  // command_id; its other half is the organisation
  uint64_t trace = 0x7ace;
  uint64_t deadline_us = kNowUs + 10'000'000;
  uint32_t target = 0;
  std::optional<uint16_t> payload_length;
  uint16_t key_id = 0;
  std::optional<Key> key;  // sign with it, which sets the tag flag
  std::optional<Bytes> tag;
  Bytes payload;
};

struct Packet {
  // Ethernet
  Mac dst_mac = kPortMac, src_mac = kClientMac;
  std::optional<uint16_t> vlan;
  std::optional<uint16_t> vlan_type;   // instead of 0x8100
  std::optional<uint16_t> inner_vlan;  // a second tag
  std::optional<uint16_t> ether_type;
  // IP: the version follows from the destination
  std::string src = kClient4, dst = kOwn4;
  uint8_t ttl = 64;
  uint8_t protocol = 17;
  uint8_t tos = 0;
  uint32_t flow_label = 0;
  uint16_t ip_id = 0;
  uint16_t fragment = 0x4000;  // flags and offset: don't fragment
  Bytes ip_options;
  std::optional<uint8_t> version_ihl;
  std::optional<uint16_t> total_length;  // IPv6: payload length
  std::optional<uint16_t> ip_checksum;
  // UDP
  uint16_t src_port = kClientPort, dst_port = lcp::kDefaultPort;
  std::optional<uint16_t> udp_length;
  std::optional<uint16_t> udp_checksum;
  // What UDP carries: LCP, or these bytes
  Lcp lcp;
  std::optional<Bytes> udp_payload;
  // Instead of UDP: what follows the IP header. `checksum_at` >= 0: a checksum in it is filled in,
  // with the pseudo-header for ICMPv6 and TCP.
  std::optional<Bytes> l4;
  int checksum_at = -1;
  // Instead of IP: what follows the EtherType.
  std::optional<Bytes> l3;
  // At the end
  size_t padding = 0;         // bytes after the packet
  std::optional<size_t> cut;  // frame shortened to this length
};

Bytes build(const Packet& packet);
Bytes build_lcp(const Lcp& lcp);

// REPLY and REPORT bodies.
Bytes reply_body(lcp::Status status, uint8_t reason = 0, uint16_t flags = 0,
                 uint32_t quota_remaining = 0, uint32_t reset_seconds = 0,
                 uint32_t throttle_ms = 0);
Bytes report_body(uint32_t node_id, uint32_t successes = 0, uint32_t failures = 0);

// ARP packets, ICMP messages; the result goes into Packet::l3 or Packet::l4.
Bytes arp(uint16_t operation, const Mac& sender_mac, const std::string& sender_ip,
          const Mac& target_mac, const std::string& target_ip);
Bytes icmp(uint8_t type, uint8_t code, uint32_t rest, const Bytes& data = {});
Bytes neighbour_message(uint8_t type, uint32_t flags, const std::string& target,
                        const Bytes& options = {});
Bytes link_layer_option(uint8_t type, const Mac& mac);

// Addresses as bytes: 4 or 16 of them.
Bytes ip_bytes(const std::string& text);

// One's complement sum over 16-bit words in host order, as RFC 1071 words it.
uint16_t naive_sum(const Bytes& bytes, uint32_t start = 0);

// Empty when every length and checksum of an Ethernet frame with IP inside is right; else what is
// wrong. UDP over IPv4 may go without a checksum.
std::string check_frame(const Bytes& frame);

// "aa bb cc …", 16 bytes a line, with the lines that differ marked.
std::string hex_diff(const Bytes& got, const Bytes& want);

}  // namespace lf::test
