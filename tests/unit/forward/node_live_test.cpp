// SPDX-License-Identifier: Apache-2.0
#include "dataplane/forward/node_live.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace lf::forward {
namespace {

TEST(NodeLive, StartsClosed) {
  auto live = std::make_unique<NodeLive>();
  EXPECT_EQ(live->breaker(0), BreakerWord{});
  EXPECT_EQ(live->breaker(kNodesMax - 1).flag, BreakerFlag::closed);
}

TEST(NodeLive, WordKeepsItsParts) {
  auto live = std::make_unique<NodeLive>();
  const BreakerWord word{BreakerFlag::half_open, 0xffff, 0xffffffff};
  live->set_breaker(7, word);
  EXPECT_EQ(live->breaker(7), word);
  EXPECT_EQ(live->breaker(6), BreakerWord{});
}

TEST(NodeLive, TokensRunOut) {
  auto live = std::make_unique<NodeLive>();
  live->set_breaker(1, {BreakerFlag::half_open, 4, 3});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(live->take_trial(1, live->breaker(1)));
  EXPECT_FALSE(live->take_trial(1, live->breaker(1)));
  EXPECT_EQ(live->breaker(1), (BreakerWord{BreakerFlag::half_open, 4, 0}));
}

TEST(NodeLive, NoTokenUnlessHalfOpen) {
  auto live = std::make_unique<NodeLive>();
  live->set_breaker(1, {BreakerFlag::open, 4, 3});
  EXPECT_FALSE(live->take_trial(1, live->breaker(1)));
  live->set_breaker(1, {BreakerFlag::closed, 5, 3});
  EXPECT_FALSE(live->take_trial(1, live->breaker(1)));
}

TEST(NodeLive, LateTakerOfAnEarlierEpochFails) {
  auto live = std::make_unique<NodeLive>();
  live->set_breaker(1, {BreakerFlag::half_open, 4, 3});
  const BreakerWord seen = live->breaker(1);
  live->set_breaker(1, {BreakerFlag::open, 5, 0});
  EXPECT_FALSE(live->take_trial(1, seen));
  live->set_breaker(1, {BreakerFlag::half_open, 6, 3});
  EXPECT_FALSE(live->take_trial(1, seen));
  EXPECT_EQ(live->breaker(1).trials, 3u);
}

// A worker that saw more tokens than there are now still gets one of those that are left.
TEST(NodeLive, StaleCountOfTheSameEpochIsRetried) {
  auto live = std::make_unique<NodeLive>();
  live->set_breaker(1, {BreakerFlag::half_open, 4, 2});
  const BreakerWord seen = live->breaker(1);
  EXPECT_TRUE(live->take_trial(1, seen));
  EXPECT_TRUE(live->take_trial(1, seen));
  EXPECT_FALSE(live->take_trial(1, seen));
}

TEST(NodeLive, ExactlyTheTokensOverAllWorkers) {
  auto live = std::make_unique<NodeLive>();
  constexpr int kRounds = 1000;
  for (uint16_t round = 1; round <= kRounds; ++round) {
    live->set_breaker(1, {BreakerFlag::half_open, round, 3});
    std::atomic<int> taken{0};
    std::vector<std::thread> workers;
    for (int w = 0; w < 4; ++w)
      workers.emplace_back([&] {
        for (int i = 0; i < 10; ++i) taken += live->take_trial(1, live->breaker(1));
      });
    for (auto& w : workers) w.join();
    ASSERT_EQ(taken, 3) << round;
  }
}

}  // namespace
}  // namespace lf::forward
