// SPDX-License-Identifier: Apache-2.0
// Packets of flow services that go to their nodes in another packet, byte for byte.
#include "tests/packet/flow_packets.hpp"

namespace lf::test {
namespace {

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

}  // namespace
}  // namespace lf::test
