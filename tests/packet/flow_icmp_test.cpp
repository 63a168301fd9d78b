// SPDX-License-Identifier: Apache-2.0
// ICMP errors about packets of flows, both ways, byte for byte.
#include "tests/packet/flow_packets.hpp"

namespace lf::test {
namespace {

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
    send_to_node(want, v6);
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
    send_to_client(want, v6);
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

}  // namespace
}  // namespace lf::test
