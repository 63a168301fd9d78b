// SPDX-License-Identifier: Apache-2.0
// The XDP program in the kernel (BPF_PROG_TEST_RUN): packets in, decisions out. There is no socket
// in its map, so what is ours is counted as "no socket" and left to the kernel, as it is when the
// daemon has died. Needs root or CAP_BPF; skipped without.
#include "control/xdp/program.hpp"

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <ostream>

#include "control/config/values.hpp"
#include "control/parse/table_builder.hpp"
#include "tests/support/world.hpp"

namespace lf::xdp {
namespace {

using test::Bytes;
using test::ip;
using test::Packet;

enum class Fate { ours, kernel, both, denied, nothing };

std::ostream& operator<<(std::ostream& out, Fate fate) {
  constexpr const char* kNames[] = {"ours", "kernel", "both", "denied", "nothing counted"};
  return out << kNames[static_cast<int>(fate)];
}

constexpr int kXdpDrop = 1, kXdpPass = 2;
constexpr const char* kShared4 = "10.0.0.2";
constexpr const char* kShared6 = "fd00::2";
constexpr const char* kHost4 = "10.0.0.3";
constexpr const char* kHost6 = "fd00::3";

// As test::world(), with an address in each family that the kernel has, too.
config::Config shared_world() {
  config::Config c = test::world();
  c.ports[0].addresses.push_back({ip(kShared4), 24, 4});
  c.ports[0].addresses.push_back({ip(kShared6), 64, 6});
  return c;
}

class XdpProgram : public testing::Test {
 protected:
  void SetUp() override {
    auto loaded = Program::load(-1);
    if (!loaded && ::geteuid() != 0) GTEST_SKIP() << "needs root: " << loaded.error().message;
    ASSERT_TRUE(loaded) << loaded.error().message;
    program_ = std::move(*loaded);
    fill(shared_world());
  }

  void fill(const config::Config& config, SteeredPort port = {.id = 0, .interface = "eth0"}) {
    const HostAddress host[] = {
        {ip(kShared4), "eth0"}, {ip(kShared6), "eth0"}, {ip(kHost4), "eth0"}, {ip(kHost6), "eth0"}};
    const auto table = parse::build_table(config, test::world_ports()).value();
    ASSERT_TRUE(program_->fill(build_contents(table, port, host)));
  }

  void fill(const parse::Table& table) {
    const HostAddress host[] = {{ip(kShared4), "eth0"}, {ip(kShared6), "eth0"}};
    ASSERT_TRUE(program_->fill(build_contents(table, {.id = 0, .interface = "eth0"}, host)));
  }

  void deny(const char* prefix, uint32_t place = 0) {
    ASSERT_TRUE(program_->apply({{{config::parse_prefix(prefix).value(), place}}, {}}));
  }

  Fate fate(const Bytes& frame) {
    const auto before = program_->counts();
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()), .repeat = 1);
    EXPECT_EQ(bpf_prog_test_run_opts(program_->fd(), &run), 0);
    const auto after = program_->counts();
    const auto more = [&](uint32_t place) { return after[place] - before[place]; };
    uint64_t sum = 0;
    for (uint32_t place = 0; place < LF_XDP_COUNTS; ++place) sum += more(place);
    EXPECT_EQ(sum, 1u);  // every packet is counted once
    EXPECT_EQ(run.retval, more(LF_XDP_DENIED) ? kXdpDrop : kXdpPass);
    if (more(LF_XDP_NO_SOCKET)) return Fate::ours;
    if (more(LF_XDP_PASSED)) return Fate::kernel;
    if (more(LF_XDP_COPIED)) return Fate::both;
    return more(LF_XDP_DENIED) ? Fate::denied : Fate::nothing;
  }
  Fate fate(const Packet& packet) { return fate(test::build(packet)); }

  std::unique_ptr<Program> program_;
};

