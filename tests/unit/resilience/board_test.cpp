// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/board.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>

namespace lf::resilience {
namespace {

using forward::BreakerFlag;

constexpr NodeSlot kSlot = 5, kOther = 9;
constexpr uint32_t kWorkers = 4, kSlots = 16;

config::Config two_services() {
  config::Config c;
  c.services.resize(2);
  c.services[0].name = "orbit";
  c.services[0].timeout_ms = 250;
  c.services[0].breaker.failures = 7;
  c.services[0].nodes.resize(2);
  c.services[0].nodes[0].name = "a";
  c.services[0].nodes[0].id = 11;
  c.services[0].nodes[1].name = "b";
  c.services[0].nodes[1].id = 12;
  c.services[1].name = "audit";
  c.services[1].nodes.resize(1);
  c.services[1].nodes[0].name = "a";
  c.services[1].nodes[0].id = 13;
  return c;
}

class BoardTest : public ::testing::Test {
 protected:
  BoardTest() { board.configure({node("a", kSlot), node("b", kOther)}); }
  static BoardNode node(const std::string& name, NodeSlot slot, uint32_t slot_epoch = 1) {
    return {"orbit", name, slot, slot, slot_epoch, BreakerSettings{}};
  }
  std::vector<const NodeStats*> workers() {
    std::vector<const NodeStats*> all;
    for (auto& w : stats) all.push_back(w);
    return all;
  }
  // A worker sees results of commands that it sent in the node's present epoch.
  void saw(uint32_t worker, NodeSlot slot, uint32_t ok, uint32_t failed) {
    const uint16_t epoch = live->breaker(slot).epoch;
    count_outcomes(stats[worker][slot].outcomes_in_epoch, epoch, epoch, ok, failed);
  }
  std::vector<BoardTransition> tick_after_ms(int64_t ms) {
    clock.advance_ms(ms);
    const auto t = board.tick(clock.mono_ns());
    return {t.begin(), t.end()};
  }
  BreakerFlag seen_by_workers(NodeSlot slot) { return live->breaker(slot).flag; }

