// SPDX-License-Identifier: Apache-2.0
// What is not LCP: frames in, frames out, byte for byte.
#include "dataplane/exception/exception.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "control/parse/table_builder.hpp"
#include "dataplane/net/turn.hpp"
#include "dataplane/parse/parse.hpp"
#include "tests/support/mbufs.hpp"
#include "tests/support/world.hpp"

namespace lf::exception {
namespace {

using test::arp;
using test::build;
using test::Bytes;
using test::icmp;
using test::kClient4;
using test::kClient6;
using test::kClientMac;
using test::kOwn4;
using test::kOwn6;
using test::kPortMac;
using test::Mac;
using test::neighbour_message;
using test::Packet;

constexpr uint8_t kKernelPort = 5;
constexpr Mac kZeroMac{};
constexpr Mac kSolicitedMac{0x33, 0x33, 0xff, 0, 0, 1};
constexpr const char* kSolicited6 = "ff02::1:ff00:1";

parse::Table table() {
  return parse::build_table(test::world(), test::world_ports()).value();
}
parse::Table table_with_kernel() {
  auto ports = test::world_ports();
  ports[0].exception_id = kKernelPort;
  return parse::build_table(test::world(), ports).value();
}

struct Result {
  Verdict verdict;
  Bytes frame;
  uint8_t out_port;
  Out out;
};

Result run_one(const parse::Table& t, const Bytes& frame, uint16_t port = 0) {
  test::TestBurst b;
  b.add(frame, port);
  parse::State state;
  parse::Sorted sorted;
  parse::run(t, state, *b.burst, sorted, 0);
  Out out;
  run(t, *b.burst, sorted.exceptions, sorted.probes, out);
  const Meta& m = b.burst->meta[0];
  return {m.verdict, b.frame(0), m.out_port, out};
}

Packet arp_request(const std::string& target = kOwn4) {
  return {.dst_mac = test::kBroadcast, .l3 = arp(1, kClientMac, kClient4, kZeroMac, target)};
}
Packet arp_with(size_t at, uint8_t value) {
  Packet p = arp_request();
  (*p.l3)[at] = value;
  return p;
}
Packet echo4(uint8_t type = 8, uint8_t code = 0) {
  return {.ttl = 3,
          .protocol = 1,
          .l4 = icmp(type, code, 0x00010002, {'p', 'i', 'n', 'g', '!'}),
          .checksum_at = 2};
}
Packet icmp6(const Bytes& message, uint8_t hops = 255) {
  return {
      .src = kClient6, .dst = kOwn6, .ttl = hops, .protocol = 58, .l4 = message, .checksum_at = 2};
}
Packet solicitation(const std::string& target = kOwn6,
                    const Bytes& options = test::link_layer_option(1, kClientMac)) {
  Packet p = icmp6(neighbour_message(135, 0, target, options));
  p.dst_mac = kSolicitedMac;
  p.dst = kSolicited6;
  return p;
}
Packet advertisement(const Packet& asked, const std::string& to, uint32_t flags,
                     const Mac& to_mac) {
  Packet p = asked;
  p.dst_mac = to_mac;
  p.src_mac = kPortMac;
  p.src = kOwn6;
  p.dst = to;
  p.ttl = 255;
  p.padding = 0;
  p.l4 = neighbour_message(136, flags, kOwn6, test::link_layer_option(2, kPortMac));
  return p;
}
Packet with(Packet p, const std::function<void(Packet&)>& change) {
  change(p);
  return p;
}
Bytes quoted4() {
  const Bytes inner = build({.src = kOwn4, .dst = test::kNode4});
  return Bytes(inner.begin() + 14, inner.begin() + 14 + 28);
}
Bytes quoted6() {
  const Bytes inner = build({.src = kOwn6, .dst = test::kNode6});
  return Bytes(inner.begin() + 14, inner.begin() + 14 + 48);
}

TEST(Exception, ArpRequestIsAnswered) {
  for (const uint16_t vlan : {0, 5})
    for (const size_t padding : {size_t{0}, size_t{18}}) {
      Packet in = arp_request();
      in.padding = padding;
      if (vlan) in.vlan = vlan, in.ether_type = 0x0806;
      const Result r = run_one(table(), build(in));
      Packet want = in;
      want.dst_mac = kClientMac;
      want.src_mac = kPortMac;
      want.l3 = arp(2, kPortMac, kOwn4, kClientMac, kClient4);
      EXPECT_EQ(r.verdict, Verdict::answered_arp);
      EXPECT_EQ(r.frame, build(want)) << test::hex_diff(r.frame, build(want));
      EXPECT_EQ(r.out.transmit.count, 1);
      EXPECT_EQ(r.out_port, 0);
    }
}

TEST(Exception, SolicitationIsAnswered) {
  const Packet in = solicitation();
  const Bytes want = build(advertisement(in, kClient6, 0x60000000, kClientMac));
  for (const Packet& p :
       {in, with(in, [](Packet& q) { q.padding = 4; }), solicitation(kOwn6, {}),
        solicitation(kOwn6, Bytes{14, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}),
        with(in, [](Packet& q) { q.dst_mac = kPortMac, q.dst = kOwn6; })}) {
    const Result r = run_one(table(), build(p));
    EXPECT_EQ(r.verdict, Verdict::answered_nd);
    EXPECT_EQ(r.frame, want) << test::hex_diff(r.frame, want);
    EXPECT_EQ(r.out.transmit.count, 1);
  }
}

TEST(Exception, DuplicateAddressDetectionIsAnsweredToAll) {
  Packet in = solicitation(kOwn6, {});
  in.src = "::";
  const Bytes want = build(advertisement(in, "ff02::1", 0x20000000, Mac{0x33, 0x33, 0, 0, 0, 1}));
  const Result r = run_one(table(), build(in));
  EXPECT_EQ(r.verdict, Verdict::answered_nd);
  EXPECT_EQ(r.frame, want) << test::hex_diff(r.frame, want);
}

TEST(Exception, EchoIsAnswered) {
  for (const uint16_t vlan : {0, 5})
    for (const bool v6 : {false, true}) {
      Packet in = v6 ? icmp6(icmp(128, 0, 0x00010002, {'p', 'i', 'n', 'g', '!'}), 3) : echo4();
      in.padding = 13;
      in.tos = 4;
      in.ip_id = v6 ? 0 : 99;
      if (vlan) in.vlan = vlan;
      Packet want = in;
      std::swap(want.src, want.dst);
      std::swap(want.src_mac, want.dst_mac);
      (*want.l4)[0] = v6 ? 129 : 0;
      want.ttl = net::kOwnTtl;
      want.tos = 0;
      want.ip_id = 0;
      want.padding = 0;
      const Result r = run_one(table(), build(in));
      EXPECT_EQ(r.verdict, Verdict::answered_echo);
      EXPECT_EQ(r.frame, build(want)) << test::hex_diff(r.frame, build(want));
      EXPECT_EQ(test::check_frame(r.frame), "");
    }
}

TEST(Exception, ProbeIsAnswered) {
  for (const bool v6 : {false, true}) {
    Packet in{.ttl = 9, .lcp = {.type = 5, .flags = 2, .severity = 0, .key = test::kAcmeKey}};
    if (v6) in.src = kClient6, in.dst = kOwn6;
    Packet want = in;
    std::swap(want.src, want.dst);
    std::swap(want.src_mac, want.dst_mac);
    std::swap(want.src_port, want.dst_port);
    want.ttl = net::kOwnTtl;
    want.lcp.type = 6;
    want.lcp.flags = 0;
    want.lcp.key.reset();
    const Result r = run_one(table(), build(in));
    EXPECT_EQ(r.verdict, Verdict::probe_answered);
    EXPECT_EQ(r.frame, build(want)) << test::hex_diff(r.frame, build(want));
    EXPECT_EQ(r.out.transmit.count, 1);
  }
}

TEST(Exception, WhatControlLearnsFrom) {
  const std::pair<Packet, bool> rows[] = {
      {{.l3 = arp(2, test::kNodeMac, test::kNode4, kPortMac, kOwn4)}, false},
      {with(arp_request("10.0.0.14"),
            [](Packet& p) { p.l3 = arp(1, test::kNodeMac, "10.0.0.14", kZeroMac, "10.0.0.14"); }),
       false},
      {icmp6(neighbour_message(136, 0x60000000, test::kNode6,
                               test::link_layer_option(2, test::kNodeMac))),
       false},
      {with(icmp6(neighbour_message(136, 0x20000000, test::kNode6)),
            [](Packet& p) { p.dst_mac = {0x33, 0x33, 0, 0, 0, 1}, p.dst = "ff02::1"; }),
       false},
      {{.protocol = 1, .l4 = icmp(3, 3, 0, quoted4()), .checksum_at = 2}, true},
      {{.protocol = 1, .l4 = icmp(11, 0, 0, quoted4()), .checksum_at = 2}, true},
      {{.protocol = 1, .l4 = icmp(12, 0, 0, quoted4()), .checksum_at = 2}, true},
      {icmp6(icmp(1, 4, 0, quoted6()), 60), true},
      {icmp6(icmp(2, 0, 1280, quoted6()), 60), true},
      {icmp6(icmp(3, 0, 0, quoted6()), 60), true},
      {icmp6(icmp(4, 0, 0, quoted6()), 60), true},
  };
  for (const auto& [packet, is_error] : rows) {
    const Bytes in = build(packet);
    const Result r = run_one(table(), in);
    EXPECT_EQ(r.verdict, Verdict::to_control);
    EXPECT_EQ(r.out.neighbours.count, is_error ? 0 : 1);
    EXPECT_EQ(r.out.icmp_errors.count, is_error ? 1 : 0);
    EXPECT_EQ(r.frame, in);
  }
}

TEST(Exception, MalformedMessages) {
  const Packet ns = solicitation();
  const Packet rows[] = {
      with(arp_request(), [](Packet& p) { p.cut = 41; }),
      arp_with(1, 6),     // hardware type
      arp_with(2, 0x86),  // protocol type
      arp_with(4, 8),     // hardware address length
      arp_with(5, 16),    // protocol address length
      arp_with(7, 0),     // operation 0
      arp_with(7, 3),     // RARP
      arp_with(8, 1),     // sender is a group
      with(arp_request(), [](Packet& p) { p.src_mac = {1, 0, 0x5e, 0, 0, 1}; }),
      with(ns, [](Packet& p) { p.ttl = 254; }),
      with(ns, [](Packet& p) { (*p.l4)[1] = 1; }),                     // code
      with(ns, [](Packet& p) { p.checksum_at = -1; }),                 // checksum
      with(ns, [](Packet& p) { p.l4->resize(23); }),                   // short
      with(ns, [](Packet& p) { (*p.l4)[25] = 0; }),                    // option of length 0
      with(ns, [](Packet& p) { (*p.l4)[25] = 2; }),                    // option too long
      with(ns, [](Packet& p) { p.l4->push_back(1); }),                 // half an option
      with(ns, [](Packet& p) { p.src_mac = {1, 0, 0x5e, 0, 0, 1}; }),  // from a group
      with(ns, [](Packet& p) { p.src = "::"; }),                       // DAD with a source option
      with(solicitation(kOwn6, {}), [](Packet& p) { p.src = "::", p.dst = "ff02::1"; }),
      solicitation("ff02::5"),
      icmp6(neighbour_message(136, 0, test::kNode6), 64),
      with(icmp6(neighbour_message(136, 0, test::kNode6)), [](Packet& p) { p.l4->resize(20); }),
      icmp6(neighbour_message(136, 0, test::kNode6, {2, 0, 0, 0, 0, 0, 0, 0})),
      with(echo4(), [](Packet& p) { p.checksum_at = -1; }),
      with(echo4(), [](Packet& p) { p.l4->resize(7); }),
      echo4(8, 1),
      icmp6(icmp(128, 1, 0), 64),
      with(icmp6(icmp(128, 0, 0), 64), [](Packet& p) { p.checksum_at = -1; }),
      with(icmp6(icmp(128, 0, 0), 64), [](Packet& p) { p.l4->resize(4); }),
      {.protocol = 1, .l4 = icmp(3, 3, 0, Bytes(23)), .checksum_at = 2},
      icmp6(icmp(1, 4, 0, Bytes(43)), 64),
  };
  for (size_t i = 0; i < std::size(rows); ++i) {
    for (const auto& t : {table(), table_with_kernel()}) {
      const Result r = run_one(t, build(rows[i]));
      EXPECT_EQ(info(r.verdict).name, info(Verdict::arp_malformed).name) << "row " << i;
      EXPECT_EQ(r.out.transmit.count + r.out.neighbours.count + r.out.icmp_errors.count, 0);
    }
  }
}

TEST(Exception, SolicitationFromImpossibleSources) {
  for (const char* source : {"ff02::7", "::1", "::ffff:1.2.3.4", kOwn6}) {
    Packet p = solicitation();
    p.src = source;
    EXPECT_EQ(run_one(table(), build(p)).verdict, Verdict::ip_source) << source;
  }
}

TEST(Exception, TheRestIsDroppedOrGoesToTheKernel) {
  const std::pair<Packet, Verdict> rows[] = {
      {arp_request("10.0.0.77"), Verdict::not_ours},
      {solicitation("fd00::77"), Verdict::not_ours},
      {solicitation("::ffff:10.0.0.1"), Verdict::not_ours},
      {{.ether_type = 0x88cc, .l3 = Bytes(30)}, Verdict::unknown_ethertype},
      {{.dst = "10.0.0.99"}, Verdict::not_ours},
      {{.src = kClient6, .dst = "fd00::99"}, Verdict::not_ours},
      {{.src = kClient6, .dst = "::ffff:10.0.0.1"}, Verdict::not_ours},
      {{.dst_mac = test::kBroadcast}, Verdict::not_ours},
      {{.dst_mac = test::kBroadcast, .dst = "255.255.255.255"}, Verdict::not_ours},
      {{.dst_port = 53}, Verdict::udp_port},
      {{.src = kClient6, .dst = kOwn6, .dst_port = 53}, Verdict::udp_port},
      {{.protocol = 6, .l4 = Bytes(20)}, Verdict::not_ours},
      {{.src = kClient6, .dst = kOwn6, .protocol = 6, .l4 = Bytes(20)}, Verdict::not_ours},
      {{.dst = "224.0.0.1", .protocol = 2, .l4 = Bytes(8), .checksum_at = 2}, Verdict::not_ours},
      {echo4(0), Verdict::own_echo},
      {echo4(5), Verdict::own_echo},
      {with(echo4(), [](Packet& p) { p.dst = "10.0.0.99"; }), Verdict::not_ours},
      {icmp6(icmp(129, 0, 0), 64), Verdict::own_echo},
      {icmp6(icmp(134, 0, 0), 255), Verdict::own_echo},
      {with(icmp6(icmp(134, 0, 0, Bytes(8))),
            [](Packet& p) { p.dst_mac = {0x33, 0x33, 0, 0, 0, 1}, p.dst = "ff02::1"; }),
       Verdict::not_ours},
      {with(icmp6(icmp(128, 0, 0), 64),
            [](Packet& p) { p.dst_mac = {0x33, 0x33, 0, 0, 0, 1}, p.dst = "ff02::1"; }),
       Verdict::not_ours},
  };
  for (size_t i = 0; i < std::size(rows); ++i) {
    const Bytes in = build(rows[i].first);
    Result r = run_one(table(), in);
    EXPECT_EQ(info(r.verdict).name, info(rows[i].second).name) << "row " << i;
    EXPECT_EQ(r.out.transmit.count, 0) << "row " << i;
    r = run_one(table_with_kernel(), in);
    EXPECT_EQ(info(r.verdict).name, info(Verdict::to_kernel).name) << "row " << i;
    EXPECT_EQ(r.out.transmit.count, 1) << "row " << i;
    EXPECT_EQ(r.out_port, kKernelPort) << "row " << i;
    EXPECT_EQ(r.frame, in) << "row " << i;
  }
}

TEST(Exception, FromTheKernelToItsPort) {
  for (const Packet& p : {Packet{}, arp_request(), solicitation()}) {
    const Result r = run_one(table_with_kernel(), build(p), kKernelPort);
    EXPECT_EQ(r.verdict, Verdict::from_kernel);
    EXPECT_EQ(r.out_port, 0);
    EXPECT_EQ(r.out.transmit.count, 1);
    EXPECT_EQ(r.frame, build(p));
  }
}

TEST(Exception, AddressesAreAnsweredForOnTheirPortsOnly) {
  config::Config c = test::world();
  c.services.push_back(test::service("routed", "10.0.0.9", {"10.0.0.20"}, 10));
  const parse::Table t = parse::build_table(c, test::world_ports()).value();
  EXPECT_EQ(run_one(t, build(arp_request("10.0.0.9"))).verdict, Verdict::not_ours);
  parse::Table no_mac = table();
  no_mac.ports[0].mac = {};
  EXPECT_EQ(run_one(no_mac, build(arp_request())).verdict, Verdict::not_ours);
}

}  // namespace
}  // namespace lf::exception
