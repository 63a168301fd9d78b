// SPDX-License-Identifier: Apache-2.0
// What is not a command: answered here, handed to control, to the kernel, or dropped.
#include "tests/packet/rows.hpp"

namespace lf::test {
namespace {

constexpr Mac kSolicitedMac{0x33, 0x33, 0xff, 0, 0, 1};
constexpr Mac kAllNodesMac{0x33, 0x33, 0, 0, 0, 1};

Packet arp_packet(uint16_t op, const std::string& sender, const std::string& target) {
  return {.dst_mac = op == 1 ? kBroadcast : kPortMac,
          .l3 = arp(op, kClientMac, sender, {}, target)};
}
Packet icmp4(const Bytes& message) {
  return {.protocol = 1, .l4 = message, .checksum_at = 2};
}
Packet icmp6(const Bytes& message, uint8_t hops = 64) {
  return {
      .src = kClient6, .dst = kOwn6, .ttl = hops, .protocol = 58, .l4 = message, .checksum_at = 2};
}
Packet solicitation(const std::string& target, const std::string& source = kClient6) {
  Packet p = icmp6(neighbour_message(135, 0, target,
                                     source == "::" ? Bytes{} : link_layer_option(1, kClientMac)),
                   255);
  p.dst_mac = kSolicitedMac;
  p.src = source;
  p.dst = "ff02::1:ff00:1";
  return p;
}
Packet swapped(Packet p) {
  std::swap(p.dst_mac, p.src_mac);
  std::swap(p.src, p.dst);
  std::swap(p.src_port, p.dst_port);
  p.ttl = 64;
  return p;
}
Packet broken(Packet p) {
  p.checksum_at = -1;
  return p;
}

Row arp_row(const std::string& name, std::optional<uint16_t> vlan, size_t padding) {
  Packet in = arp_packet(1, kClient4, kOwn4);
  in.vlan = vlan;
  in.ether_type = 0x0806;
  in.padding = padding;
  Packet out = in;
  out.dst_mac = kClientMac;
  out.src_mac = kPortMac;
  out.l3 = arp(2, kPortMac, kOwn4, kClientMac, kClient4);
  return {name, in, Verdict::answered_arp, out};
}

std::vector<Row> rows() {
  using V = Verdict;
  std::vector<Row> r;
  r.push_back(arp_row("arp", {}, 0));
  r.push_back(arp_row("arp_padded", {}, 18));
  r.push_back(arp_row("arp_in_a_vlan", 9, 0));

  Packet na = solicitation(kOwn6);
  na.dst_mac = kClientMac;
  na.src_mac = kPortMac;
  na.src = kOwn6;
  na.dst = kClient6;
  na.l4 = neighbour_message(136, 0x60000000, kOwn6, link_layer_option(2, kPortMac));
  r.push_back({"solicitation", solicitation(kOwn6), V::answered_nd, na});
  na.dst_mac = kAllNodesMac;
  na.dst = "ff02::1";
  na.l4 = neighbour_message(136, 0x20000000, kOwn6, link_layer_option(2, kPortMac));
  r.push_back({"duplicate_address_detection", solicitation(kOwn6, "::"), V::answered_nd, na});

  for (const size_t n : {0, 1, 56, 1400}) {
    const Packet in4 = icmp4(icmp(8, 0, 0x00070001, Bytes(n, 0x70)));
    Packet out4 = swapped(in4);
    (*out4.l4)[0] = 0;
    r.push_back({"echo_" + std::to_string(n), in4, V::answered_echo, out4});
    const Packet in6 = icmp6(icmp(128, 0, 0x00070001, Bytes(n, 0x70)));
    Packet out6 = swapped(in6);
    (*out6.l4)[0] = 129;
    r.push_back({"echo6_" + std::to_string(n), in6, V::answered_echo, out6});
  }
  Packet probe;
  probe.lcp.type = 5;
  Packet probe_reply = swapped(probe);
  probe_reply.lcp.type = 6;
  r.push_back({"probe", probe, V::probe_answered, probe_reply});

  const Bytes quoted4(28, 0x45), quoted6(48, 0x60);
  const auto neighbour = ToControl::neighbour;
  const auto error = ToControl::icmp_error;
  r.push_back({"arp_reply", arp_packet(2, kNode4, kOwn4), V::to_control, {}, neighbour});
  r.push_back({"gratuitous_arp", arp_packet(1, kNode4, kNode4), V::to_control, {}, neighbour});
  r.push_back({"advertisement",
               icmp6(neighbour_message(136, 0x60000000, kNode6), 255),
               V::to_control,
               {},
               neighbour});
  r.push_back({"unreachable", icmp4(icmp(3, 3, 0, quoted4)), V::to_control, {}, error});
  r.push_back({"time_exceeded", icmp4(icmp(11, 0, 0, quoted4)), V::to_control, {}, error});
  r.push_back({"unreachable6", icmp6(icmp(1, 4, 0, quoted6)), V::to_control, {}, error});
  r.push_back({"packet_too_big6", icmp6(icmp(2, 0, 1280, quoted6)), V::to_control, {}, error});

  auto drop = [&](const std::string& name, const Packet& p, Verdict v) {
    r.push_back({name, p, v});
  };
  drop("arp_cut", {.l3 = Bytes(27, 0)}, V::arp_malformed);
  drop("arp_of_zeros", {.l3 = Bytes(28, 0)}, V::arp_malformed);
  drop("rarp_operation", arp_packet(3, kClient4, kOwn4), V::arp_malformed);
  drop("solicitation_hop_limit", icmp6(neighbour_message(135, 0, kOwn6), 254), V::arp_malformed);
  drop("solicitation_checksum", broken(solicitation(kOwn6)), V::arp_malformed);
  drop("echo_checksum", broken(icmp4(icmp(8, 0, 0))), V::arp_malformed);
  drop("echo6_checksum", broken(icmp6(icmp(128, 0, 0))), V::arp_malformed);
  drop("icmp_cut", icmp4({8, 0, 0, 0}), V::arp_malformed);
  drop("unreachable_without_quote", icmp4(icmp(3, 3, 0)), V::arp_malformed);
  drop("solicitation_from_ourselves", solicitation(kOwn6, kOwn6), V::ip_source);
  drop("arp_for_somebody_else", arp_packet(1, kClient4, "10.0.0.50"), V::not_ours);
  drop("solicitation_for_somebody_else", solicitation("fd00::50"), V::not_ours);
  drop("lldp", {.ether_type = 0x88cc, .l3 = Bytes(40, 0)}, V::unknown_ethertype);
  drop("ipv4_for_somebody_else", {.dst = "10.0.0.50"}, V::not_ours);
  drop("ipv6_for_somebody_else", {.src = kClient6, .dst = "fd00::50"}, V::not_ours);
  drop("ipv6_for_our_mapped_address", {.src = kClient6, .dst = "::ffff:10.0.0.1"}, V::not_ours);
  drop("broadcast", {.dst_mac = kBroadcast, .dst = "255.255.255.255"}, V::not_ours);
  drop("tcp", {.protocol = 6, .l4 = Bytes(20, 0), .checksum_at = 16}, V::not_ours);
  drop("echo_reply", icmp4(icmp(0, 0, 0)), V::own_echo);
  drop("redirect", icmp4(icmp(5, 0, 0)), V::own_echo);
  drop("echo6_reply", icmp6(icmp(129, 0, 0)), V::own_echo);
  drop("fragment_of_an_echo",
       {.protocol = 1, .fragment = 0x2000, .l4 = icmp(8, 0, 0), .checksum_at = 2}, V::ip_fragment);
  return r;
}

class ExceptionRows : public Rows {};
TEST_P(ExceptionRows, OnePacket) {
  check_row();
}
INSTANTIATE_TEST_SUITE_P(Exception, ExceptionRows, testing::ValuesIn(rows()), row_name);

// The same world with a port to the kernel.
class KernelRows : public Rows {
 protected:
  static void SetUpTestSuite() {
    rig_ = std::make_unique<Rig>(nullptr, Rig::Options{.kernel = true});
  }
};
TEST_P(KernelRows, OnePacket) {
  check_row();
}
std::vector<Row> kernel_rows() {
  std::vector<Row> r;
  for (const Row& row : rows()) {
    const bool elsewhere = row.verdict == Verdict::not_ours || row.verdict == Verdict::own_echo ||
                           row.verdict == Verdict::unknown_ethertype;
    if (!elsewhere) continue;
    r.push_back({row.name, row.in, Verdict::to_kernel, row.in, {}, kKernelPort});
  }
  r.push_back(
      {"dns", {.dst_port = 53}, Verdict::to_kernel, Packet{.dst_port = 53}, {}, kKernelPort});
  return r;
}
INSTANTIATE_TEST_SUITE_P(Kernel, KernelRows, testing::ValuesIn(kernel_rows()), row_name);

TEST(ExceptionPackets, FromTheKernel) {
  Rig rig(nullptr, {.kernel = true});
  const Packet p = arp_packet(1, kOwn4, kClient4);
  const Result r = rig.run_burst({p}, kKernelPort);
  expect_verdict(r, Verdict::from_kernel);
  expect_sent(r, {p});
}

// Answers to ARP and ND may be the kernel's as well: it resolves neighbours through its own port.
TEST(ExceptionPackets, TheKernelSeesNeighboursToo) {
  Rig rig(nullptr, {.kernel = true});
  const Packet arp = arp_packet(2, kNode4, kOwn4);
  const Packet nd = icmp6(neighbour_message(136, 0x60000000, kNode6), 255);
  for (const Packet& p : {arp, nd}) {
    const Result r = rig.run(p);
    expect_verdict(r, Verdict::to_control);
    ASSERT_EQ(r.control.size(), 1u);
    EXPECT_EQ(r.control[0], ToControl::neighbour);
    expect_sent(r, {p}, kKernelPort);
  }
}

TEST(ExceptionPackets, NoRoomInARing) {
  Rig rig(nullptr, {.kernel = true});
  rig.control_is_full = rig.port_is_full = true;
  expect_verdict(rig.run(arp_packet(2, kNode4, kOwn4)), Verdict::control_ring_full);
  expect_verdict(rig.run({.dst_port = 53}), Verdict::kernel_port_full);
  expect_verdict(rig.run(arp_packet(1, kClient4, kOwn4)), Verdict::tx_full);
}

}  // namespace
}  // namespace lf::test