  ManualClock clock;
  std::unique_ptr<forward::NodeLive> live = std::make_unique<forward::NodeLive>();
  NodeStats stats[kWorkers][kSlots];
  BreakerBoard board{*live, workers(), 1};
};

TEST_F(BoardTest, FailuresOfAllWorkersOpenOneBreaker) {
  for (uint32_t w = 0; w < kWorkers; ++w) saw(w, kSlot, 100, 1);
  EXPECT_TRUE(tick_after_ms(10).empty());
  saw(2, kSlot, 0, 1);
  const auto transitions = tick_after_ms(10);
  ASSERT_EQ(transitions.size(), 1u);
  EXPECT_EQ(transitions[0].slot, kSlot);
  EXPECT_EQ(transitions[0].transition.to, BreakerState::open);
  EXPECT_EQ(seen_by_workers(kSlot), BreakerFlag::open);
  EXPECT_EQ(seen_by_workers(kOther), BreakerFlag::closed);
}

TEST_F(BoardTest, CountsAreReadOnce) {
  saw(0, kSlot, 0, 3);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(tick_after_ms(10).empty());
}

TEST_F(BoardTest, CountsThatWrapAreDifferences) {
  auto& word = stats[0][kSlot].outcomes_in_epoch;
  const uint16_t epoch = live->breaker(kSlot).epoch;
  saw(0, kSlot, OutcomeWord::kMask, 0);
  tick_after_ms(10);
  saw(0, kSlot, 2, 4);
  EXPECT_EQ(OutcomeWord::unpack(word.load()).ok, 1u);
  EXPECT_EQ(OutcomeWord::unpack(word.load()).epoch, epoch);
  EXPECT_TRUE(tick_after_ms(10).empty());
  saw(0, kSlot, 0, 1);
  EXPECT_EQ(tick_after_ms(10).size(), 1u);
}

TEST_F(BoardTest, GoesRoundThroughHalfOpen) {
  saw(0, kSlot, 0, 5);
  tick_after_ms(10);
  EXPECT_TRUE(tick_after_ms(29'999).empty());
  ASSERT_EQ(tick_after_ms(1).size(), 1u);
  const forward::BreakerWord half_open = live->breaker(kSlot);
  EXPECT_EQ(half_open.flag, BreakerFlag::half_open);
  EXPECT_EQ(half_open.trials, 3u);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(live->take_trial(kSlot, half_open));
  EXPECT_FALSE(live->take_trial(kSlot, half_open));
  saw(0, kSlot, 1, 0);
  EXPECT_TRUE(tick_after_ms(10).empty());
  saw(3, kSlot, 2, 0);
  const auto transitions = tick_after_ms(10);
  ASSERT_EQ(transitions.size(), 1u);
  EXPECT_EQ(transitions[0].transition.cause, BreakerCause::trials_passed);
  EXPECT_EQ(seen_by_workers(kSlot), BreakerFlag::closed);
}

TEST_F(BoardTest, LateResultsOfTheFailedEpochDoNotOpenItAgain) {
  saw(0, kSlot, 0, 5);
  const uint16_t failed_epoch = live->breaker(kSlot).epoch;
  tick_after_ms(10);
  tick_after_ms(30'000);
  count_outcomes(stats[1][kSlot].outcomes_in_epoch, live->breaker(kSlot).epoch, failed_epoch, 0, 9);
  EXPECT_TRUE(tick_after_ms(10).empty());
  EXPECT_EQ(seen_by_workers(kSlot), BreakerFlag::half_open);
}

TEST_F(BoardTest, TrialThatIsNeverAnsweredOpensAgain) {
  board.trip(kSlot, clock.mono_ns());
  tick_after_ms(30'000);
  ASSERT_TRUE(live->take_trial(kSlot, live->breaker(kSlot)));
  tick_after_ms(10);
  EXPECT_TRUE(tick_after_ms(999).empty());
  const auto transitions = tick_after_ms(1);
  ASSERT_EQ(transitions.size(), 1u);
  EXPECT_EQ(transitions[0].transition.cause, BreakerCause::trial_timeout);
}

TEST_F(BoardTest, TokenOfAnEarlierHalfOpenIsWorthNothing) {
  board.trip(kSlot, clock.mono_ns());
  tick_after_ms(30'000);
  const forward::BreakerWord first = live->breaker(kSlot);
  saw(0, kSlot, 0, 1);
  tick_after_ms(10);
  tick_after_ms(60'000);
  ASSERT_EQ(seen_by_workers(kSlot), BreakerFlag::half_open);
  EXPECT_FALSE(live->take_trial(kSlot, first));
  EXPECT_EQ(live->breaker(kSlot).trials, 3u);
}

TEST_F(BoardTest, OperatorsTripShowsAtOnceAndIsReported) {
  EXPECT_TRUE(board.trip(kSlot, clock.mono_ns()));
  EXPECT_EQ(seen_by_workers(kSlot), BreakerFlag::open);
  const auto transitions = tick_after_ms(10);
  ASSERT_EQ(transitions.size(), 1u);
  EXPECT_EQ(transitions[0].transition.cause, BreakerCause::tripped);
  EXPECT_TRUE(board.trip(kSlot, clock.mono_ns())) << "again: waits anew";
  EXPECT_TRUE(board.reset(kSlot, clock.mono_ns()));
  EXPECT_EQ(seen_by_workers(kSlot), BreakerFlag::closed);
  EXPECT_EQ(tick_after_ms(10).size(), 1u);
  EXPECT_FALSE(board.trip(100, clock.mono_ns())) << "no such node";
}

TEST_F(BoardTest, FailuresThatControlSawCountToo) {
  board.add_failures(kSlot, 4);
  EXPECT_TRUE(tick_after_ms(10).empty());
  board.add_failures(kSlot, 1);
  board.add_failures(100, 50);
  EXPECT_EQ(tick_after_ms(10).size(), 1u);
}

TEST_F(BoardTest, SlowCallsOfTheClosedState) {
  BoardNode slow = node("a", kSlot);
  slow.settings.slow_rate = 0.5;
  slow.settings.min_calls = 10;
  board.configure({slow});
  saw(0, kSlot, 10, 0);
  stats[0][kSlot].slow.add(4);
  EXPECT_TRUE(tick_after_ms(10).empty());
  saw(1, kSlot, 2, 0);
  stats[1][kSlot].slow.add(2);
  const auto transitions = tick_after_ms(10);
  ASSERT_EQ(transitions.size(), 1u);
  EXPECT_EQ(transitions[0].transition.cause, BreakerCause::slow_rate);
}

TEST_F(BoardTest, ReloadKeepsStatesAndStartsNewOwnersOfASlotClean) {
  board.trip(kSlot, clock.mono_ns());
  board.trip(kOther, clock.mono_ns());
  tick_after_ms(10);
  const uint16_t epoch = live->breaker(kOther).epoch;
  board.configure({node("a", kSlot), node("c", kOther, 2)});
  EXPECT_EQ(seen_by_workers(kSlot), BreakerFlag::open);
  EXPECT_EQ(seen_by_workers(kOther), BreakerFlag::closed);
  EXPECT_NE(live->breaker(kOther).epoch, epoch);
  board.configure({node("c", kOther, 2)});
  EXPECT_EQ(seen_by_workers(kSlot), BreakerFlag::closed);
  EXPECT_FALSE(board.trip(kSlot, clock.mono_ns()));
}

TEST(BoardNodes, FollowTheConfiguration) {
  const config::Config config = two_services();
  forward::Slots slots;
  ASSERT_TRUE(slots.sync(config));
  const auto nodes = board_nodes(config, slots);
  ASSERT_EQ(nodes.size(), 3u);
  EXPECT_EQ(nodes[1].service, "orbit");
  EXPECT_EQ(nodes[1].name, "b");
  EXPECT_EQ(nodes[1].slot, slots.node("orbit", "b"));
  EXPECT_EQ(nodes[1].settings.failures, 7u);
  EXPECT_EQ(nodes[1].settings.open_ns, 30'000'000'000);
  EXPECT_EQ(nodes[1].settings.trial_timeout_ns, 600'000'000);
}

TEST(BoardNodes, AreFoundByNameOrId) {
  const config::Config config = two_services();
  forward::Slots slots;
  ASSERT_TRUE(slots.sync(config));
  const auto live = std::make_unique<forward::NodeLive>();
  BreakerBoard board(*live, {}, 1);
  board.configure(board_nodes(config, slots));
  EXPECT_EQ(board.find("b").value(), slots.node("orbit", "b"));
  EXPECT_EQ(board.find("audit/a").value(), slots.node("audit", "a"));
  EXPECT_EQ(board.find("13").value(), slots.node("audit", "a"));
  EXPECT_EQ(board.find("a").error().code, ErrorCode::invalid);
  EXPECT_EQ(board.find("z").error().code, ErrorCode::not_found);
  EXPECT_EQ(board.find("").error().code, ErrorCode::not_found);
}

// Four workers go at one node a thousand times over while it is half-open. Meant for
// ThreadSanitizer; the counts hold without it as well.
TEST(BoardStress, ExactlyThreeTrialsOverFourWorkers) {
  constexpr int kRounds = 1000;
  const auto live = std::make_unique<forward::NodeLive>();
  NodeStats stats[kWorkers][kSlots];
  std::vector<const NodeStats*> views(std::begin(stats), std::end(stats));
  BreakerBoard board(*live, views, 1);
  board.configure({{"orbit", "a", 1, kSlot, 1, BreakerSettings{}}});

  std::vector<std::atomic<uint8_t>> let_through(1u << 16);  // by epoch
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (NodeStats* own : stats)
    threads.emplace_back([&, counts = own] {
      while (!stop.load(std::memory_order_relaxed)) {
        const forward::BreakerWord word = live->breaker(kSlot);
        for (int attempt = 0; attempt < 8; ++attempt) {
          if (!live->take_trial(kSlot, word)) continue;
          let_through[word.epoch].fetch_add(1, std::memory_order_relaxed);
          count_outcomes(counts[kSlot].outcomes_in_epoch, live->breaker(kSlot).epoch, word.epoch, 1,
                         0);
        }
        std::this_thread::yield();
      }
    });

  MonoNs now = 0;
  std::vector<uint16_t> half_open_epochs;
  for (int round = 0; round < kRounds; ++round) {
    board.trip(kSlot, now);
    board.tick(now);
    now += 30'000'000'000;
    for (const BoardTransition& t : board.tick(now)) half_open_epochs.push_back(t.transition.epoch);
    while (board.state(kSlot) == BreakerState::half_open) {
      std::this_thread::yield();
      board.tick(now);
    }
    ASSERT_EQ(board.state(kSlot), BreakerState::closed);
  }
  stop = true;
  for (auto& t : threads) t.join();

  ASSERT_EQ(half_open_epochs.size(), static_cast<size_t>(kRounds));
  for (const uint16_t epoch : half_open_epochs) EXPECT_EQ(let_through[epoch], 3) << epoch;
  uint64_t all = 0;
  for (const auto& n : let_through) all += n;
  EXPECT_EQ(all, 3u * kRounds);
}

}  // namespace
}  // namespace lf::resilience
