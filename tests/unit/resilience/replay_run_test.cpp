// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/replay_run.hpp"

#include <gtest/gtest.h>

#include "tests/support/property.hpp"

namespace lf::resilience {
namespace {

using replay::Phase;
using Stage = ReplayRun::Stage;

class ReplayRunTest : public ::testing::Test {
 protected:
  std::optional<NextOrder> step(const OrderProgress& progress, int64_t after_ms = 10) {
    clock.advance_ms(after_ms);
    return run.step(progress, clock.mono_ns(), clock.unix_us());
  }
  static OrderProgress reported(uint64_t left, uint32_t tokens_left = 0) {
    return {.all_reported = true, .left = left, .tokens_left = tokens_left};
  }
  static constexpr OrderProgress kNobody{};

  ManualClock clock;
  ReplayRun run{10, {"east", {"west"}, {}}};
  NextOrder first = run.start(clock.mono_ns());
};

TEST_F(ReplayRunTest, CountsFirst) {
  EXPECT_EQ(first.order.phase, Phase::count);
  EXPECT_EQ(run.stage(), Stage::counting);
  EXPECT_FALSE(step(kNobody));
}

TEST_F(ReplayRunTest, SendsUnderThePlanOfWhatWasCounted) {
  const auto next = step(reported(1000));
  ASSERT_TRUE(next);
  EXPECT_EQ(next->order.phase, Phase::send);
  EXPECT_EQ(next->order.tokens, 108u);  // replay_budget(1000, 10)
  EXPECT_EQ(next->order.batch, 10);
  EXPECT_EQ(run.plan().region, "west");
  EXPECT_EQ(run.plan().retries, 5);
  EXPECT_EQ(run.events(), 1000u);
}

TEST_F(ReplayRunTest, WaitsWithBackoffAndRefusesWhatWouldBeLate) {
  step(reported(1000));
  const auto wait = step(reported(892));
  ASSERT_TRUE(wait);
  EXPECT_EQ(wait->order.phase, Phase::refuse);
  EXPECT_EQ(wait->deadline_us, static_cast<uint64_t>(clock.unix_us() + 110'000));
  EXPECT_EQ(run.sent(), 108u);
  EXPECT_FALSE(step(reported(0), 79));
  const auto second = step(reported(0), 1);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->order.phase, Phase::count);
  EXPECT_EQ(run.round(), 2u);
}

TEST_F(ReplayRunTest, RefusesTheRestAfterTheLastRound) {
  const int64_t waits_ms[] = {80, 160, 320, 640};
  for (int round = 1; round <= 5; ++round) {
    EXPECT_EQ(step(reported(5000))->order.phase, Phase::send) << round;
    const auto next = step(reported(4892));
    ASSERT_TRUE(next);
    ASSERT_EQ(next->order.phase, Phase::refuse);
    if (round < 5) {
      EXPECT_EQ(step(reported(0), waits_ms[round - 1])->order.phase, Phase::count) << round;
    } else {
      EXPECT_EQ(next->deadline_us, UINT64_MAX);
    }
  }
  EXPECT_EQ(run.stage(), Stage::refusing);
  EXPECT_EQ(run.sent(), 5 * 108u);
  const auto end = step(reported(0));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->order.phase, Phase::none);
  EXPECT_EQ(run.stage(), Stage::done);
}

TEST_F(ReplayRunTest, EndsWhenNothingIsLeft) {
  step(reported(10));
  step(reported(1, 0));
  step(reported(0), 80);
  EXPECT_EQ(step(reported(1))->order.tokens, 1u) << "at least one";
  step(reported(0));
  step(reported(0), 160);
  EXPECT_EQ(step(reported(0))->order.phase, Phase::refuse) << "what is too late is refused";
  EXPECT_EQ(step(reported(0))->order.phase, Phase::none);
  EXPECT_EQ(run.sent(), 10u);
}

TEST_F(ReplayRunTest, UnusedBudgetIsNotCountedAsSent) {
  step(reported(100));
  step(reported(0, 60));
  EXPECT_EQ(run.sent(), 30u);
}

TEST_F(ReplayRunTest, NoTimeForReplayRefusesAll) {
  ReplayRun none(0, {"east", {}, {}});
  none.start(0);
  const auto next = none.step(reported(7), 1, 1);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->order.phase, Phase::refuse);
  EXPECT_EQ(next->deadline_us, UINT64_MAX);
}

TEST_F(ReplayRunTest, DoesNotWaitForAWorkerThatDoesNotTurnUp) {
  const OrderProgress some{.all_reported = false, .left = 40, .tokens_left = 0};
  EXPECT_FALSE(step(some, 199));
  EXPECT_EQ(step(some, 1)->order.phase, Phase::send);
  EXPECT_FALSE(step(some, 199));
  EXPECT_EQ(step(some, 1)->order.phase, Phase::refuse);
}

// Whatever workers report and however time passes, a run ends after a bounded number of orders and
// never sends more than its rounds allow.
TEST(ReplayRunProperty, AlwaysEnds) {
  test::check_property(1'000, [] {
    const auto timeout_s = *rc::gen::inRange<int64_t>(-1, 40);
    ReplayRun run(timeout_s, {"east", {}, {}});
    MonoNs now = *rc::gen::inRange<MonoNs>(0, 1'000'000);
    run.start(now);
    uint32_t budget = 0;
    uint64_t tokens = 0;
    int orders = 0, rounds = 1;
    for (int i = 0; i < 2000 && run.stage() != Stage::done; ++i) {
      now += *rc::gen::inRange<MonoNs>(-10'000'000, 400'000'000);
      const OrderProgress p{.all_reported = *rc::gen::arbitrary<bool>(),
                            .left = *rc::gen::inRange<uint64_t>(0, 2000),
                            .tokens_left = *rc::gen::inRange<uint32_t>(0, budget + 1)};
      const auto next = run.step(p, now, now / 1000);
      if (!next) continue;
      ++orders;
      budget = next->order.tokens;
      tokens += budget;
      rounds += next->order.phase == Phase::count;
    }
    RC_ASSERT(run.stage() == Stage::done);
    RC_ASSERT(rounds <= 12);
    RC_ASSERT(orders <= 3 * rounds + 2);
    RC_ASSERT(run.sent() <= tokens);
  });
}

}  // namespace
}  // namespace lf::resilience
