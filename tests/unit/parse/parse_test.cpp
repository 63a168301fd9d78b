// SPDX-License-Identifier: Apache-2.0
// What parse makes of single frames.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/unit/parse/parse_one.hpp"

namespace lf::parse {
namespace {

struct Row {
  const char* name;
  Packet packet;
  Verdict verdict = Verdict::none;
  Kind kind = Kind::command;  // where verdict is none
};

const Bytes kShortLcp(79, 0);

const Row kRows[] = {
    {"command", {}},
    {"command with a payload", {.lcp = {.payload = Bytes(100, 7)}}},
    {"command with an odd payload", {.lcp = {.payload = Bytes(101, 7)}}},
    {"command over IPv6", {.src = kClient6, .dst = kOwn6}},
    {"command with a VLAN tag", {.vlan = 5}},
    {"command over IPv6 with a VLAN tag", {.vlan = 5, .src = kClient6, .dst = kOwn6}},
    {"command with a priority tag", {.vlan = 0xe000}},
    {"command with padding", {.padding = 9}},
    {"command without UDP checksum", {.udp_checksum = 0}},
    {"command of an unknown intent", {.lcp = {.intent = 99}}},
    {"severity 5", {.lcp = {.severity = 5}}},
    {"reply", {.lcp = {.type = 2, .payload = test::reply_body(lcp::Status::ok)}}, {}, Kind::reply},
    {"approval", {.lcp = {.type = 3}}, {}, Kind::approval},
    {"report", {.lcp = {.type = 4, .payload = test::report_body(1)}}, {}, Kind::report},
    {"probe", {.lcp = {.type = 5}}, {}, Kind::probe},
    {"probe reply", {.lcp = {.type = 6}}, {}, Kind::probe_reply},
    {"probe with TTL 1", {.ttl = 1, .lcp = {.type = 5}}, {}, Kind::probe},
    {"reply to an own address of no service",
     {.dst = "10.0.0.3", .lcp = {.type = 2, .payload = test::reply_body(lcp::Status::ok)}},
     {},
     Kind::reply},
    {"command to an own address of no service", {.dst = "10.0.0.3"}, Verdict::udp_port},

    {"frame of nothing", {.cut = 0}, Verdict::eth_truncated},
    {"frame of 13 bytes", {.cut = 13}, Verdict::eth_truncated},
    {"VLAN tag cut", {.vlan = 5, .cut = 17}, Verdict::eth_truncated},
    {"two VLAN tags", {.vlan = 5, .inner_vlan = 6}, Verdict::vlan_stacked},
    {"service tag", {.vlan = 5, .vlan_type = 0x88a8}, Verdict::vlan_stacked},
    {"other MAC address", {.dst_mac = test::kOtherMac}, Verdict::not_ours},
    {"broadcast MAC with an own address", {.dst_mac = test::kBroadcast}, {}, Kind::exception},
    {"ARP", {.l3 = Bytes(28, 0)}, {}, Kind::exception},
    {"ARP in a VLAN", {.vlan = 5, .ether_type = 0x0806, .l3 = Bytes(28, 0)}, {}, Kind::exception},
    {"LLDP", {.ether_type = 0x88cc, .l3 = Bytes(28, 0)}, {}, Kind::exception},

    {"IPv4 header cut", {.cut = 33}, Verdict::ip_truncated},
    {"IPv6 header cut", {.src = kClient6, .dst = kOwn6, .cut = 53}, Verdict::ip_truncated},
    {"IPv4 packet cut", {.cut = 121}, Verdict::ip_truncated},
    {"IPv6 packet cut", {.src = kClient6, .dst = kOwn6, .cut = 141}, Verdict::ip_truncated},
    {"total length below the header", {.total_length = 19}, Verdict::ip_truncated},
    {"total length beyond the frame", {.total_length = 109}, Verdict::ip_truncated},
    {"IPv6 in an IPv4 frame", {.version_ihl = 0x65}, Verdict::ip_version},
    {"IPv4 in an IPv6 frame",
     {.src = kClient6, .dst = kOwn6, .version_ihl = 0x45},
     Verdict::ip_version},
    {"header length 4 words", {.version_ihl = 0x44}, Verdict::ip_options},
    {"IPv4 options", {.ip_options = {7, 3, 4, 0}}, Verdict::ip_options},
    {"IPv4 options with a wrong checksum",
     {.ip_options = {1, 1, 1, 1}, .ip_checksum = 0x1234},
     Verdict::ip_options},
    {"hop-by-hop", {.src = kClient6, .dst = kOwn6, .protocol = 0}, Verdict::ip_extension},
    {"routing header", {.src = kClient6, .dst = kOwn6, .protocol = 43}, Verdict::ip_extension},
    {"IPv6 fragment", {.src = kClient6, .dst = kOwn6, .protocol = 44}, Verdict::ip_extension},
    {"destination options", {.src = kClient6, .dst = kOwn6, .protocol = 60}, Verdict::ip_extension},
    {"first fragment", {.fragment = 0x2000}, Verdict::ip_fragment},
    {"last fragment", {.fragment = 0x0010}, Verdict::ip_fragment},
    {"reserved fragment flag", {.fragment = 0x8000}},
    {"wrong IPv4 checksum", {.ip_checksum = 0xbeef}, Verdict::ip_checksum},
    {"source 0.0.0.0", {.src = "0.0.0.0"}, Verdict::ip_source},
    {"source loopback", {.src = "127.0.0.1"}, Verdict::ip_source},
    {"source multicast", {.src = "224.0.0.5"}, Verdict::ip_source},
    {"source broadcast", {.src = "255.255.255.255"}, Verdict::ip_source},
    {"source our own", {.src = kOwn4}, Verdict::ip_source},
    {"source another own", {.src = "10.0.0.3"}, Verdict::ip_source},
    {"IPv6 source unspecified", {.src = "::", .dst = kOwn6}, Verdict::ip_source},
    {"IPv6 source loopback", {.src = "::1", .dst = kOwn6}, Verdict::ip_source},
    {"IPv6 source multicast", {.src = "ff02::1", .dst = kOwn6}, Verdict::ip_source},
    {"IPv6 source our own", {.src = kOwn6, .dst = kOwn6}, Verdict::ip_source},
    {"IPv6 source v4-mapped", {.src = "::ffff:10.0.0.12", .dst = kOwn6}, Verdict::ip_source},
    {"IPv6 to our mapped IPv4 address",
     {.src = kClient6, .dst = "::ffff:10.0.0.1"},
     {},
     Kind::exception},
    {"TTL 1", {.ttl = 1}, Verdict::ttl_expired},
    {"TTL 0", {.ttl = 0}, Verdict::ttl_expired},
    {"TTL 2", {.ttl = 2}},
    {"hop limit 1", {.src = kClient6, .dst = kOwn6, .ttl = 1}, Verdict::ttl_expired},
    {"reply with TTL 1",
     {.ttl = 1, .lcp = {.type = 2, .payload = test::reply_body(lcp::Status::ok)}},
     Verdict::ttl_expired},
    {"to an address that is not ours", {.dst = "10.0.0.99"}, {}, Kind::exception},
    {"to an IPv6 address that is not ours",
     {.src = kClient6, .dst = "fd00::99"},
     {},
     Kind::exception},
    {"fragment that is not ours", {.dst = "10.0.0.99", .fragment = 0x2000}, {}, Kind::exception},
    {"TCP to us", {.protocol = 6, .l4 = Bytes(20, 0)}, {}, Kind::exception},
    {"ICMPv6 to us",
     {.src = kClient6, .dst = kOwn6, .protocol = 58, .l4 = Bytes(8, 0)},
     {},
     Kind::exception},

    {"UDP header cut to the ports", {.l4 = Bytes{0x9c, 0x40, 0x1c, 0x03}}, Verdict::udp_truncated},
    {"UDP header cut within the ports", {.l4 = Bytes{0x9c, 0x40, 0x1c}}, Verdict::udp_truncated},
    {"no UDP header", {.l4 = Bytes{}}, Verdict::udp_truncated},
    {"no UDP header over IPv6",
     {.src = kClient6, .dst = kOwn6, .l4 = Bytes{}},
     Verdict::udp_truncated},
    {"IPv6 UDP header cut",
     {.src = kClient6, .dst = kOwn6, .l4 = Bytes{0x9c, 0x40, 0x1c, 0x03, 0, 4}},
     Verdict::udp_truncated},
    {"UDP length 7", {.udp_length = 7}, Verdict::udp_length},
    {"UDP length one less", {.udp_length = 87}, Verdict::udp_length},
    {"UDP length one more", {.udp_length = 89}, Verdict::udp_length},
    {"UDP length 0 over IPv6",
     {.src = kClient6, .dst = kOwn6, .udp_length = 0},
     Verdict::udp_length},
    {"wrong UDP checksum", {.udp_checksum = 0x1234}, Verdict::udp_checksum},
    {"wrong UDP checksum over IPv6",
     {.src = kClient6, .dst = kOwn6, .udp_checksum = 0x1234},
     Verdict::udp_checksum},
    {"no UDP checksum over IPv6",
     {.src = kClient6, .dst = kOwn6, .udp_checksum = 0},
     Verdict::udp_checksum},
    {"UDP port of no service", {.dst_port = 7172}, {}, Kind::exception},

    {"no LCP header", {.udp_payload = Bytes{}}, Verdict::lcp_truncated},
    {"79 bytes of LCP header", {.udp_payload = kShortLcp}, Verdict::lcp_truncated},
    {"magic", {.lcp = {.magic = 0x4c47}}, Verdict::lcp_magic},
    {"version 0", {.lcp = {.version = 0}}, Verdict::lcp_version},
    {"version 2", {.lcp = {.version = 2}}, Verdict::lcp_version},
    {"type 0", {.lcp = {.type = 0}}, Verdict::lcp_type},
    {"type 7", {.lcp = {.type = 7}}, Verdict::lcp_type},
    {"flag 4", {.lcp = {.flags = 4}}, Verdict::lcp_flags},
    {"payload length too small",
     {.lcp = {.payload_length = 3, .payload = Bytes(4)}},
     Verdict::lcp_length},
    {"payload length too large", {.lcp = {.payload_length = 1}}, Verdict::lcp_length},
    {"severity 0", {.lcp = {.severity = 0}}, Verdict::lcp_severity},
    {"severity 6", {.lcp = {.severity = 6}}, Verdict::lcp_severity},
    {"reply body of 15 bytes", {.lcp = {.type = 2, .payload = Bytes(15)}}, Verdict::lcp_body},
    {"approval with a body", {.lcp = {.type = 3, .payload = Bytes(1)}}, Verdict::lcp_body},
    {"report of 23 bytes", {.lcp = {.type = 4, .payload = Bytes(23)}}, Verdict::lcp_body},
    {"report of 25 bytes", {.lcp = {.type = 4, .payload = Bytes(25)}}, Verdict::lcp_body},
    {"tag without its flag", {.lcp = {.tag = Bytes(16, 1)}}, Verdict::lcp_untagged_tag},
};

TEST(Parse, EveryRow) {
  const Table t = table();
  for (const Row& row : kRows) {
    const Parsed p = parse_one(t, build(row.packet));
    EXPECT_EQ(info(p.verdict).name, info(row.verdict).name) << row.name;
    if (row.verdict == Verdict::none) {
      EXPECT_EQ(int(p.kind), int(row.kind)) << row.name;
    }
  }
}

TEST(Parse, FillsInTheMetadata) {
  const Packet in{.vlan = 0x2005,
                  .src = kClient6,
                  .dst = kOwn6,
                  .lcp = {.flags = 2,
                          .intent = 2,
                          .severity = 4,
                          .attempt = 3,
                          .org = 0x01020304,
                          .operator_id = 0x05060708,
                          .deadline_us = 0x1122334455667788,
                          .target = 0x0a0b0c0d,
                          .key_id = 0x0102,
                          .payload = Bytes(10)}};
  const Meta m = parse_one(table(), build(in)).meta;
  EXPECT_EQ(m.deadline_us, 0x1122334455667788u);
  EXPECT_EQ(m.org_id, 0x01020304u);
  EXPECT_EQ(m.operator_id, 0x05060708u);
  EXPECT_EQ(m.target_id, 0x0a0b0c0du);
  EXPECT_EQ(m.payload_length, 10);
  EXPECT_EQ(m.key_id, 0x0102);
  EXPECT_EQ(m.vlan_tci, 0x2005);
  EXPECT_EQ(m.service, 1);
  EXPECT_EQ(m.l3_offset, 18);
  EXPECT_EQ(m.l4_offset, 58);
  EXPECT_EQ(m.lcp_offset, 66);
  EXPECT_EQ(m.ip_version, 6);
  EXPECT_EQ(m.flags, 2);
  EXPECT_EQ(m.intent, 2);
  EXPECT_EQ(m.intent_index, 2);
  EXPECT_EQ(m.severity, 4);
  EXPECT_EQ(m.attempt, 3);
  EXPECT_TRUE(m.replayable);
  EXPECT_FALSE(m.authenticated);
  EXPECT_EQ(m.org, kNoOrg);
}

TEST(Parse, CutsPaddingOff) {
  test::TestBurst b({build({.padding = 30})});
  State state;
  Sorted sorted;
  run(table(), state, *b.burst, sorted, 0);
  EXPECT_EQ(b.frame(0), build({}));
  EXPECT_EQ(b.burst->packets[0]->pkt_len, build({}).size());
}

TEST(Parse, SeveralBuffers) {
  test::TestBurst b({build({})});
  b.burst->packets[0]->nb_segs = 2;
  State state;
  Sorted sorted;
  run(table(), state, *b.burst, sorted, 0);
  EXPECT_EQ(b.burst->meta[0].verdict, Verdict::segmented);
}

TEST(Parse, TrustedPortsVerdictOnChecksumsCounts) {
  Table t = table();
  t.ports[0].rx_ip_checksum = t.ports[0].rx_udp_checksum = true;
  const Bytes good = build({});
  const Bytes bad_ip = build({.ip_checksum = 1});
  const Bytes bad_udp = build({.udp_checksum = 1});
  constexpr uint64_t kGood = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
  EXPECT_EQ(parse_one(t, good, kGood).verdict, Verdict::none);
  EXPECT_EQ(parse_one(t, bad_ip, kGood).verdict, Verdict::none);
  EXPECT_EQ(parse_one(t, bad_udp, kGood).verdict, Verdict::none);
  EXPECT_EQ(parse_one(t, good, RTE_MBUF_F_RX_IP_CKSUM_BAD).verdict, Verdict::ip_checksum);
  EXPECT_EQ(parse_one(t, good, RTE_MBUF_F_RX_L4_CKSUM_BAD).verdict, Verdict::udp_checksum);
  EXPECT_EQ(parse_one(t, bad_udp, RTE_MBUF_F_RX_L4_CKSUM_NONE).verdict, Verdict::none);
  // The port said nothing: checked in software.
  EXPECT_EQ(parse_one(t, bad_ip, 0).verdict, Verdict::ip_checksum);
  EXPECT_EQ(parse_one(t, bad_udp, 0).verdict, Verdict::udp_checksum);
}

TEST(Parse, UntrustedPortsVerdictOnChecksumsDoesNot) {
  const Table t = table();
  constexpr uint64_t kGood = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
  constexpr uint64_t kBad = RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_BAD;
  EXPECT_EQ(parse_one(t, build({.ip_checksum = 1}), kGood).verdict, Verdict::ip_checksum);
  EXPECT_EQ(parse_one(t, build({.udp_checksum = 1}), kGood).verdict, Verdict::udp_checksum);
  EXPECT_EQ(parse_one(t, build({}), kBad).verdict, Verdict::none);
}

TEST(Parse, PortWithAVlanTakesNoOther) {
  Table t = table();
  t.ports[0].vlan_tci = 5;
  EXPECT_EQ(parse_one(t, build({.vlan = 5})).kind, Kind::command);
  EXPECT_EQ(parse_one(t, build({.vlan = 0x6005})).kind, Kind::command);
  EXPECT_EQ(parse_one(t, build({.vlan = 6})).verdict, Verdict::not_ours);
  EXPECT_EQ(parse_one(t, build({})).verdict, Verdict::not_ours);
}

TEST(Parse, PortWithoutMacTakesAll) {
  Table t = table();
  t.ports[0].mac = {};
  EXPECT_EQ(parse_one(t, build({.dst_mac = test::kOtherMac})).kind, Kind::command);
}

TEST(Parse, WhatComesFromTheKernelIsAnException) {
  Table t = table();
  t.ports[1].kernel_of = 0;
  EXPECT_EQ(parse_one(t, build({}), 0, 1).kind, Kind::exception);
}

TEST(Parse, PortBeyondTheTableIsNotOurs) {
  EXPECT_EQ(parse_one(table(), build({}), 0, RTE_MBUF_PORT_INVALID).verdict, Verdict::not_ours);
}

TEST(Parse, SetsAllAnewAndKeepsTheOrder) {
  test::TestBurst b({build({}), build({.lcp = {.type = 5}}), build({.cut = 3}), build({})});
  b.burst->meta[3].origin = Origin::intake;
  b.burst->meta[3].node = 77;
  State state;
  Sorted sorted;
  run(table(), state, *b.burst, sorted, 0);
  ASSERT_EQ(sorted.commands.count, 2);
  EXPECT_EQ(sorted.commands.index[0], 0);
  EXPECT_EQ(sorted.commands.index[1], 3);
  EXPECT_EQ(sorted.probes.count, 1);
  EXPECT_EQ(sorted.exceptions.count, 0);
  EXPECT_EQ(b.burst->meta[3].origin, Origin::wire);
  EXPECT_EQ(b.burst->meta[3].node, kNoNode);
}

// Cutting a valid frame anywhere, or changing any byte of it, never gives a command with other
// contents: either the change is seen, or it is in a field that nothing protects.
RC_GTEST_PROP(Parse, OneFlippedByteIsSeen, (uint8_t flip)) {
  RC_PRE(flip != 0);
  static const Table t = table();
  const bool v6 = *rc::gen::arbitrary<bool>();
  Packet in;
  if (v6) in.src = kClient6, in.dst = kOwn6;
  in.lcp.payload = Bytes(*rc::gen::inRange<size_t>(0, 40), 0x3c);
  Bytes frame = build(in);
  const size_t l3 = 14;
  const size_t at = *rc::gen::inRange<size_t>(l3, frame.size());
  frame[at] ^= flip;
  const Parsed p = parse_one(t, frame);
  // IPv6 has no header checksum: traffic class, flow label and hop limit may change.
  const bool free_field = v6 && ((at >= l3 && at < l3 + 4) || at == l3 + 7);
  if (!free_field) RC_ASSERT(p.verdict != Verdict::none || p.kind == Kind::exception);
}

RC_GTEST_PROP(Parse, AnyBytesGetAVerdictOrAKind, (const Bytes& noise)) {
  static const Table t = table();
  Bytes frame = build({});
  for (size_t i = 0; i < noise.size() && i < frame.size(); ++i)
    if (noise[i] & 1) frame[frame.size() - 1 - i] = noise[i];
  frame.resize(*rc::gen::inRange<size_t>(0, frame.size() + 1));
  const Parsed p = parse_one(t, frame);
  RC_ASSERT(p.verdict != Verdict::none || p.kind != Kind::undecided);
}

}  // namespace
}  // namespace lf::parse