Packet to(const char* dst, uint16_t port = lcp::kDefaultPort) {
  Packet p;
  p.dst = dst;
  if (std::string(dst).find(':') != std::string::npos) p.src = test::kClient6;
  p.dst_port = port;
  return p;
}
Packet tcp(const char* dst, uint16_t port) {
  Packet p = to(dst);
  p.protocol = IPPROTO_TCP;
  p.l4 = Bytes(20);
  (*p.l4)[2] = static_cast<uint8_t>(port >> 8);
  (*p.l4)[3] = static_cast<uint8_t>(port);
  return p;
}
Packet icmp(const char* dst, const Bytes& message) {
  Packet p = to(dst);
  p.protocol = p.src == test::kClient6 ? 58 : 1;
  p.l4 = message;
  p.checksum_at = 2;
  return p;
}
Packet arp(uint16_t operation, const char* sender, const char* target) {
  return {.dst_mac = operation == 1 ? test::kBroadcast : test::kPortMac,
          .ether_type = 0x0806,
          .l3 = test::arp(operation, test::kClientMac, sender, {}, target)};
}
Packet discovery(uint8_t type, const char* dst, const char* target) {
  Packet p = icmp(
      dst, test::neighbour_message(type, 0, target, test::link_layer_option(2, test::kClientMac)));
  p.ttl = 255;
  p.src = test::kClient6;
  p.protocol = IPPROTO_ICMPV6;
  return p;
}
// An ICMP error about a datagram that was sent from an address and port.
Packet about(const char* dst, const char* source, uint16_t source_port) {
  Packet quoted = to(dst);
  quoted.dst = quoted.src;
  quoted.src = source;
  quoted.src_port = source_port;
  Bytes bytes = test::build(quoted);
  bytes.erase(bytes.begin(), bytes.begin() + 14);
  const bool v6 = quoted.src.find(':') != std::string::npos;
  return icmp(dst, test::icmp(v6 ? 1 : 3, 1, 0, bytes));
}

TEST_F(XdpProgram, AllThatGoesToAnAddressOfOursOnlyIsOurs) {
  for (const char* own : {test::kOwn4, test::kOwn6}) {
    EXPECT_EQ(fate(to(own)), Fate::ours) << own;
    EXPECT_EQ(fate(to(own, 53)), Fate::ours) << own;
    EXPECT_EQ(fate(tcp(own, 22)), Fate::ours) << own;
    const uint8_t echo = own == test::kOwn4 ? 8 : 128;
    EXPECT_EQ(fate(icmp(own, test::icmp(echo, 0, 1))), Fate::ours) << own;
  }
  Packet fragment = to(test::kOwn4);
  fragment.fragment = 0x2000;
  EXPECT_EQ(fate(fragment), Fate::ours);
}

TEST_F(XdpProgram, TheHostsAddressesAreTheKernels) {
  for (const char* host : {kHost4, kHost6}) {
    EXPECT_EQ(fate(to(host)), Fate::kernel) << host;
    EXPECT_EQ(fate(tcp(host, 22)), Fate::kernel) << host;
    const uint8_t echo = host == kHost4 ? 8 : 128;
    EXPECT_EQ(fate(icmp(host, test::icmp(echo, 0, 1))), Fate::kernel) << host;
  }
}

TEST_F(XdpProgram, OfASharedAddressOnlyOurDatagramsAreOurs) {
  for (const char* shared : {kShared4, kShared6}) {
    EXPECT_EQ(fate(to(shared)), Fate::ours) << shared;
    EXPECT_EQ(fate(to(shared, 53)), Fate::kernel) << shared;
    EXPECT_EQ(fate(tcp(shared, lcp::kDefaultPort)), Fate::kernel) << shared;
    const uint8_t echo = shared == kShared4 ? 8 : 128;
    EXPECT_EQ(fate(icmp(shared, test::icmp(echo, 0, 1))), Fate::kernel) << shared;
    // Errors go to who sent the packet that they are about.
    EXPECT_EQ(fate(about(shared, shared, lcp::kDefaultPort)), Fate::ours) << shared;
    EXPECT_EQ(fate(about(shared, shared, 53)), Fate::kernel) << shared;
    EXPECT_EQ(fate(about(shared, shared == kShared4 ? kHost4 : kHost6, lcp::kDefaultPort)),
              Fate::kernel)
        << shared;
  }
  Packet fragment = to(kShared4);
  fragment.fragment = 0x2000;
  EXPECT_EQ(fate(fragment), Fate::kernel);
  Packet options = to(kShared4);
  options.ip_options = {1, 1, 1, 1};
  EXPECT_EQ(fate(options), Fate::ours);
}

