// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow/cache.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <memory>

#include "tests/support/world.hpp"

namespace lf::flow {
namespace {

constexpr Stamp kNow = 1'000'000;
const Ages kAges{.tcp_idle = 1000, .udp_idle = 500, .opening = 100, .closing = 50, .reset = 10};

Key key(uint32_t n, uint8_t protocol = IPPROTO_TCP) {
  Key k{.client = test::ip("10.0.0.12"),
        .local = test::ip("10.0.0.100"),
        .client_port = static_cast<uint16_t>(n),
        .port = 80,
        .protocol = protocol,
        .ip_version = 4};
  k.client.hi = n >> 16;
  return k;
}

struct Fixture : testing::Test {
  Cache cache{1024, 77};
  std::unique_ptr<NodeStats[]> nodes{new NodeStats[4]};

  Entry& add(const Key& k, NodeSlot node, Phase phase = Phase::open, Stamp now = kNow) {
    Entry& e = cache.insert(cache.place_of(hash_of(k)), k, node, kAges, now, nodes.get());
    e.phase = phase;
    return e;
  }
  Entry* find(const Key& k) {
    const auto place = cache.place_of(hash_of(k));
    uint32_t way;
    return cache.find(place, cache.ways(place), k, way);
  }
  bool expired(const Key& k, Stamp now) {
    const auto place = cache.place_of(hash_of(k));
    uint32_t way = 0;
    Entry* e = cache.find(place, cache.ways(place), k, way);
    return e == nullptr || cache.is_expired(place, way, *e, kAges, now);
  }
};

TEST_F(Fixture, FindsWhatWasEnteredAndNothingElse) {
  add(key(1), 2);
  ASSERT_NE(find(key(1)), nullptr);
  EXPECT_EQ(find(key(1))->node, 2);
  EXPECT_EQ(find(key(2)), nullptr);
  EXPECT_EQ(find(key(1, IPPROTO_UDP)), nullptr);
  Key other = key(1);
  other.ip_version = 6;
  EXPECT_EQ(find(other), nullptr);
}

TEST_F(Fixture, AgesFollowThePhase) {
  add(key(1), 0, Phase::opening);
  add(key(2), 0, Phase::open);
  add(key(3, IPPROTO_UDP), 0, Phase::open);
  add(key(4), 0, Phase::closing);
  add(key(5), 0, Phase::reset);
  const std::pair<Key, Stamp> rows[] = {
      {key(1), 100}, {key(2), 1000}, {key(3, IPPROTO_UDP), 500}, {key(4), 50}, {key(5), 10}};
  for (const auto& [k, age] : rows) {
    EXPECT_FALSE(expired(k, kNow + age)) << age;
    EXPECT_TRUE(expired(k, kNow + age + 1)) << age;
  }
}

TEST_F(Fixture, SweepingForgetsWhatExpiredAndKeepsTheBooks) {
  for (uint32_t n = 0; n < 300; ++n) add(key(n), n % 2, n % 3 ? Phase::open : Phase::opening);
  EXPECT_EQ(cache.counts.evicted.read(), 0u);
  for (uint32_t i = 0; i < cache.capacity() / kCacheWays; ++i)
    cache.sweep(kAges, kNow + 500, nodes.get());
  uint32_t left = 0;
  for (uint32_t n = 0; n < 300; ++n) left += find(key(n)) != nullptr;
  EXPECT_EQ(cache.counts.opened.read() - cache.counts.closed.read(), left);
  EXPECT_EQ(nodes[0].flows_opened.read() - nodes[0].flows_closed.read() +
                nodes[1].flows_opened.read() - nodes[1].flows_closed.read(),
            left);
  EXPECT_EQ(left, 200u);
}

// A flood of first packets must not push out flows that are established.
TEST_F(Fixture, AFloodOfFirstPacketsPushesOutItsOwn) {
  for (uint32_t n = 0; n < 128; ++n) add(key(n), 0);
  uint32_t before = 0, after = 0;
  for (uint32_t n = 0; n < 128; ++n) before += find(key(n)) != nullptr;
  for (uint32_t n = 1000; n < 101'000; ++n) add(key(n), 1, Phase::opening, kNow + 1);
  for (uint32_t n = 0; n < 128; ++n) after += find(key(n)) != nullptr;
  EXPECT_EQ(before, 128u);
  EXPECT_EQ(after, 128u);
  EXPECT_GT(cache.counts.evicted.read(), 90'000u);
}

TEST_F(Fixture, OfEqualsTheOldestGoes) {
  Cache small(1, 7);  // one bucket
  for (uint32_t n = 0; n < kCacheWays + 1; ++n)
    small.insert(small.place_of(hash_of(key(n))), key(n), 0, kAges, kNow + n, nodes.get()).phase =
        Phase::open;
  const auto known = [&](uint32_t n) {
    const auto place = small.place_of(hash_of(key(n)));
    uint32_t way;
    return small.find(place, small.ways(place), key(n), way) != nullptr;
  };
  EXPECT_FALSE(known(0));
  for (uint32_t n = 1; n < kCacheWays + 1; ++n) EXPECT_TRUE(known(n)) << n;
}

}  // namespace
}  // namespace lf::flow
