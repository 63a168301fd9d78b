// SPDX-License-Identifier: Apache-2.0
// One frame in, one verdict or kind out.
#include "dataplane/parse/parse.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <set>

#include "control/parse/table_builder.hpp"
#include "dataplane/net/checksum.hpp"
#include "dataplane/parse/sums.hpp"
#include "dataplane/validate/validate.hpp"
#include "tests/support/mbufs.hpp"
#include "tests/support/world.hpp"

namespace lf::parse {
namespace {

using test::build;
using test::Bytes;
using test::ip;
using test::kClient6;
using test::kOwn4;
using test::kOwn6;
using test::Packet;

Table table() {
  config::Config c = test::world();
  c.ports[0].addresses.push_back({ip("10.0.0.3"), 24, 4});
  return build_table(c, test::world_ports()).value();
}

struct Parsed {
  Verdict verdict;
  Kind kind;
  Meta meta;
};

Parsed parse_one(const Table& t, const Bytes& frame, uint64_t ol_flags = 0, uint16_t port = 0) {
  test::TestBurst b;
  b.add(frame, port, static_cast<uint16_t>(frame.size()))->ol_flags = ol_flags;
  State state;
  Sorted sorted;
  run(t, state, *b.burst, sorted, 0);
  const Meta& m = b.burst->meta[0];
  const Selection* by_kind[] = {
      nullptr,         &sorted.commands,  &sorted.replies,       &sorted.approvals,
      &sorted.reports, &sorted.probes,    &sorted.probe_replies, &sorted.flows,
      &sorted.flows,   &sorted.exceptions};
  uint32_t listed = 0;
  for (const Selection* s : std::set(std::begin(by_kind), std::end(by_kind)))
    listed += s ? s->count : 0;
  EXPECT_EQ(listed, m.verdict == Verdict::none ? 1u : 0u);
  if (m.verdict == Verdict::none) {
    EXPECT_EQ(by_kind[static_cast<int>(m.kind)]->count, 1);
  }
  return {m.verdict, m.kind, m};
}

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

// By themselves: a right sum taken for a wrong one is only slow, as the general way decides then.
TEST(Parse, SumsOfUsualDatagrams) {
  std::mt19937 random(1);
  for (size_t size = 0; size < 200; ++size) {
    Bytes payload(size);
    for (uint8_t& byte : payload) byte = static_cast<uint8_t>(random());
    Bytes frame = build({.lcp = {.flags = 1, .payload = payload}});
    const size_t length = frame.size();
    frame.push_back(0xa5);  // not part of it
    __m256i sums[8];
    const auto right = [&](size_t at, uint8_t change) {
      for (__m256i& s : sums) s = sums_of({}, frame.data(), static_cast<uint32_t>(length));
      frame[at] ^= change;
      sums[size % 5] = sums_of({}, frame.data(), static_cast<uint32_t>(length));
      frame[at] ^= change;
      const __m256i wrong = wrong_ones(sums, 5);
      return _mm256_testz_si256(wrong, wrong) != 0;
    };
    EXPECT_TRUE(right(length, 0)) << size;
    EXPECT_TRUE(right(length, 0xff)) << size;
    for (size_t at = 14; at < length; ++at) EXPECT_FALSE(right(at, 0x10)) << size << " " << at;
  }
}

TEST(Parse, PlacesOfATableAreNotThoseOfTheNextOne) {
  Table t = table();
  State state;
  Sorted sorted;
  const auto verdict = [&] {
    test::TestBurst b({build({}), build({})});
    run(t, state, *b.burst, sorted, 0);
    return b.burst->meta[1].verdict;
  };
  EXPECT_EQ(verdict(), Verdict::none);
  EXPECT_EQ(verdict(), Verdict::none);
  Table other = t;
  other.ports[0].mac.addr_bytes[5] ^= 1;
  t = other;  // where the first one was
  EXPECT_EQ(verdict(), Verdict::not_ours);
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

Table table_with_flows() {
  Table t = table();
  t.has_flows = true;
  add_flow(t, {ip(kOwn4), lcp::be16(5353), IPPROTO_UDP, 4, 1});
  add_flow(t, {ip(kOwn4), lcp::be16(80), IPPROTO_TCP, 4, 2});
  return t;
}

// A command, or a packet to a flow service.
Packet usual_packet() {
  Packet in;
  in.lcp = {.flags = 1, .intent = *rc::gen::inRange<uint8_t>(0, 6), .severity = 3};
  const Bytes payload(*rc::gen::inRange<size_t>(0, 60), 0x5a);
  in.lcp.payload = payload;
  switch (*rc::gen::inRange(0, 4)) {
    case 0:
      in.dst_port = 5353;
      in.udp_payload = payload;
      break;
    case 1:
      in.protocol = IPPROTO_TCP;
      in.l4 = Bytes(20 + payload.size(), 0x50);
      (*in.l4)[2] = 0, (*in.l4)[3] = 80;
      break;
    case 2:
      in.lcp.type = 2;
      in.lcp.flags = 0;
      in.lcp.payload = Bytes(16 + payload.size());
      break;
    default:
      break;
  }
  if (*rc::gen::arbitrary<bool>()) in.padding = 9;
  return in;
}

// A port whose MAC address is not known never takes the short way (parse/usual.hpp): both ways give
// the same for usual packets with some bytes changed, their checksums made right or not.
RC_GTEST_PROP(Parse, ShortAndGeneralWayAgree, ()) {
  static const Table t = table_with_flows();
  static const Table without_mac = [] {
    Table other = t;
    for (net::Port& port : other.ports) port.mac = {};
    return other;
  }();
  const Packet in = usual_packet();
  Bytes frame = build(in);
  const size_t first = *rc::gen::element<size_t>(12, 14, 42);
  const auto changes = *rc::gen::inRange(0, 4);
  for (int c = 0; c < changes; ++c)
    frame[*rc::gen::inRange<size_t>(first, std::min<size_t>(frame.size(), 42 + 80))] =
        *rc::gen::element<uint8_t>(0, 1, 2, 5, 6, 0x11, 0x7f, 0xff);
  if (first == 14) net::set_ipv4_checksum(*reinterpret_cast<rte_ipv4_hdr*>(frame.data() + 14));
  if (first == 42 && in.protocol == IPPROTO_UDP)
    net::set_udp_checksum(frame.data() + 14, 4, *reinterpret_cast<rte_udp_hdr*>(frame.data() + 34));
  const auto ol_flags = *rc::gen::element<uint64_t>(0, RTE_MBUF_F_RX_L4_CKSUM_NONE);

  Parsed p[2] = {parse_one(t, frame, ol_flags), parse_one(without_mac, frame, ol_flags)};
  RC_ASSERT(info(p[0].verdict).name == info(p[1].verdict).name);
  for (Parsed& one : p) one.meta.lcp = nullptr;  // of another frame each time
  RC_ASSERT(std::memcmp(&p[0].meta, &p[1].meta, sizeof(Meta)) == 0);
  if (changes == 0)
    RC_ASSERT(p[0].kind == (in.l4 || in.udp_payload ? Kind::flow
                            : in.lcp.type == 2      ? Kind::reply
                                                    : Kind::command));
}

// What one packet of a burst shows of the next ones (parse/place.hpp) changes nothing for them.
RC_GTEST_PROP(Parse, EachPacketOfABurstIsAsAlone, ()) {
  Table t = table_with_flows();
  t.ports[1] = t.ports[0];
  test::TestBurst b;
  std::vector<Parsed> alone;
  const auto count = *rc::gen::inRange<size_t>(1, 33);
  for (size_t k = 0; k < count; ++k) {
    Packet in = usual_packet();
    if (*rc::gen::inRange(0, 3) == 0) in.dst = "10.0.0.3";
    if (*rc::gen::inRange(0, 4) == 0)
      in.src = *rc::gen::element("127.0.0.9", "10.0.0.3", "224.0.0.1");
    if (*rc::gen::inRange(0, 4) == 0) in.vlan = 5;
    Bytes frame = build(in);
    if (*rc::gen::inRange(0, 4) == 0)
      frame[*rc::gen::inRange<size_t>(0, std::min<size_t>(frame.size(), 122))] ^= 1;
    const auto port = *rc::gen::inRange<uint16_t>(0, 2);
    alone.push_back(parse_one(t, frame, 0, port));
    b.add(frame, port, static_cast<uint16_t>(frame.size()));
  }
  State state;
  Sorted sorted;
  begin(t, state, *b.burst, sorted);
  for (uint32_t first = 0; first < count; first += 8)
    part(t, state, *b.burst, first, std::min<uint32_t>(first + 8, b.burst->count), sorted);
  uint16_t commands = 0, replies = 0, flows = 0;
  for (size_t k = 0; k < count; ++k) {
    Meta together = b.burst->meta[k];
    RC_ASSERT(info(together.verdict).name == info(alone[k].verdict).name);
    together.lcp = alone[k].meta.lcp = nullptr;
    RC_ASSERT(std::memcmp(&together, &alone[k].meta, sizeof(Meta)) == 0);
    if (together.verdict != Verdict::none) continue;
    if (together.kind == Kind::command) RC_ASSERT(sorted.commands.index[commands++] == k);
    if (together.kind == Kind::reply) RC_ASSERT(sorted.replies.index[replies++] == k);
    if (together.kind == Kind::flow) RC_ASSERT(sorted.flows.index[flows++] == k);
  }
  RC_ASSERT(sorted.commands.count == commands && sorted.replies.count == replies &&
            sorted.flows.count == flows);
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

TEST(Validate, DeadlineAgainstTheClock) {
  Table t = table();
  t.clock_skew_us = 100;
  const uint64_t now = test::kNowUs;
  const std::pair<uint64_t, bool> rows[] = {{now, false}, {now - 100, false},    {now - 101, true},
                                            {0, true},    {~uint64_t{0}, false}, {now + 1, false}};
  for (const auto& [deadline, late] : rows) {
    test::TestBurst b({build({.lcp = {.deadline_us = deadline}})});
    State state;
    Sorted sorted;
    run(t, state, *b.burst, sorted, 0);
    validate::run(t, *b.burst, sorted.commands, now);
    EXPECT_EQ(b.burst->meta[0].verdict, late ? Verdict::deadline_expired : Verdict::none);
    EXPECT_EQ(sorted.commands.count, late ? 0 : 1);
    if (late) {
      EXPECT_EQ(b.burst->meta[0].reply_status, lcp::Status::expired);
    }
  }
  EXPECT_FALSE(validate::expired(5, 0, 0)) << "the clock has not been set";
  EXPECT_FALSE(validate::expired(0, 50, 100)) << "tolerance larger than the time";
}

}  // namespace
}  // namespace lf::parse
