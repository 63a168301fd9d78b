// SPDX-License-Identifier: Apache-2.0
// Parts of usual commands, which are parsed together: the same as each by itself.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>

#include "control/parse/table_builder.hpp"
#include "dataplane/net/checksum.hpp"
#include "dataplane/parse/parse.hpp"
#include "tests/support/mbufs.hpp"
#include "tests/support/world.hpp"

namespace lf::parse {
namespace {

using test::build;
using test::Bytes;
using test::Packet;

constexpr uint32_t kFrames = 2 * kPartMax;
constexpr net::Layout kLayouts[] = {{4, false}, {4, true}, {6, false}, {6, true}};

Packet as(net::Layout layout, Packet in) {
  if (layout.ip_version == 6) in.src = test::kClient6, in.dst = test::kOwn6;
  if (layout.tagged) in.vlan = 0x2005;
  return in;
}

Packet plain(net::Layout layout) {
  return as(layout, {});
}

Table table() {
  config::Config c = test::world();
  c.ports[0].addresses.push_back({test::ip("10.0.0.3"), 24, 4});
  c.ports[0].addresses.push_back({test::ip("fd00::3"), 64, 6});
  Table t = build_table(c, test::world_ports()).value();
  t.ports[1] = t.ports[0];
  return t;
}

// More own addresses than sources are compared with one by one.
Table with_many_own() {
  Table t = table();
  for (int n = 0; n < 40; ++n) {
    add_own(t, test::ip("10.0.7." + std::to_string(n)), 4, 1);
    add_own(t, test::ip("fd00::7:" + std::to_string(n)), 6, 1);
  }
  return t;
}

// The port's word on both checksums counts, or on one.
Table port_knows(bool ip, bool udp) {
  Table t = table();
  t.ports[0].rx_ip_checksum = ip;
  t.ports[0].rx_udp_checksum = udp;
  return t;
}
constexpr uint64_t kGood = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;

rte_mbuf* add(test::TestBurst& b, const Bytes& frame) {
  return b.add(frame, 0, static_cast<uint16_t>(frame.size()));
}

// Parts of eight; the first one makes the place known.
void parse_parts(const Table& t, State& state, Burst& burst, Sorted& sorted) {
  begin(t, state, burst, sorted);
  for (uint32_t first = 0; first < burst.count; first += kPartMax)
    part(t, state, burst, first, std::min<uint32_t>(first + kPartMax, burst.count), sorted);
}

// Of all that a place takes; from addresses that share the last byte's filter bit with an own one.
Packet command_or_reply(net::Layout layout, bool some_replies) {
  Packet in = plain(layout);
  in.src = layout.ip_version == 4
               ? *rc::gen::element("10.0.0.12", "10.0.0.13", "10.9.9.1", "10.9.9.65", "10.9.9.3")
               : *rc::gen::element("fd00::c", "100::1", "fe80::3", "2001:db8:0:2::43", "2001::1");
  in.tos = *rc::gen::arbitrary<uint8_t>();
  in.flow_label = *rc::gen::inRange(0u, 0x100000u);
  in.ttl = *rc::gen::element<uint8_t>(2, 64, 255);
  in.fragment = *rc::gen::element<uint16_t>(0, 0x4000);
  in.lcp = {.flags = *rc::gen::inRange<uint8_t>(0, 4),
            .intent = *rc::gen::inRange<uint8_t>(0, 6),
            .severity = *rc::gen::inRange<uint8_t>(1, 6),
            .attempt = *rc::gen::arbitrary<uint8_t>()};
  if (layout.ip_version == 4 && *rc::gen::inRange(0, 8) == 0) in.udp_checksum = 0;  // none made
  if ((in.lcp.flags & 1) != 0) in.lcp.tag = Bytes(16, 0x7e);
  in.lcp.payload = Bytes(*rc::gen::inRange<size_t>(0, 120), 0x5a);
  if (some_replies && *rc::gen::inRange(0, 4) == 0) {
    in.lcp.type = 2;
    in.lcp.payload.resize(16 + in.lcp.payload.size());
  }
  return in;
}

void expect_as_alone(const Table& t, const test::TestBurst& b, const Sorted& sorted) {
  Selection commands, replies;
  for (uint32_t i = 0; i < b.burst->count; ++i) {
    test::TestBurst one({b.frame(i)});
    one.burst->packets[0]->port = b.burst->packets[i]->port;
    one.burst->packets[0]->nb_segs = b.burst->packets[i]->nb_segs;
    one.burst->packets[0]->ol_flags = b.burst->packets[i]->ol_flags;
    State state;
    Sorted alone;
    run(t, state, *one.burst, alone, 0);
    Meta wanted = one.burst->meta[0], got = b.burst->meta[i];
    if (wanted.lcp != nullptr)
      RC_ASSERT(reinterpret_cast<uint8_t*>(got.lcp) ==
                rte_pktmbuf_mtod(b.burst->packets[i], uint8_t*) + wanted.lcp_offset);
    wanted.lcp = got.lcp = nullptr;
    RC_ASSERT(std::memcmp(&wanted, &got, sizeof(Meta)) == 0);
    if (alone.commands.count != 0) commands.add(i);
    if (alone.replies.count != 0) replies.add(i);
  }
  RC_ASSERT(std::ranges::equal(commands, sorted.commands));
  RC_ASSERT(std::ranges::equal(replies, sorted.replies));
}

net::Layout some_layout() {
  return *rc::gen::elementOf(std::vector(std::begin(kLayouts), std::end(kLayouts)));
}

RC_GTEST_PROP(ParseTogether, UsualOnesAreAsAlone, (bool some_replies)) {
  static const Table t = table();
  const net::Layout layout = some_layout();
  test::TestBurst b;
  for (uint32_t i = 0; i < kFrames; ++i)
    add(b, build(i < kPartMax ? plain(layout) : command_or_reply(layout, some_replies)));
  State state;
  Sorted sorted;
  parse_parts(t, state, *b.burst, sorted);
  RC_ASSERT(state.pause == 0u && state.places.last->together != 0);  // no attempt has failed
  expect_as_alone(t, b, sorted);
}

// One of them has a byte that is different, or is so itself.
RC_GTEST_PROP(ParseTogether, OneOddOneAmongThem, (bool many_own)) {
  static const Table tables[] = {table(), with_many_own()};
  const Table& t = tables[many_own];
  const net::Layout layout = some_layout();
  const bool v6 = layout.ip_version == 6;
  const auto odd = *rc::gen::inRange<uint32_t>(kPartMax, kFrames);
  test::TestBurst b;
  for (uint32_t i = 0; i < kFrames; ++i) {
    Packet in = i < kPartMax ? plain(layout) : command_or_reply(layout, false);
    if (i != odd) {
      add(b, build(in));
      continue;
    }
    const auto what = *rc::gen::inRange(0, 12);
    if (what == 0)
      in.src = v6 ? *rc::gen::element("::1", "::", "fd00::1", "fd00::3", "ff02::1",
                                      "::ffff:10.0.0.12", "64:ff9b::a00:c", "::2")
                  : *rc::gen::element("127.0.0.1", "10.0.0.1", "10.0.0.3", "224.0.0.1");
    if (what == 1) in.dst = v6 ? "fd00::3" : "10.0.0.3";
    if (what == 2) in.padding = *rc::gen::inRange<size_t>(1, 40);
    if (what == 3) in.lcp.type = 2;
    if (what == 4 && (in.lcp.flags & 1) == 0) in.lcp.tag = Bytes(16, 1);
    if (what == 5) in = command_or_reply(some_layout(), false);
    if (what == 6) in.ttl = *rc::gen::element<uint8_t>(0, 1);
    if (what == 7) in.udp_checksum = 0;
    if (what == 8) in.vlan = *rc::gen::element<uint16_t>(0, 5, 0x2006, 0x3005);
    Bytes frame = build(in);
    if (what >= 9) {
      const auto at = *rc::gen::inRange<size_t>(0, frame.size());
      frame[at] ^= *rc::gen::element<uint8_t>(1, 2, 4, 0x20, 0x40, 0x80, 0xff);
      uint8_t* l3 = frame.data() + layout.ip();
      if (what >= 10 && *l3 == (v6 ? 0x60 : 0x45)) {
        if (!v6) net::set_ipv4_checksum(*reinterpret_cast<rte_ipv4_hdr*>(l3));
        net::set_udp_checksum(l3, layout.ip_version,
                              *reinterpret_cast<rte_udp_hdr*>(l3 + (v6 ? 40 : 20)));
      }
    }
    rte_mbuf* m = add(b, frame);
    if (*rc::gen::inRange(0, 16) == 0) m->port = 1;
  }
  State state;
  Sorted sorted;
  parse_parts(t, state, *b.burst, sorted);
  expect_as_alone(t, b, sorted);
}

// Whether the second part, in which one frame has these flags, is taken together. Checksums are
// wrong where it is said.
bool is_taken(const Table& t, net::Layout layout, uint64_t ol_flags, bool right = true) {
  test::TestBurst b;
  for (uint32_t i = 0; i < kFrames; ++i) {
    Bytes frame = build(plain(layout));
    if (i == 11 && !right) frame[layout.lcp() - 2] ^= 1;  // UDP's
    if (i == 11 && !right && layout.ip_version == 4) frame[layout.ip() + 10] ^= 1;
    add(b, frame)->ol_flags = i == 11 ? ol_flags : kGood;
  }
  State state;
  Sorted sorted;
  parse_parts(t, state, *b.burst, sorted);
  expect_as_alone(t, b, sorted);
  return state.pause == 0;
}

TEST(ParseTogether, ThePortsWordOnChecksumsIsTaken) {
  const Table t = port_knows(true, true);
  for (const net::Layout l : kLayouts) {
    EXPECT_TRUE(is_taken(t, l, kGood));
    EXPECT_TRUE(is_taken(t, l, kGood, false));  // nobody adds them up
    EXPECT_TRUE(is_taken(t, l, RTE_MBUF_F_RX_IP_CKSUM_NONE | RTE_MBUF_F_RX_L4_CKSUM_NONE, false));
    for (const bool right : {true, false}) {
      EXPECT_FALSE(is_taken(t, l, 0, right));  // it does not know
      EXPECT_FALSE(is_taken(t, l, RTE_MBUF_F_RX_IP_CKSUM_GOOD, right));
      EXPECT_FALSE(is_taken(t, l, RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD, right));
      EXPECT_FALSE(is_taken(t, l, RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_BAD, right));
    }
  }
  for (const bool tagged : {false, true})
    for (const bool right : {true, false}) {
      const net::Layout v4{4, tagged}, v6{6, tagged};
      EXPECT_FALSE(is_taken(t, v4, RTE_MBUF_F_RX_L4_CKSUM_GOOD, right));
      EXPECT_FALSE(
          is_taken(t, v4, RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_GOOD, right));
      // IPv6 has no checksum of its own.
      EXPECT_TRUE(is_taken(t, v6, RTE_MBUF_F_RX_L4_CKSUM_GOOD, right));
    }
}

TEST(ParseTogether, OfAPortThatKnowsOneChecksumThereAreNoParts) {
  for (const bool ip : {true, false}) {
    const Table t = port_knows(ip, !ip);
    for (const uint64_t flags : {kGood, uint64_t{0}}) {
      EXPECT_TRUE(is_taken(t, {}, flags));  // not attempted
      EXPECT_TRUE(is_taken(t, {}, flags, false));
    }
  }
}

RC_GTEST_PROP(ParseTogether, WhatAPortKnowsOfUsualOnesIsAsAlone, (bool some_replies)) {
  static const Table t = port_knows(true, true);
  const net::Layout layout = some_layout();
  test::TestBurst b;
  for (uint32_t i = 0; i < kFrames; ++i) {
    Bytes frame = build(i < kPartMax ? plain(layout) : command_or_reply(layout, some_replies));
    if (*rc::gen::inRange(0, 32) == 0) frame[*rc::gen::inRange<size_t>(0, frame.size())] ^= 1;
    if (*rc::gen::inRange(0, 32) == 0) frame[layout.lcp() - 1] = frame[layout.lcp() - 2] = 0;
    add(b, frame)->ol_flags = *rc::gen::weightedElement<uint64_t>(
        {{40, kGood}, {1, 0}, {1, RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD}});
  }
  State state;
  Sorted sorted;
  parse_parts(t, state, *b.burst, sorted);
  expect_as_alone(t, b, sorted);
}

// Whether the part was not taken together because a byte of one frame is another.
bool is_seen(const Table& t, const Bytes& frame, size_t at) {
  test::TestBurst b;
  for (uint32_t i = 0; i < kFrames; ++i) add(b, frame);
  rte_pktmbuf_mtod(b.burst->packets[11], uint8_t*)[at] ^= 0x21;
  State state;
  Sorted sorted;
  parse_parts(t, state, *b.burst, sorted);
  return state.pause != 0;
}

TEST(ParseTogether, AnyByteOfTheHeadersIsSeen) {
  static const Table t = table();
  for (const net::Layout l : kLayouts) {
    const Bytes frame = build(as(l, {.lcp = {.flags = 1, .tag = Bytes(16, 3)}}));
    for (size_t at = 0; at < frame.size(); ++at) {
      // But of the source's MAC address, and of IPv6's traffic class, flow label and hop limit.
      const size_t ip = l.ip();
      const bool does_not_count =
          (at >= 6 && at < 12) || (l.ip_version == 6 && ((at > ip && at < ip + 4) || at == ip + 7));
      EXPECT_EQ(is_seen(t, frame, at), !does_not_count) << at << " " << ip;
    }
  }
}

TEST(ParseTogether, OverIpv6NoChecksumIsSeen) {
  for (const bool knows : {false, true}) {
    const Table t = port_knows(knows, knows);
    for (const bool tagged : {false, true}) {
      const net::Layout layout{6, tagged};
      test::TestBurst b;
      for (uint32_t i = 0; i < kFrames; ++i) {
        Packet in = plain(layout);
        if (i == 11) in.udp_checksum = 0;
        add(b, build(in))->ol_flags = kGood;
      }
      State state;
      Sorted sorted;
      parse_parts(t, state, *b.burst, sorted);
      EXPECT_EQ(state.pause, 1u);
      EXPECT_EQ(b.burst->meta[11].verdict, Verdict::udp_checksum);
    }
  }
}

// A sum of 0xffff is sent as 0, were it not for IPv6, which knows no other form.
TEST(ParseTogether, OverIpv6ChecksumsOfOnesAreRight) {
  const Table t = table();
  for (uint64_t trace = 0; trace < 0x20000; ++trace) {
    const Packet in = as({6, false}, {.lcp = {.trace = trace}});
    const Bytes frame = build(in);
    if (frame[60] != 0xff || frame[61] != 0xff) continue;
    test::TestBurst b;
    for (uint32_t i = 0; i < kFrames; ++i) add(b, frame);
    State state;
    Sorted sorted;
    parse_parts(t, state, *b.burst, sorted);
    EXPECT_EQ(state.pause, 0u);
    EXPECT_EQ(sorted.commands.count, kFrames);
    return;
  }
  FAIL() << "no such packet found";
}

TEST(ParseTogether, WithoutUdpChecksumAnyByteOfTheIpHeaderIsSeen) {
  static const Table t = table();
  const Bytes frame = build({.udp_checksum = 0, .lcp = {.flags = 1, .tag = Bytes(16, 3)}});
  for (size_t at = 12; at < 34; ++at) EXPECT_TRUE(is_seen(t, frame, at)) << at;
  for (size_t at = 40; at < 42; ++at) EXPECT_TRUE(is_seen(t, frame, at)) << at;   // a checksum now
  for (size_t at = 60; at < 76; ++at) EXPECT_FALSE(is_seen(t, frame, at)) << at;  // identifiers
}

// Attempts become rare while they fail, and the first that does not fail ends that.
TEST(ParseTogether, PausesWhereItFails) {
  const Table t = table();
  State state;
  const auto pause_after = [&](const Packet& last) {
    test::TestBurst b;
    for (uint32_t i = 0; i < kPartMax; ++i) add(b, build(i + 1 < kPartMax ? Packet{} : last));
    Sorted sorted;
    parse_parts(t, state, *b.burst, sorted);
    return state.pause;
  };
  const Packet odd{.src = "127.0.0.1"};
  EXPECT_EQ(pause_after({}), 0u);
  EXPECT_EQ(pause_after(odd), 1u);
  EXPECT_EQ(pause_after(odd), 1u);  // not attempted
  EXPECT_EQ(pause_after(odd), 3u);
  for (int part = 0; part < 3; ++part) EXPECT_EQ(pause_after({}), 3u);
  EXPECT_EQ(pause_after({}), 0u);
}

TEST(ParseTogether, AFrameOfSeveralBuffersIsNoUsualOne) {
  const Table t = table();
  test::TestBurst b;
  for (uint32_t i = 0; i < kFrames; ++i) add(b, build({}));
  b.burst->packets[9]->nb_segs = 2;
  State state;
  Sorted sorted;
  parse_parts(t, state, *b.burst, sorted);
  EXPECT_EQ(state.pause, 1u);
}

}  // namespace
}  // namespace lf::parse