TEST_F(XdpProgram, FlowsAtASharedAddressAreOurs) {
  parse::Table t = parse::build_table(shared_world(), test::world_ports()).value();
  add_flow(t, {.address = ip(kShared4), .port = lcp::be16(80), .protocol = 6, .ip_version = 4});
  t.nat_first = 20000;
  t.nat_last = 20009;
  fill(t);
  EXPECT_EQ(fate(tcp(kShared4, 80)), Fate::ours);
  EXPECT_EQ(fate(tcp(kShared4, 81)), Fate::kernel);
  EXPECT_EQ(fate(to(kShared4, 80)), Fate::kernel);
  EXPECT_EQ(fate(tcp(kShared6, 80)), Fate::kernel);
  for (const auto& [port, whose] : {std::pair(19999, Fate::kernel),
                                    {20000, Fate::ours},
                                    {20009, Fate::ours},
                                    {20010, Fate::kernel}}) {
    EXPECT_EQ(fate(tcp(kShared4, static_cast<uint16_t>(port))), whose) << port;
    EXPECT_EQ(fate(about(kShared6, kShared6, static_cast<uint16_t>(port))), whose) << port;
  }
  // All ports of a protocol, fragments, everything.
  Packet fragment = tcp(kShared4, 80);
  fragment.fragment = 0x2000;
  EXPECT_EQ(fate(fragment), Fate::kernel);
  add_flow(t, {.address = ip(kShared4), .port = 0, .protocol = 17, .ip_version = 4});
  add_flow(t, {.address = ip(kShared4), .port = 0, .protocol = 6 | 0x80, .ip_version = 4});
  fill(t);
  EXPECT_EQ(fate(to(kShared4, 53)), Fate::ours);
  EXPECT_EQ(fate(tcp(kShared4, 81)), Fate::kernel);
  EXPECT_EQ(fate(fragment), Fate::ours);
  add_flow(t, {.address = ip(kShared4), .port = 0, .protocol = 0, .ip_version = 4});
  fill(t);
  EXPECT_EQ(fate(tcp(kShared4, 81)), Fate::ours);
  EXPECT_EQ(fate(icmp(kShared4, test::icmp(8, 0, 1))), Fate::ours);
  EXPECT_EQ(fate(arp(1, test::kClient4, kShared4)), Fate::kernel);
}

TEST_F(XdpProgram, ArpGoesToWhoeverHasTheAddress) {
  EXPECT_EQ(fate(arp(1, test::kClient4, test::kOwn4)), Fate::ours);
  EXPECT_EQ(fate(arp(1, test::kClient4, kShared4)), Fate::kernel);
  EXPECT_EQ(fate(arp(1, test::kClient4, kHost4)), Fate::kernel);
  EXPECT_EQ(fate(arp(2, test::kNode4, test::kOwn4)), Fate::ours);
  EXPECT_EQ(fate(arp(2, test::kNode4, kShared4)), Fate::both);
  EXPECT_EQ(fate(arp(2, test::kNode4, kHost4)), Fate::kernel);
  EXPECT_EQ(fate(arp(1, test::kNode4, test::kNode4)), Fate::both);  // gratuitous
  EXPECT_EQ(fate(arp(2, test::kNode4, test::kNode4)), Fate::both);
}

