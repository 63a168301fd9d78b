// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow/nat.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <algorithm>
#include <set>
#include <thread>
#include <vector>

#include "dataplane/lcp/header.hpp"
#include "tests/support/world.hpp"

namespace lf::flow {
namespace {

constexpr Stamp kNow = 1'000'000;

Table table(uint16_t first = 20000, uint16_t last = 29999) {
  Table t;
  t.ages = {.tcp_idle = 1000, .udp_idle = 500, .opening = 100, .closing = 200, .reset = 10};
  t.nat_first = first;
  t.nat_last = last;
  return t;
}

struct Flow {
  Mapping mapping;
  uint64_t hash;
};

Flow flow(uint32_t n, uint8_t protocol = IPPROTO_TCP) {
  Mapping m;
  m.side = {.node = test::ip("10.0.0.14"),
            .own = test::ip("10.0.0.1"),
            .node_port = lcp::be16(80),
            .protocol = protocol,
            .ip_version = 4};
  m.client.address = test::ip("10.0.0.12");
  m.client.address.lo ^= uint64_t{n >> 16} << 56;
  m.client.local = test::ip("10.0.0.100");
  m.client.port = static_cast<uint16_t>(n);
  m.client.local_port = lcp::be16(80);
  m.client.ip_version = 4;
  const Key key{.client = m.client.address,
                .local = m.client.local,
                .client_port = m.client.port,
                .port = m.client.local_port,
                .protocol = protocol,
                .ip_version = 4};
  return {m, hash_of(key)};
}

NodeSide back(const Flow& f, uint16_t own_port) {
  NodeSide side = f.mapping.side;
  side.own_port = own_port;
  return side;
}

TEST(Nat, AFlowIsFoundFromBothSides) {
  Nat nat(1024);
  const Table t = table();
  const Flow f = flow(1);
  const auto opened = nat.open(t, f.mapping, f.hash, true, kNow);
  ASSERT_NE(opened.index, Nat::kNone);
  EXPECT_TRUE(opened.fresh);
  const uint16_t port = lcp::be16(opened.own_port);
  EXPECT_TRUE(port >= 20000 && port <= 29999) << port;
  Mapping seen;
  EXPECT_EQ(nat.find_back(t, back(f, opened.own_port), kNow, seen), opened.index);
  EXPECT_EQ(seen.client.address, f.mapping.client.address);
  EXPECT_EQ(seen.client.port, f.mapping.client.port);
  // Another worker, without a cache, finds the same mapping.
  const auto again = nat.open(t, f.mapping, f.hash, false, kNow + 5);
  EXPECT_EQ(again.index, opened.index);
  EXPECT_EQ(again.own_port, opened.own_port);
  EXPECT_FALSE(again.fresh);
}

TEST(Nat, OnlyExactlyTheNodeIsAnswered) {
  Nat nat(1024);
  const Table t = table();
  const Flow f = flow(1);
  const auto opened = nat.open(t, f.mapping, f.hash, true, kNow);
  Mapping seen;
  NodeSide other = back(f, opened.own_port);
  other.node_port = lcp::be16(81);
  EXPECT_EQ(nat.find_back(t, other, kNow, seen), Nat::kNone);
  other = back(f, opened.own_port);
  other.node = test::ip("10.0.0.15");
  EXPECT_EQ(nat.find_back(t, other, kNow, seen), Nat::kNone);
  other = back(f, opened.own_port);
  other.protocol = IPPROTO_UDP;
  EXPECT_EQ(nat.find_back(t, other, kNow, seen), Nat::kNone);
}

TEST(Nat, NoTwoFlowsOfANodeShareAPort) {
  Nat nat(1 << 14);
  const Table t = table();
  std::set<uint16_t> ports;
  for (uint32_t n = 0; n < 4000; ++n) {
    const Flow f = flow(n);
    const auto opened = nat.open(t, f.mapping, f.hash, true, kNow);
    ASSERT_NE(opened.index, Nat::kNone) << n;
    EXPECT_TRUE(ports.insert(opened.own_port).second) << "flow " << n;
  }
}

// What docs/flows.md promises: half of the table's size in connections, and a quarter of the ports
// for each node.
TEST(Nat, HalfFullItRefusesNobody) {
  constexpr uint32_t kFirst = 16384, kLast = 65535;
  for (const uint32_t nodes : {1u, 7u, 1000u}) {
    Nat nat(1 << 15);
    const Table t = table(kFirst, kLast);
    const uint64_t half = nat.capacity() / 2;
    for (uint32_t n = 0; n < std::min<uint64_t>(half, (kLast - kFirst + 1) / 4 * nodes); ++n) {
      Flow f = flow(n);
      f.mapping.side.node.lo ^= uint64_t{n % nodes} << 48;
      const auto opened = nat.open(t, f.mapping, f.hash, true, kNow);
      ASSERT_NE(opened.index, Nat::kNone) << "flow " << n << " of " << nodes << " nodes";
      ASSERT_TRUE(opened.fresh);
    }
  }
}

// Ports that share a divisor with any step between tries would be tried again and again.
TEST(Nat, TriesDifferentPorts) {
  Nat nat(1 << 20);
  const Table t = table(20000, 20063);
  uint32_t opened = 0;
  for (uint32_t n = 0; n < 32; ++n) {
    const Flow f = flow(n);
    opened += nat.open(t, f.mapping, f.hash, true, kNow).index != Nat::kNone;
  }
  EXPECT_EQ(opened, 32u);
}

TEST(Nat, FullMeansRefusedNotStolen) {
  Nat nat(1024);
  const Table t = table(20000, 20009);  // ten ports
  uint32_t opened = 0;
  for (uint32_t n = 0; n < 200; ++n) {
    const Flow f = flow(n);
    opened += nat.open(t, f.mapping, f.hash, true, kNow).index != Nat::kNone;
  }
  EXPECT_LE(opened, 10u);
  EXPECT_GE(opened, 8u);
}

TEST(Nat, AgesFollowTheState) {
  const Table t = table();
  const auto lives = [&](uint32_t flags, uint8_t protocol, Stamp after) {
    Nat nat(1024);
    const Flow f = flow(1, protocol);
    const auto opened = nat.open(t, f.mapping, f.hash, true, kNow);
    nat.mark(opened.index, flags, kNow);
    Mapping seen;
    return nat.find_back(t, back(f, opened.own_port), kNow + after, seen) != Nat::kNone;
  };
  EXPECT_TRUE(lives(0, IPPROTO_TCP, 100));
  EXPECT_FALSE(lives(0, IPPROTO_TCP, 101));
  EXPECT_TRUE(lives(kNatAnswered, IPPROTO_TCP, 1000));
  EXPECT_FALSE(lives(kNatAnswered, IPPROTO_TCP, 1001));
  EXPECT_FALSE(lives(kNatAnswered, IPPROTO_UDP, 501));
  EXPECT_TRUE(lives(kNatAnswered | kNatClientEnded, IPPROTO_TCP, 1000));  // half closed
  EXPECT_TRUE(lives(kNatAnswered | kNatClientEnded | kNatNodeEnded, IPPROTO_TCP, 200));
  EXPECT_FALSE(lives(kNatAnswered | kNatClientEnded | kNatNodeEnded, IPPROTO_TCP, 201));
  EXPECT_FALSE(lives(kNatAnswered | kNatReset, IPPROTO_TCP, 11));
}

TEST(Nat, APlaceThatWasTakenOverIsNotTouched) {
  Nat nat(1024);
  const Table t = table(20000, 20000);  // one port, one place
  const Flow first = flow(1), second = flow(2);
  const auto a = nat.open(t, first.mapping, first.hash, true, kNow);
  ASSERT_NE(a.index, Nat::kNone);
  EXPECT_TRUE(nat.touch(a.index, a.own_port, first.mapping.client, 0, kNow));
  const auto b = nat.open(t, second.mapping, second.hash, true, kNow + 101);
  ASSERT_EQ(b.index, a.index);
  EXPECT_FALSE(nat.touch(a.index, a.own_port, first.mapping.client, 0, kNow + 101));
  EXPECT_TRUE(nat.touch(b.index, b.own_port, second.mapping.client, 0, kNow + 101));
}

// Two workers open flows of the same node at once: nobody gets another's port, and what a reader
// sees is always one whole mapping.
TEST(NatThreads, WorkersNeverShareAPlace) {
  Nat nat(1 << 12);
  const Table t = table(20000, 20999);
  constexpr uint32_t kEach = 400;
  std::vector<std::vector<Nat::Opened>> got(2, std::vector<Nat::Opened>(kEach));
  std::vector<std::thread> threads;
  for (uint32_t w = 0; w < 2; ++w)
    threads.emplace_back([&, w] {
      for (uint32_t n = 0; n < kEach; ++n) {
        const Flow f = flow(n * 2 + w);
        got[w][n] = nat.open(t, f.mapping, f.hash, true, kNow);
        Mapping seen;
        for (uint32_t other = 0; other < n; other += 16) {
          const Flow g = flow(other * 2 + w);
          if (got[w][other].index == Nat::kNone) continue;
          const uint32_t index = nat.find_back(t, back(g, got[w][other].own_port), kNow, seen);
          ASSERT_EQ(index, got[w][other].index);
          ASSERT_EQ(seen.client.port, g.mapping.client.port);
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  std::set<uint16_t> ports;
  uint32_t opened = 0;
  for (const auto& worker : got)
    for (const Nat::Opened& o : worker) {
      if (o.index == Nat::kNone) continue;
      ++opened;
      EXPECT_TRUE(ports.insert(o.own_port).second);
    }
  EXPECT_GT(opened, 2 * kEach * 9 / 10);  // the thousand ports have some 890 places
}

}  // namespace
}  // namespace lf::flow
