// SPDX-License-Identifier: Apache-2.0
// Packets of flow services through all stages, every frame compared byte for byte with one that is
// built from scratch: nat both ways, dsr-l2, fragments, protocols, drop reasons.
#include "tests/packet/flow_packets.hpp"

namespace lf::test {
namespace {

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

}  // namespace
}  // namespace lf::test