TEST_F(XdpProgram, SoDoesNeighbourDiscovery) {
  EXPECT_EQ(fate(discovery(135, "ff02::1:ff00:1", test::kOwn6)), Fate::ours);
  EXPECT_EQ(fate(discovery(135, "ff02::1:ff00:2", kShared6)), Fate::kernel);
  EXPECT_EQ(fate(discovery(135, "ff02::1:ff00:3", kHost6)), Fate::kernel);
  EXPECT_EQ(fate(discovery(136, test::kOwn6, test::kNode6)), Fate::ours);
  EXPECT_EQ(fate(discovery(136, kShared6, test::kNode6)), Fate::both);
  EXPECT_EQ(fate(discovery(136, kHost6, test::kNode6)), Fate::kernel);
  EXPECT_EQ(fate(discovery(136, "ff02::1", test::kNode6)), Fate::both);
}

TEST_F(XdpProgram, CopiesReachControlAsTheyWere) {
  const Bytes arp_frame = test::build(arp(2, test::kNode4, kShared4));
  const Bytes nd_frame = test::build(discovery(136, kShared6, test::kNode6));
  ASSERT_EQ(fate(arp_frame), Fate::both);
  ASSERT_EQ(fate(nd_frame), Fate::both);
  std::vector<Bytes> heard;
  program_->hear([&](std::span<const uint8_t> f) { heard.emplace_back(f.begin(), f.end()); });
  EXPECT_EQ(heard, (std::vector<Bytes>{arp_frame, nd_frame}));
}

TEST_F(XdpProgram, AFullRingOfCopiesLosesCopiesAndNothingElse) {
  const Bytes frame = test::build(arp(2, test::kNode4, kShared4));
  const uint32_t sent = 2 * LF_XDP_HEARD_BYTES / sizeof(lf_xdp_heard);
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data(),
              .data_size_in = static_cast<uint32_t>(frame.size()),
              .repeat = static_cast<int>(sent));
  ASSERT_EQ(bpf_prog_test_run_opts(program_->fd(), &run), 0);
  EXPECT_EQ(run.retval, kXdpPass);
  const auto counts = program_->counts();
  EXPECT_EQ(counts[LF_XDP_COPIED] + counts[LF_XDP_COPY_LOST], sent);
  EXPECT_GT(counts[LF_XDP_COPY_LOST], 0u);
  uint64_t heard = 0;
  for (uint64_t before = ~0ull; before != heard;) {
    before = heard;
    program_->hear([&](std::span<const uint8_t>) { ++heard; });
  }
  EXPECT_EQ(heard, counts[LF_XDP_COPIED]);
}

TEST_F(XdpProgram, DeniedSourcesAreDroppedAndCounted) {
  deny("10.0.0.12/30", 3);
  deny("fd00::/16", 4);
  const Bytes frame = test::build(to(test::kOwn4));
  EXPECT_EQ(fate(frame), Fate::denied);
  EXPECT_EQ(fate(frame), Fate::denied);
  EXPECT_EQ(fate(to(test::kOwn6)), Fate::denied);
  EXPECT_EQ(fate(to(kShared4)), Fate::denied);
  EXPECT_EQ(program_->denied(3).packets, 3u);
  EXPECT_EQ(program_->denied(3).bytes, 3 * frame.size());
  EXPECT_EQ(program_->denied(4).packets, 1u);
  Packet outside = to(test::kOwn4);
  outside.src = "10.0.0.16";
  EXPECT_EQ(fate(outside), Fate::ours);
  // A prefix cannot lock anybody out of the host, and neighbours stay neighbours.
  EXPECT_EQ(fate(to(kHost4)), Fate::kernel);
  EXPECT_EQ(fate(tcp(kShared4, 22)), Fate::kernel);
  EXPECT_EQ(fate(arp(1, test::kClient4, test::kOwn4)), Fate::ours);
  EXPECT_EQ(fate(discovery(136, test::kOwn6, test::kNode6)), Fate::ours);
}

