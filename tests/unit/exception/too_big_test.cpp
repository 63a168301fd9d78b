// SPDX-License-Identifier: Apache-2.0
#include "dataplane/exception/too_big.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "control/parse/table_builder.hpp"
#include "dataplane/net/turn.hpp"
#include "dataplane/parse/parse.hpp"
#include "tests/support/mbufs.hpp"
#include "tests/support/world.hpp"

namespace lf::too_big {
namespace {

using test::build;
using test::Bytes;
using test::Packet;

constexpr uint64_t kHz = 1'000'000;

struct Fixture {
  parse::Table parse_table = parse::build_table(test::world(), test::world_ports()).value();
  forward::Table table;
  State state{kHz};
  test::TestBurst b;
  Selection live;

  Fixture() {
    table.nodes.resize(1);
    table.nodes[0].mtu = 1400;
  }
  void run(Tsc now = 0) {
    parse::State parse_state;
    parse::Sorted sorted;
    parse::run(parse_table, parse_state, *b.burst, sorted, 0);
    live = b.all();
    for (const uint8_t i : live) {
      b.burst->meta[i].verdict = Verdict::too_big;
      b.burst->meta[i].node = 0;
    }
    too_big::run(table, parse_table.ports, state, *b.burst, live, now);
  }
};

Bytes want(const Packet& in, bool v6, uint32_t mtu) {
  Bytes quoted = build(in);
  quoted.erase(quoted.begin(), quoted.begin() + (in.vlan ? 18 : 14));
  quoted.resize(std::min<size_t>(quoted.size(), v6 ? 1280 - 48 : 576 - 28));
  Packet p{.dst_mac = in.src_mac,
           .src_mac = in.dst_mac,
           .vlan = in.vlan,
           .src = in.dst,
           .dst = in.src,
           .ttl = net::kOwnTtl};
  p.protocol = v6 ? 58 : 1;
  p.l4 = v6 ? test::icmp(2, 0, mtu, quoted) : test::icmp(3, 4, mtu, quoted);
  p.checksum_at = 2;
  return build(p);
}

TEST(TooBig, SenderIsToldTheMtu) {
  for (const bool v6 : {false, true})
    for (const uint16_t vlan : {0, 5})
      for (const size_t payload : {size_t{10}, size_t{1450}}) {
        Packet in{.lcp = {.payload = Bytes(payload, 0x42)}};
        if (v6) in.src = test::kClient6, in.dst = test::kOwn6;
        if (vlan) in.vlan = vlan;
        Fixture f;
        f.b.add(build(in));
        f.run();
        ASSERT_EQ(f.live.count, 1);
        EXPECT_EQ(f.b.frame(0), want(in, v6, 1400))
            << test::hex_diff(f.b.frame(0), want(in, v6, 1400));
        EXPECT_EQ(test::check_frame(f.b.frame(0)), "");
        EXPECT_EQ(f.b.burst->meta[0].verdict, Verdict::too_big);
        EXPECT_EQ(f.b.burst->meta[0].out_port, 0);
      }
}

TEST(TooBig, ReplysSenderIsToldThePortsMtu) {
  Packet in{.lcp = {.type = 2, .payload = Bytes(200)}};
  Fixture f;
  f.parse_table.ports[0].mtu = 1300;
  f.b.add(build(in));
  f.run();
  EXPECT_EQ(f.b.frame(0), want(in, false, 1300));
}

TEST(TooBig, AtABoundedRate) {
  Fixture f;
  uint32_t sent = 0;
  auto burst_of_60 = [&](Tsc now) {
    Fixture g;
    for (int i = 0; i < 60; ++i) g.b.add(build({}));
    g.state = f.state;
    g.run(now);
    f.state = g.state;
    sent = g.live.count;
  };
  burst_of_60(kHz);
  EXPECT_EQ(sent, kBurst);
  burst_of_60(kHz);
  EXPECT_EQ(sent, 0u);
  burst_of_60(kHz + 20 * kHz / 1000);  // 20 ms later
  EXPECT_EQ(sent, 20u);
}

TEST(TooBig, NoHeadroomNoMessage) {
  Fixture f;
  f.b.add(build({}));
  rte_mbuf* m = f.b.burst->packets[0];
  const Bytes frame = f.b.frame(0);
  m->data_off = 20;
  std::copy(frame.begin(), frame.end(), rte_pktmbuf_mtod(m, uint8_t*));
  f.run();
  EXPECT_EQ(f.live.count, 0);
}

RC_GTEST_PROP(RateLimit, NeverMoreThanTheRate, (const std::vector<uint8_t>& steps)) {
  constexpr uint32_t kRate = 100, kBurstSize = 5;
  RateLimit limit(kRate, kBurstSize, kHz);
  Tsc now = 17;
  const Tsc start = now;
  uint64_t taken = 0;
  for (const uint8_t step : steps) {
    now += step * 500u;
    while (limit.take(now)) ++taken;
    RC_ASSERT(taken <= kBurstSize + (now - start) * kRate / kHz);
  }
}

TEST(RateLimit, GivesTheWholeRateWhenAskedOften) {
  RateLimit limit(100, 5, kHz);
  uint64_t taken = 0;
  for (Tsc now = 1; now <= 1 + 3 * kHz; now += 777) taken += limit.take(now);
  EXPECT_GE(taken, 5u + 299u);
  EXPECT_LE(taken, 5u + 300u);
}

TEST(RateLimit, TimeThatStandsStillOrRunsBackGivesNothing) {
  RateLimit limit(100, 1, kHz);
  EXPECT_TRUE(limit.take(1000));
  EXPECT_FALSE(limit.take(1000));
  EXPECT_FALSE(limit.take(10));
  EXPECT_TRUE(limit.take(1000 + kHz / 100));
}

}  // namespace
}  // namespace lf::too_big
