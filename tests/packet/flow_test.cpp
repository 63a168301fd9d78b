// SPDX-License-Identifier: Apache-2.0
// Packets of flow services through all stages, every frame compared byte for byte with one that is
// built from scratch: nat both ways, dsr-l2, encapsulation, ICMP errors, fragments, drop reasons.
#include <algorithm>

#include "tests/packet/rows.hpp"

namespace lf::test {
namespace {

using V = Verdict;
using forward::Mode;

constexpr const char* kVip4 = "10.0.0.100";
constexpr const char* kVip6 = "fd00::100";
constexpr uint16_t kWeb = 80;
constexpr uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;

// A configuration change: flow services "web" and "web6" with one node each.
Rig::Change flows(Mode mode, const std::function<void(config::Service&)>& change = {}) {
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

Bytes tcp(uint16_t src, uint16_t dst, uint8_t flags, const Bytes& data = {},
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

Packet tcp_packet(bool v6, uint8_t flags, uint16_t client_port = kClientPort,
                  const Bytes& data = {}, const Bytes& options = {}) {
  Packet p{.src = v6 ? kClient6 : kClient4, .dst = v6 ? kVip6 : kVip4};
  p.protocol = 6;
  p.l4 = tcp(client_port, kWeb, flags, data, options);
  p.checksum_at = 16;
  return p;
}

Packet udp_packet(bool v6, uint16_t client_port = kClientPort) {
  Packet p{.src = v6 ? kClient6 : kClient4, .dst = v6 ? kVip6 : kVip4};
  p.src_port = client_port;
  p.dst_port = kWeb;
  p.udp_payload = Bytes{'h', 'e', 'l', 'l', 'o'};
  return p;
}

void set_ports(Packet& p, uint16_t src, uint16_t dst) {
  p.src_port = src;
  p.dst_port = dst;
  if (!p.l4) return;
  (*p.l4)[0] = static_cast<uint8_t>(src >> 8);
  (*p.l4)[1] = static_cast<uint8_t>(src);
  (*p.l4)[2] = static_cast<uint8_t>(dst >> 8);
  (*p.l4)[3] = static_cast<uint8_t>(dst);
}

// What the node gets in mode nat; the own port is whatever the data plane chose.
Packet at_node(Packet p, uint16_t own_port) {
  const bool v6 = p.dst.find(':') != std::string::npos;
  p.dst_mac = kNodeMac;
  p.src_mac = kPortMac;
  p.src = v6 ? kOwn6 : kOwn4;
  p.dst = v6 ? kNode6 : kNode4;
  p.ttl -= 1;
  p.padding = 0;
  set_ports(p, own_port, kWeb);
  return p;
}

// The node's answer, and how it reaches the client.
Packet answer(const Packet& p, uint16_t own_port) {
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
Packet at_client(Packet a, uint16_t client_port = kClientPort) {
  const bool v6 = a.dst.find(':') != std::string::npos;
  a.dst_mac = kClientMac;
  a.src_mac = kPortMac;
  a.src = v6 ? kVip6 : kVip4;
  a.dst = v6 ? kClient6 : kClient4;
  a.ttl -= 1;
  set_ports(a, kWeb, client_port);
  return a;
}

uint16_t port_at(const Bytes& frame, bool v6, size_t offset) {
  const size_t at = 14 + (v6 ? 40 : 20) + offset;
  return static_cast<uint16_t>(frame[at] << 8 | frame[at + 1]);
}

// Sends it and gives the own port that the node sees.
uint16_t opened(Rig& rig, const Packet& p) {
  const bool v6 = p.dst.find(':') != std::string::npos;
  const Result r = rig.run(p);
  expect_verdict(r, V::flow_forwarded);
  if (r.sent.size() != 1) return 0;
  const uint16_t port = port_at(r.sent[0].frame, v6, 0);
  EXPECT_GE(port, 16384);
  expect_sent(r, {at_node(p, port)});
  return port;
}

void expect(Rig& rig, const Packet& in, V verdict, const std::vector<Packet>& out) {
  const Result r = rig.run(in);
  expect_verdict(r, verdict);
  expect_sent(r, out);
}

TEST(FlowNat, TcpBothWays) {
  Rig rig(flows(Mode::nat));
  for (const bool v6 : {false, true}) {
    const Packet syn = tcp_packet(v6, kSyn);
    const uint16_t port = opened(rig, syn);
    const Packet data = tcp_packet(v6, kAck, kClientPort, Bytes(101, 7));
    EXPECT_EQ(opened(rig, data), port) << "a connection keeps its port";
    expect(rig, answer(syn, port), V::flow_returned, {at_client(answer(syn, port))});
    expect(rig, answer(data, port), V::flow_returned, {at_client(answer(data, port))});
    EXPECT_NE(opened(rig, tcp_packet(v6, kSyn, 41000)), port) << "another one has another";
  }
}

TEST(FlowNat, UdpBothWays) {
  Rig rig(flows(Mode::nat));
  for (const bool v6 : {false, true}) {
    const Packet p = udp_packet(v6);
    const uint16_t port = opened(rig, p);
    expect(rig, answer(p, port), V::flow_returned, {at_client(answer(p, port))});
  }
  Packet none = udp_packet(false);
  none.udp_checksum = 0;
  const uint16_t port = opened(rig, none);
  expect(rig, answer(none, port), V::flow_returned, {at_client(answer(none, port))});
}

TEST(FlowNat, TagsOfClientAndNode) {
  Rig rig(flows(Mode::nat), {.node_vlan = 77});
  Packet p = tcp_packet(false, kSyn);
  p.vlan = 12;
  p.padding = 6;
  const Result r = rig.run(p);
  ASSERT_EQ(r.sent.size(), 1u);
  const uint16_t port = port_at(r.sent[0].frame, false, 4);
  Packet want = at_node(p, port);
  want.vlan = 77;
  expect_sent(r, {want});
  Packet back = answer(p, port);
  back.vlan = 77;
  Packet to_client = at_client(back);
  to_client.vlan = 12;
  to_client.padding = 0;
  expect(rig, back, V::flow_returned, {to_client});
}

TEST(FlowNat, AnotherAddressCannotAnswer) {
  Rig rig(flows(Mode::nat));
  const Packet syn = tcp_packet(false, kSyn);
  const uint16_t port = opened(rig, syn);
  Packet forged = answer(syn, port);
  forged.src = "10.0.0.15";
  expect(rig, forged, V::not_ours, {});
  Packet other = udp_packet(false);
  other.dst = kOwn4;
  other.dst_port = port;
  expect(rig, other, V::udp_port, {});
}

TEST(FlowNat, ForgetsAfterItsTime) {
  Rig rig(flows(Mode::nat));
  const Packet p = udp_packet(false);
  const uint16_t port = opened(rig, p);
  expect(rig, answer(p, port), V::flow_returned, {at_client(answer(p, port))});
  rig.advance_ms(59'000);
  expect(rig, answer(p, port), V::flow_returned, {at_client(answer(p, port))});
  rig.advance_ms(61'000);
  expect(rig, answer(p, port), V::udp_port, {});
  opened(rig, p);
}

TEST(FlowNat, PortsRunOut) {
  Rig rig([](config::Config& c) {
    flows(Mode::nat)(c);
    c.flows.nat_port_first = c.flows.nat_port_last = 20000;
  });
  const Packet first = tcp_packet(false, kSyn);
  EXPECT_EQ(opened(rig, first), 20000);
  expect(rig, tcp_packet(false, kSyn, 41000), V::flow_table_full, {});
  // A reset connection gives its port back soon.
  opened(rig, tcp_packet(false, kRst));
  rig.advance_ms(5'000);
  EXPECT_EQ(opened(rig, tcp_packet(false, kSyn, 41000)), 20000);
}

TEST(FlowNat, TtlAndHopLimit) {
  Rig rig(flows(Mode::nat));
  for (const bool v6 : {false, true}) {
    Packet p = tcp_packet(v6, kSyn);
    p.ttl = 1;
    expect(rig, p, V::ttl_expired, {});
  }
}

TEST(FlowNat, MssIsLowered) {
  Rig rig(flows(Mode::nat, [](config::Service& s) { s.mss = 1300; }));
  for (const Bytes& options : {Bytes{2, 4, 5, 180, 1, 1, 4, 2}, Bytes{1, 2, 4, 5, 180, 1, 4, 2}}) {
    const Packet syn = tcp_packet(false, kSyn, kClientPort, {}, options);
    Packet lowered = syn;
    const size_t at = 20 + (options[0] == 1 ? 3 : 2);
    (*lowered.l4)[at] = 1300 >> 8;
    (*lowered.l4)[at + 1] = 1300 & 0xff;
    const Result r = rig.run(syn);
    ASSERT_EQ(r.sent.size(), 1u);
    expect_sent(r, {at_node(lowered, port_at(r.sent[0].frame, false, 0))});
  }
  const Packet small = tcp_packet(false, kSyn, kClientPort, {}, {2, 4, 2, 0});
  opened(rig, small);
}

TEST(FlowDsr, OnlyMacAddressesChange) {
  Rig rig(flows(Mode::dsr_l2));
  for (const bool v6 : {false, true})
    for (const Packet& p : {tcp_packet(v6, kSyn), udp_packet(v6)}) {
      Packet want = p;
      want.dst_mac = kNodeMac;
      want.src_mac = kPortMac;
      expect(rig, p, V::flow_forwarded, {want});
    }
}

// The packet as it was sent, without its Ethernet header.
Bytes inside(const Packet& p) {
  Bytes frame = build(p);
  frame.erase(frame.begin(), frame.begin() + (p.vlan ? 18 : 14));
  return frame;
}

Packet outer(bool v6, const Packet& p, uint16_t vlan) {
  Packet o{.dst_mac = kNodeMac,
           .src_mac = kPortMac,
           .src = v6 ? kOwn6 : kOwn4,
           .dst = v6 ? kNode6 : kNode4};
  if (vlan) o.vlan = vlan;
  o.tos = p.tos;
  return o;
}

struct Tunnel {
  bool gue, outer_v6, inner_v6;
  uint16_t vlan;
};

class FlowTunnel : public testing::TestWithParam<Tunnel> {};
TEST_P(FlowTunnel, IsByteExact) {
  const Tunnel t = GetParam();
  Rig rig(flows(t.gue ? Mode::gue : Mode::ipip,
                [&](config::Service& s) {
                  for (config::Node& n : s.nodes) {
                    n.address = ip(t.outer_v6 ? kNode6 : kNode4);
                    n.ip_version = t.outer_v6 ? 6 : 4;
                  }
                }),
          {.node_vlan = t.vlan});
  Packet p = tcp_packet(t.inner_v6, kSyn, kClientPort, Bytes(33, 9));
  p.tos = 0xb8;
  const Bytes inner = inside(p);
  const Result r = rig.run(p);
  expect_verdict(r, V::flow_forwarded);
  ASSERT_EQ(r.sent.size(), 1u);
  const Bytes& frame = r.sent[0].frame;
  const size_t l3 = t.vlan ? 18 : 14;
  Packet want = outer(t.outer_v6, p, t.vlan);
  // What follows from the flow's hash is taken from the frame; that it varies is tested below.
  if (t.outer_v6)
    want.flow_label = (frame[l3 + 1] & 0x0fu) << 16 | frame[l3 + 2] * 256u | frame[l3 + 3];
  const uint8_t next = t.inner_v6 ? 41 : 4;
  if (t.gue) {
    const size_t udp = l3 + (t.outer_v6 ? 40 : 20);
    want.src_port = static_cast<uint16_t>(frame[udp] << 8 | frame[udp + 1]);
    EXPECT_GE(want.src_port, 49152);
    want.dst_port = 6080;
    Bytes gue{0, next, 0, 0};
    gue.insert(gue.end(), inner.begin(), inner.end());
    want.udp_payload = gue;
    if (!t.outer_v6) want.udp_checksum = 0;
  } else {
    want.protocol = next;
    want.l4 = inner;
  }
  expect_sent(r, {want});
}
INSTANTIATE_TEST_SUITE_P(
    Kinds, FlowTunnel,
    testing::Values(Tunnel{false, false, false, 0}, Tunnel{false, false, true, 0},
                    Tunnel{false, true, false, 0}, Tunnel{false, true, true, 0},
                    Tunnel{true, false, false, 0}, Tunnel{true, false, true, 0},
                    Tunnel{true, true, false, 0}, Tunnel{true, true, true, 0},
                    Tunnel{false, false, false, 9}, Tunnel{false, true, true, 9},
                    Tunnel{true, false, false, 9}, Tunnel{true, true, true, 9}));

TEST(FlowTunnels, TheOuterSourceVariesByFlowWithinItsPrefix) {
  Rig rig(flows(Mode::ipip, [](config::Service& s) {
    const bool v4 = s.ip_version == 4;
    s.outer_source = config::Prefix{ip(v4 ? "172.16.0.0" : "fd01::"),
                                    static_cast<uint8_t>(v4 ? 16 : 64), s.ip_version};
  }));
  for (const bool v6 : {false, true}) {
    std::set<Bytes> sources;
    for (uint16_t port = 40000; port < 40050; ++port) {
      const auto source = [&] {
        const Result r = rig.run(tcp_packet(v6, kAck, port));
        EXPECT_EQ(r.sent.size(), 1u);
        const Bytes& f = r.sent.at(0).frame;
        return Bytes(f.begin() + (v6 ? 22 : 26), f.begin() + (v6 ? 38 : 30));
      };
      const Bytes first = source();
      EXPECT_EQ(source(), first) << "a flow has one source";
      EXPECT_EQ((Bytes(first.begin(), first.begin() + 2)),
                v6 ? (Bytes{0xfd, 1}) : (Bytes{172, 16}));
      if (v6) {
        EXPECT_EQ((Bytes(first.begin() + 2, first.begin() + 8)), Bytes(6, 0));
      }
      sources.insert(first);
    }
    EXPECT_GE(sources.size(), 45u);
  }
}

TEST(FlowTunnels, TooBigForTheTunnelTellsTheClient) {
  Rig rig(flows(Mode::ipip));
  Packet p = tcp_packet(false, kAck, kClientPort, Bytes(1441, 1));  // 1481 bytes of IP
  Bytes quoted = inside(p);
  quoted.resize(576 - 28);
  Packet want{.dst_mac = kClientMac, .src_mac = kPortMac, .src = kVip4, .dst = kClient4, .ttl = 64};
  want.protocol = 1;
  want.l4 = icmp(3, 4, 1480, quoted);
  want.checksum_at = 2;
  expect(rig, p, V::too_big, {want});
  p = tcp_packet(false, kAck, kClientPort, Bytes(1440, 1));
  expect_verdict(rig.run(p), V::flow_forwarded);
}

// A router on the way to the client says that the node's packet was too big for it.
Packet error_about(bool v6, const Packet& sent) {
  Bytes quoted = inside(sent);
  quoted.resize(v6 ? 60 : 48);
  Packet e{.src = v6 ? "fd00::99" : "10.0.0.99", .dst = sent.src};
  e.protocol = v6 ? 58 : 1;
  e.l4 = v6 ? icmp(2, 0, 1280, quoted) : icmp(3, 4, 1280, quoted);
  e.checksum_at = 2;
  return e;
}

TEST(FlowIcmp, ErrorsGoToTheFlowsNodeTranslated) {
  Rig rig(flows(Mode::nat));
  for (const bool v6 : {false, true}) {
    const Packet syn = tcp_packet(v6, kSyn);
    const uint16_t port = opened(rig, syn);
    const Packet node_sent = answer(syn, port);
    Packet client_got = at_client(node_sent);
    const Packet error = error_about(v6, client_got);
    // The quoted packet as the node sent it, but for its TTL, which was counted down on the way.
    Packet known = node_sent;
    known.ttl = client_got.ttl;
    Packet want = error_about(v6, known);
    want.dst_mac = kNodeMac;
    want.src_mac = kPortMac;
    want.src = v6 ? kOwn6 : kOwn4;
    want.dst = v6 ? kNode6 : kNode4;
    want.ttl = 63;
    expect(rig, error, V::flow_forwarded, {want});
  }
}

TEST(FlowIcmp, ErrorsOfNodesGoToTheClientTranslated) {
  Rig rig(flows(Mode::nat));
  for (const bool v6 : {false, true}) {
    const Packet p = udp_packet(v6);
    const uint16_t port = opened(rig, p);
    Packet error = error_about(v6, at_node(p, port));
    error.src = v6 ? kNode6 : kNode4;
    Packet known = p;
    known.ttl -= 1;
    Packet want = error_about(v6, known);
    want.dst_mac = kClientMac;
    want.src_mac = kPortMac;
    want.src = v6 ? kVip6 : kVip4;
    want.dst = v6 ? kClient6 : kClient4;
    want.ttl = 63;
    expect(rig, error, V::flow_returned, {want});
  }
}

TEST(FlowIcmp, ErrorsGoToTheFlowsNodeAsTheyAreWithoutNat) {
  Rig rig(flows(Mode::dsr_l2));
  Packet sent = tcp_packet(false, kSyn | kAck);
  std::swap(sent.src, sent.dst);
  set_ports(sent, kWeb, kClientPort);
  const Packet error = error_about(false, sent);
  Packet want = error;
  want.dst_mac = kNodeMac;
  want.src_mac = kPortMac;
  expect(rig, error, V::flow_forwarded, {want});
}

TEST(FlowIcmp, AboutNobodysFlow) {
  Rig rig(flows(Mode::nat));
  Packet sent = tcp_packet(false, kSyn | kAck);
  std::swap(sent.src, sent.dst);
  set_ports(sent, kWeb, 41234);
  expect(rig, error_about(false, sent), V::flow_unknown, {});
}

TEST(FlowIcmp, DamagedErrorsAreNotRepaired) {
  Rig rig(flows(Mode::nat));
  const uint16_t port = opened(rig, tcp_packet(false, kSyn));
  Packet error = error_about(false, at_client(answer(tcp_packet(false, kSyn), port)));
  error.checksum_at = -1;
  (*error.l4)[2] = 0x12;
  expect(rig, error, V::arp_malformed, {});
}

TEST(FlowIcmp, EchoIsStillAnswered) {
  Rig rig(flows(Mode::nat));
  Packet p{.dst = kVip4};
  p.protocol = 1;
  p.l4 = icmp(8, 0, 0x00010001, Bytes(8, 1));
  p.checksum_at = 2;
  expect_verdict(rig.run(p), V::answered_echo);
}

Packet fragment_of(bool v6, uint16_t offset, bool more) {
  Packet p = udp_packet(v6);
  const Bytes data(16, static_cast<uint8_t>(offset));
  if (v6) {
    p.protocol = 44;
    p.l4 = Bytes{17,
                 0,
                 static_cast<uint8_t>(offset >> 8),
                 static_cast<uint8_t>((offset & 0xf8) | more),
                 0,
                 0,
                 0,
                 42};
    p.l4->insert(p.l4->end(), data.begin(), data.end());
  } else {
    p.protocol = 17;
    p.fragment = static_cast<uint16_t>(offset / 8 | (more ? 0x2000 : 0));
    p.l4 = data;
  }
  return p;
}

TEST(FlowFragments, AreDroppedUnlessSteered) {
  Rig rig(flows(Mode::dsr_l2));
  expect(rig, fragment_of(false, 0, true), V::ip_fragment, {});
  expect(rig, fragment_of(false, 16, false), V::ip_fragment, {});
  expect(rig, fragment_of(true, 0, true), V::ip_extension, {});
}

TEST(FlowFragments, AreSteeredByTheirAddresses) {
  Rig rig(flows(Mode::dsr_l2, [](config::Service& s) { s.fragments = config::Fragments::steer; }));
  for (const bool v6 : {false, true})
    for (const Packet& p : {fragment_of(v6, 0, true), fragment_of(v6, 16, false)}) {
      Packet want = p;
      want.dst_mac = kNodeMac;
      want.src_mac = kPortMac;
      const Result r = rig.run(p);
      expect_verdict(r, V::flow_forwarded);
      ASSERT_EQ(r.sent.size(), 1u);
      EXPECT_EQ(r.sent[0].frame, build(want)) << hex_diff(r.sent[0].frame, build(want));
    }
}

TEST(FlowProtocols, AnyTakesAllOfThem) {
  Rig rig([](config::Config& c) {
    config::Service s = service("all", kVip4, {kNode4}, 21);
    s.kind = config::ServiceKind::flow;
    s.mode = Mode::dsr_l2;
    s.protocol = config::Protocol::any;
    s.port = 0;
    s.nodes[0].port = 0;
    c.services.push_back(s);
  });
  Packet gre{.dst = kVip4};
  gre.protocol = 47;
  gre.l4 = Bytes(20, 3);
  for (const Packet& p : {tcp_packet(false, kSyn), udp_packet(false), gre})
    expect_verdict(rig.run(p), V::flow_forwarded);
}

TEST(FlowProtocols, OtherPortsAndProtocolsAreNobodys) {
  Rig rig(flows(Mode::nat));
  Packet p = tcp_packet(false, kSyn);
  set_ports(p, kClientPort, 81);
  expect(rig, p, V::not_ours, {});
  Packet gre{.dst = kVip4};
  gre.protocol = 47;
  gre.l4 = Bytes(20, 3);
  expect(rig, gre, V::not_ours, {});
}

TEST(FlowReasons, Truncated) {
  Rig rig(flows(Mode::nat));
  for (const bool v6 : {false, true}) {
    Packet p = tcp_packet(v6, kSyn);
    p.checksum_at = -1;
    p.l4->resize(19);
    expect(rig, p, V::tcp_truncated, {});
  }
}

TEST(FlowReasons, NobodyThere) {
  Rig rig(flows(Mode::nat));
  const Packet known = tcp_packet(false, kSyn);
  const uint16_t port = opened(rig, known);
  rig.forward([&](auto&, auto& plans) {
    for (forward::PoolPlan& plan : plans) plan = {};
  });
  expect(rig, tcp_packet(false, kSyn, 41000), V::flow_unroutable, {});
  // All are drained: who is there already may finish.
  EXPECT_EQ(opened(rig, tcp_packet(false, kAck)), port);
  expect_verdict(rig.run(tcp_packet(false, kFin | kAck)), V::flow_forwarded);
}

TEST(FlowReasons, LcpOnTheSameAddressStaysLcp) {
  Rig rig([](config::Config& c) {
    config::Service s = service("web", kOwn4, {kNode4}, 21);
    s.kind = config::ServiceKind::flow;
    s.mode = Mode::nat;
    s.port = kWeb;
    s.nodes[0].port = kWeb;
    c.services.push_back(s);
  });
  Packet p = tcp_packet(false, kSyn);
  p.dst = kOwn4;
  opened(rig, p);
  expect_verdict(rig.run(Packet{}), V::forwarded);
}

void with_quota(config::Config& c) {
  flows(Mode::nat)(c);
  c.organisations[0].prefixes = {{ip("10.0.0.0"), 24, 4}, {ip("fd00::"), 64, 6}};
  c.organisations[1].prefixes = {{ip("10.0.0.128"), 25, 4}};
  c.organisations[0].intents["orbit-adjust"] = {.per_minute = 10};
  c.organisations[1].quota = {.per_minute = 0};
  for (config::Service& s : c.services) s.intent = "orbit-adjust";
}

TEST(FlowQuota, NewFlowsCountAndKnownOnesDoNot) {
  Rig rig(with_quota);
  for (uint16_t port = 1000; port < 1009; ++port) opened(rig, tcp_packet(false, kSyn, port));
  expect(rig, tcp_packet(false, kSyn, 1009), V::quota_rejected, {});
  for (uint16_t port = 1000; port < 1009; ++port) opened(rig, tcp_packet(false, kAck, port));
  // The same organisation over IPv6; another intent's worth is its own.
  expect(rig, tcp_packet(true, kSyn, 1009), V::quota_rejected, {});
  rig.advance_ms(61'000);
  opened(rig, tcp_packet(false, kSyn, 1009));
}

TEST(FlowQuota, TheLongestPrefixSaysWhose) {
  Rig rig(with_quota);
  Packet p = udp_packet(false);
  p.src = "10.0.0.200";
  expect(rig, p, V::quota_zero, {});
  p.src = "10.0.1.1";  // nobody's
  for (uint16_t port = 1; port < 50; ++port) {
    p.src_port = port;
    expect_verdict(rig.run(p), V::flow_forwarded);
  }
}

TEST(FlowQuota, AConnectionThatBeganElsewhereIsNotCounted) {
  Rig rig(with_quota);
  for (uint16_t port = 1000; port < 1050; ++port)
    expect_verdict(rig.run(tcp_packet(false, kAck, port)), V::flow_forwarded);
}

TEST(FlowQuota, AFlowCountsOnceHoweverManyOfItsPacketsComeAtOnce) {
  Rig rig(with_quota);
  const Result r = rig.run_burst(std::vector<Packet>(20, udp_packet(false)));
  EXPECT_EQ(r.sent.size(), 20u);
  for (uint16_t port = 1; port < 9; ++port)
    expect_verdict(rig.run(udp_packet(false, port)), V::flow_forwarded);
  std::vector<Packet> burst(5, udp_packet(false, 9));
  burst.push_back(udp_packet(false, 1));
  const Result refused = rig.run_burst(burst);
  EXPECT_EQ(refused.sent.size(), 1u);
  EXPECT_EQ(std::ranges::count(refused.verdicts, V::quota_rejected), 5);
}

// Flows of "web" are judged as commands of operator 8, an observer; all others as those of 7.
void with_policy(config::Config& c) {
  with_quota(c);
  c.organisations[0].intents.clear();
  for (config::Service& s : c.services) {
    if (s.kind != config::ServiceKind::flow) continue;
    s.operator_id = s.name == "web" ? 8 : 7;
  }
}

TEST(FlowPolicy, AFlowMayWhatTheOperatorOfItsServiceMay) {
  Rig rig(with_policy);
  for (const uint8_t flags : {kSyn, kAck})
    expect(rig, tcp_packet(false, flags), V::policy_denied, {});
  opened(rig, tcp_packet(true, kSyn));
  const uint16_t port = opened(rig, udp_packet(false));
  EXPECT_EQ(opened(rig, udp_packet(false)), port);
  Packet nobodys = udp_packet(false);
  nobodys.src = "10.0.1.1";
  expect(rig, nobodys, V::policy_denied, {});
}

TEST(FlowPolicy, WithoutAnOperatorNobodyIsAsked) {
  Rig rig(with_quota);
  Packet nobodys = udp_packet(false);
  nobodys.src = "10.0.1.1";
  expect_verdict(rig.run(nobodys), V::flow_forwarded);
}

TEST(FlowPolicy, ARefusedFlowsOtherPacketsGoWithIt) {
  Rig rig(with_policy);
  std::vector<Packet> burst(5, tcp_packet(false, kSyn));
  burst.push_back(udp_packet(false));
  const Result r = rig.run_burst(burst);
  EXPECT_EQ(r.sent.size(), 1u);
  EXPECT_EQ(std::ranges::count(r.verdicts, V::policy_denied), 5);
}

TEST(FlowPolicy, EachNewFlowIsOneRecord) {
  Rig rig(with_policy, {.audit_records = 16});
  rig.run_burst({udp_packet(false), udp_packet(false), tcp_packet(false, kSyn)});
  rig.run(udp_packet(false));
  ASSERT_EQ(rig.audit().published(), 2u);
  const audit::Record& let = rig.audit().at(0);
  EXPECT_EQ(let.outcome, static_cast<uint8_t>(PolicyOutcome::allow));
  EXPECT_EQ(let.verdict, static_cast<uint8_t>(V::flow_forwarded));
  EXPECT_EQ(let.org_id, 1u);
  EXPECT_EQ(let.operator_id, 7u);
  EXPECT_NE(let.node, kNoNode);
  EXPECT_TRUE(let.flags & audit::Record::kEvaluated);
  const IpAddress client = ip(kClient4);
  EXPECT_EQ(std::memcmp(let.command_id, &client, 16), 0);
  EXPECT_EQ(let.trace_id[0], 17);
  EXPECT_EQ(let.trace_id[2] << 8 | let.trace_id[3], kClientPort);
  EXPECT_EQ(let.trace_id[4] << 8 | let.trace_id[5], kWeb);
  const audit::Record& denied = rig.audit().at(1);
  EXPECT_EQ(denied.outcome, static_cast<uint8_t>(PolicyOutcome::deny));
  EXPECT_EQ(denied.verdict, static_cast<uint8_t>(V::policy_denied));
  EXPECT_EQ(denied.operator_id, 8u);
}

TEST(FlowBursts, ManyPacketsOfOneNewFlowOpenItOnce) {
  Rig rig(flows(Mode::nat));
  const Result r = rig.run_burst(std::vector<Packet>(20, udp_packet(false)));
  ASSERT_EQ(r.sent.size(), 20u);
  for (const Sent& s : r.sent) EXPECT_EQ(s.frame, r.sent[0].frame);
}

}  // namespace
}  // namespace lf::test