TEST_F(XdpProgram, TheLongestPrefixCountsAndLeavesAlone) {
  deny("0.0.0.0/0", 1);
  deny("10.0.0.12/32", 2);
  EXPECT_EQ(fate(to(test::kOwn4)), Fate::denied);
  EXPECT_EQ(program_->denied(2).packets, 1u);
  EXPECT_EQ(fate(to(test::kOwn6)), Fate::ours);  // the other family
  ASSERT_TRUE(program_->apply({{}, {{config::parse_prefix("10.0.0.12/32").value(), 2}}}));
  EXPECT_EQ(fate(to(test::kOwn4)), Fate::denied);
  EXPECT_EQ(program_->denied(1).packets, 1u);
  ASSERT_TRUE(program_->apply({{}, {{config::parse_prefix("0.0.0.0/0").value(), 1}}}));
  EXPECT_EQ(fate(to(test::kOwn4)), Fate::ours);
  deny("10.0.0.0/8", 1);  // a place begins at nought
  EXPECT_EQ(program_->denied(1).packets, 0u);
}

TEST_F(XdpProgram, ANewConfigurationReplacesTheOld) {
  config::Config c = shared_world();
  c.services[0].address = ip("10.0.0.40");
  c.ports[0].addresses.erase(c.ports[0].addresses.begin());
  fill(c);
  EXPECT_EQ(fate(to(test::kOwn4)), Fate::kernel);
  EXPECT_EQ(fate(to("10.0.0.40")), Fate::ours);
  c.services[0].port = c.services[1].port = 7300;
  fill(c);
  EXPECT_EQ(fate(to(kShared4)), Fate::kernel);
  EXPECT_EQ(fate(to(kShared4, 7300)), Fate::ours);
}

TEST_F(XdpProgram, OnlyThePortsVlanIsOurs) {
  Packet tagged = to(test::kOwn4);
  tagged.vlan = 9;
  EXPECT_EQ(fate(tagged), Fate::ours);  // a port without one takes any, as parse does
  fill(shared_world(), {.id = 0, .interface = "eth0", .vlan = 9});
  EXPECT_EQ(fate(tagged), Fate::ours);
  EXPECT_EQ(fate(to(test::kOwn4)), Fate::kernel);
  tagged.vlan = 10;
  EXPECT_EQ(fate(tagged), Fate::kernel);
}

TEST_F(XdpProgram, WithAnExceptionPortEverythingComesToUs) {
  fill(shared_world(), {.id = 0, .interface = "eth0", .has_exception = true});
  EXPECT_EQ(fate(tcp(kHost4, 22)), Fate::ours);
  EXPECT_EQ(fate(arp(1, test::kClient4, kHost4)), Fate::ours);
  EXPECT_EQ(fate(arp(2, test::kNode4, test::kNode4)), Fate::ours);
  deny("10.0.0.12/32");
  EXPECT_EQ(fate(to(test::kOwn4)), Fate::denied);
  EXPECT_EQ(fate(to(kHost4)), Fate::ours);
}

// Whatever is cut off, the program decides; the kernel's verifier has seen to it that it reads no
// further.
TEST_F(XdpProgram, ShortFramesAreDecidedAndCounted) {
  for (const Packet& p :
       {to(test::kOwn4), to(kShared4), to(kShared6), about(kShared4, kShared4, 7171),
        about(kShared6, kShared6, 7171), arp(2, test::kNode4, kShared4),
        discovery(136, kShared6, test::kNode6), discovery(135, "ff02::1:ff00:1", test::kOwn6)}) {
    const Bytes whole = test::build(p);
    for (size_t length = 14; length <= whole.size(); ++length)
      EXPECT_NE(fate(Bytes(whole.begin(), whole.begin() + static_cast<long>(length))),
                Fate::nothing);
  }
}

}  // namespace
}  // namespace lf::xdp
