// SPDX-License-Identifier: Apache-2.0
// The short way through parse: its sums, what it remembers, and that it decides as the general way.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "dataplane/net/checksum.hpp"
#include "dataplane/parse/sums.hpp"
#include "tests/unit/parse/parse_one.hpp"

namespace lf::parse {
namespace {

// By themselves: a right sum taken for a wrong one is only slow, as the general way decides then.
template <uint8_t kIpVersion>
class SumsOf {
 public:
  explicit SumsOf(size_t payload_size, std::mt19937& random) {
    Packet in{.lcp = {.flags = 1, .payload = Bytes(payload_size)}};
    if (kIpVersion == 6) in.src = kClient6, in.dst = kOwn6;
    for (uint8_t& byte : in.lcp.payload) byte = static_cast<uint8_t>(random());
    frame = build(in);
    length = frame.size();
    frame.push_back(0xa5);  // not part of it
  }

  bool right(size_t at, uint8_t change) {
    __m256i sums[8];
    const auto of_it = [&] {
      return sums_of<kIpVersion>({}, frame.data(), static_cast<uint32_t>(length));
    };
    for (__m256i& s : sums) s = of_it();
    frame[at] ^= change;
    sums[length % 5] = of_it();
    frame[at] ^= change;
    const __m256i wrong = wrong_ones(sums, 5);
    return _mm256_testz_si256(wrong, wrong) != 0;
  }

  // All bytes from there on count, and none behind it.
  void expect_each_to_count(size_t from) {
    EXPECT_TRUE(right(length, 0)) << length;
    EXPECT_TRUE(right(length, 0xff)) << length;
    for (size_t at = from; at < length; ++at) EXPECT_FALSE(right(at, 0x10)) << length << " " << at;
  }

  Bytes frame;
  size_t length;
};

TEST(Parse, SumsOfUsualDatagrams) {
  std::mt19937 random(1);
  for (size_t size = 0; size < 200; ++size) {
    SumsOf<4> of(size, random);
    of.expect_each_to_count(14);
    // Without UDP's, IPv4's counts alone.
    std::memset(&of.frame[40], 0, 2);
    EXPECT_TRUE(of.right(of.length, 0)) << size;
    for (size_t at = 14; at < of.length; ++at)
      EXPECT_EQ(of.right(at, 0x10), at >= 34 && at != 40 && at != 41) << size << " " << at;
  }
}

TEST(Parse, SumsOfUsualDatagramsOverIpv6) {
  std::mt19937 random(1);
  for (size_t size = 0; size < 200; ++size) SumsOf<6>(size, random).expect_each_to_count(22);
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

Table table_with_flows() {
  Table t = table();
  t.has_flows = true;
  add_flow(t, {ip(kOwn4), lcp::be16(5353), IPPROTO_UDP, 4, 1});
  add_flow(t, {ip(kOwn4), lcp::be16(80), IPPROTO_TCP, 4, 2});
  add_flow(t, {ip(kOwn6), lcp::be16(5353), IPPROTO_UDP, 6, 3});
  add_flow(t, {ip(kOwn6), lcp::be16(80), IPPROTO_TCP, 6, 4});
  return t;
}

// A command, or a packet to a flow service, in any of the four layouts.
Packet usual_packet() {
  Packet in;
  if (*rc::gen::arbitrary<bool>()) in.src = kClient6, in.dst = kOwn6;
  if (*rc::gen::arbitrary<bool>()) in.vlan = *rc::gen::element<uint16_t>(0, 5, 0x2005);
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
  const bool v6 = in.dst == kOwn6;
  const net::Layout layout{static_cast<uint8_t>(v6 ? 6 : 4), in.vlan.has_value()};
  const size_t l3 = layout.ip(), lcp = layout.lcp();
  const size_t first = *rc::gen::element<size_t>(12, l3, lcp);
  const auto changes = *rc::gen::inRange(0, 4);
  for (int c = 0; c < changes; ++c)
    frame[*rc::gen::inRange<size_t>(first, std::min<size_t>(frame.size(), lcp + 80))] =
        *rc::gen::element<uint8_t>(0, 1, 2, 5, 6, 0x11, 0x7f, 0xff);
  if (first == l3 && !v6)
    net::set_ipv4_checksum(*reinterpret_cast<rte_ipv4_hdr*>(frame.data() + l3));
  if (first == lcp && in.protocol == IPPROTO_UDP)
    net::set_udp_checksum(frame.data() + l3, layout.ip_version,
                          *reinterpret_cast<rte_udp_hdr*>(frame.data() + lcp - 8));
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
    const bool v6 = in.dst == kOwn6;
    if (!v6 && *rc::gen::inRange(0, 3) == 0) in.dst = "10.0.0.3";
    if (*rc::gen::inRange(0, 4) == 0)
      in.src = v6 ? *rc::gen::element("::1", "fd00::1", "ff02::1", "::ffff:10.0.0.9")
                  : *rc::gen::element("127.0.0.9", "10.0.0.3", "224.0.0.1");
    Bytes frame = build(in);
    if (*rc::gen::inRange(0, 4) == 0)
      frame[*rc::gen::inRange<size_t>(0, std::min<size_t>(frame.size(), 146))] ^= 1;
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

}  // namespace
}  // namespace lf::parse
