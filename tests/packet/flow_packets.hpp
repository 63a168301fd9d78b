// SPDX-License-Identifier: Apache-2.0
// Packets of flow services, as their client, the data plane and the node send them, for the tests
// of flows.
#pragma once

#include "tests/packet/rows.hpp"

namespace lf::test {

using V = Verdict;
using forward::Mode;

inline constexpr const char* kVip4 = "10.0.0.100";
inline constexpr const char* kVip6 = "fd00::100";
inline constexpr uint16_t kWeb = 80;
inline constexpr uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;

// A configuration change: flow services "web" and "web6" with one node each.
inline Rig::Change flows(Mode mode, const std::function<void(config::Service&)>& change = {}) {
  return [=](config::Config& c) {
    for (const bool v6 : {false, true}) {
      config::Service s =
          service(v6 ? "web6" : "web", v6 ? kVip6 : kVip4, {v6 ? kNode6 : kNode4}, v6 ? 31 : 21);
      s.kind = config::ServiceKind::flow;
      s.mode = mode;
      s.port = kWeb;
      for (config::Node& n : s.nodes) n.port = kWeb;
      if (change) change(s);
      c.services.push_back(s);
      s.name += "-udp";
      s.protocol = config::Protocol::udp;
      for (config::Node& n : s.nodes) {
        n.name += "-udp";
        n.id += 100;
      }
      c.services.push_back(s);
    }
  };
}

inline Bytes tcp(uint16_t src, uint16_t dst, uint8_t flags, const Bytes& data = {},
                 const Bytes& options = {}) {
  Bytes t{static_cast<uint8_t>(src >> 8),
          static_cast<uint8_t>(src),
          static_cast<uint8_t>(dst >> 8),
          static_cast<uint8_t>(dst),
          1,
          2,
          3,
          4,
          5,
          6,
          7,
          8,
          static_cast<uint8_t>((20 + options.size()) / 4 << 4),
          flags,
          0x20,
          0,
          0,
          0,
          0,
          0};
  t.insert(t.end(), options.begin(), options.end());
  t.insert(t.end(), data.begin(), data.end());
  return t;
}

inline Packet tcp_packet(bool v6, uint8_t flags, uint16_t client_port = kClientPort,
                         const Bytes& data = {}, const Bytes& options = {}) {
  Packet p{.src = v6 ? kClient6 : kClient4, .dst = v6 ? kVip6 : kVip4};
  p.protocol = 6;
  p.l4 = tcp(client_port, kWeb, flags, data, options);
  p.checksum_at = 16;
  return p;
}

inline Packet udp_packet(bool v6, uint16_t client_port = kClientPort) {
  Packet p{.src = v6 ? kClient6 : kClient4, .dst = v6 ? kVip6 : kVip4};
  p.src_port = client_port;
  p.dst_port = kWeb;
  p.udp_payload = Bytes{'h', 'e', 'l', 'l', 'o'};
  return p;
}

inline void set_ports(Packet& p, uint16_t src, uint16_t dst) {
  p.src_port = src;
  p.dst_port = dst;
  if (!p.l4) return;
  (*p.l4)[0] = static_cast<uint8_t>(src >> 8);
  (*p.l4)[1] = static_cast<uint8_t>(src);
  (*p.l4)[2] = static_cast<uint8_t>(dst >> 8);
  (*p.l4)[3] = static_cast<uint8_t>(dst);
}

// Sends it from the data plane's port on, as mode nat does: to the node, from an own address.
inline void send_to_node(Packet& p, bool v6) {
  p.dst_mac = kNodeMac;
  p.src_mac = kPortMac;
  p.src = v6 ? kOwn6 : kOwn4;
  p.dst = v6 ? kNode6 : kNode4;
}
// To the client, from the service's address.
inline void send_to_client(Packet& p, bool v6) {
  p.dst_mac = kClientMac;
  p.src_mac = kPortMac;
  p.src = v6 ? kVip6 : kVip4;
  p.dst = v6 ? kClient6 : kClient4;
}

// What the node gets in mode nat; the own port is whatever the data plane chose.
inline Packet at_node(Packet p, uint16_t own_port) {
  send_to_node(p, p.dst.find(':') != std::string::npos);
  p.ttl -= 1;
  p.padding = 0;
  set_ports(p, own_port, kWeb);
  return p;
}

// The node's answer, and how it reaches the client.
inline Packet answer(const Packet& p, uint16_t own_port) {
  Packet a = p;
  const bool v6 = p.dst.find(':') != std::string::npos;
  a.dst_mac = kPortMac;
  a.src_mac = kNodeMac;
  a.src = v6 ? kNode6 : kNode4;
  a.dst = v6 ? kOwn6 : kOwn4;
  if (a.l4) (*a.l4)[13] |= kAck;
  set_ports(a, kWeb, own_port);
  return a;
}
inline Packet at_client(Packet a, uint16_t client_port = kClientPort) {
  send_to_client(a, a.dst.find(':') != std::string::npos);
  a.ttl -= 1;
  set_ports(a, kWeb, client_port);
  return a;
}

inline uint16_t port_at(const Bytes& frame, bool v6, size_t offset) {
  const size_t at = 14 + (v6 ? 40 : 20) + offset;
  return static_cast<uint16_t>(frame[at] << 8 | frame[at + 1]);
}

// Sends it and gives the own port that the node sees.
inline uint16_t opened(Rig& rig, const Packet& p) {
  const bool v6 = p.dst.find(':') != std::string::npos;
  const Result r = rig.run(p);
  expect_verdict(r, V::flow_forwarded);
  if (r.sent.size() != 1) return 0;
  const uint16_t port = port_at(r.sent[0].frame, v6, 0);
  EXPECT_GE(port, 16384);
  expect_sent(r, {at_node(p, port)});
  return port;
}

inline void expect(Rig& rig, const Packet& in, V verdict, const std::vector<Packet>& out) {
  const Result r = rig.run(in);
  expect_verdict(r, verdict);
  expect_sent(r, out);
}

// The packet as it was sent, without its Ethernet header.
inline Bytes inside(const Packet& p) {
  Bytes frame = build(p);
  frame.erase(frame.begin(), frame.begin() + (p.vlan ? 18 : 14));
  return frame;
}

}  // namespace lf::test
