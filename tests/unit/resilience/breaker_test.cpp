// SPDX-License-Identifier: Apache-2.0
// Every transition of the breaker with its timing, against a fake clock.
#include "control/resilience/breaker.hpp"

#include <gtest/gtest.h>

namespace lf::resilience {
namespace {

constexpr MonoNs kMs = 1'000'000, kSecond = 1'000 * kMs;
constexpr CallResults kOk{.ok = 1}, kFailed{.failed = 1};

class BreakerTest : public ::testing::Test {
 protected:
  BreakerState ok() { return record(kOk); }
  BreakerState fail() { return record(kFailed); }
  BreakerState record(const CallResults& results) {
    keep(breaker.record(results, breaker.epoch(), clock.mono_ns()));
    return breaker.state();
  }
  BreakerState after_ms(int64_t ms) {
    clock.advance_ms(ms);
    keep(breaker.tick(clock.mono_ns()));
    return breaker.state();
  }
  void keep(const std::optional<BreakerTransition>& t) {
    if (t) last = *t;
  }
  void open() {
    for (int i = 0; i < 5; ++i) fail();
    ASSERT_EQ(breaker.state(), BreakerState::open);
  }
  void half_open() {
    open();
    ASSERT_EQ(after_ms(30'000), BreakerState::half_open);
  }

  ManualClock clock;
  Breaker breaker{BreakerSettings{}};
  BreakerTransition last;
};

TEST_F(BreakerTest, FifthFailureWithinTheWindowOpens) {
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(fail(), BreakerState::closed) << i;
    clock.advance_ms(7'499);
  }
  EXPECT_EQ(fail(), BreakerState::open);  // the first is 29.996 s old
  EXPECT_EQ(last.cause, BreakerCause::failures);
  EXPECT_EQ(last.open_ns, 30 * kSecond);
}

TEST_F(BreakerTest, FailureLeavesTheWindowAfterThirtySeconds) {
  for (int i = 0; i < 4; ++i) fail();
  clock.advance_ms(30'000);
  EXPECT_EQ(fail(), BreakerState::closed);
  EXPECT_EQ(breaker.failures_in_window(), 1u);
}

TEST_F(BreakerTest, SuccessesDoNotForgiveFailures) {
  for (int i = 0; i < 4; ++i) {
    fail();
    record({.ok = 1'000'000});
  }
  EXPECT_EQ(fail(), BreakerState::open);
}

TEST_F(BreakerTest, CountsOfATickAreFailuresToo) {
  EXPECT_EQ(record({.ok = 9, .failed = 4}), BreakerState::closed);
  EXPECT_EQ(record({.ok = 9, .failed = 7}), BreakerState::open);
}

TEST_F(BreakerTest, OpenLetsNothingThroughForThirtySeconds) {
  open();
  EXPECT_FALSE(breaker.admit());
  EXPECT_EQ(after_ms(29'999), BreakerState::open);
  EXPECT_FALSE(breaker.admit());
  EXPECT_EQ(breaker.open_left_ns(), kMs);
  EXPECT_EQ(after_ms(1), BreakerState::half_open);
  EXPECT_EQ(last.cause, BreakerCause::open_elapsed);
}

TEST_F(BreakerTest, HalfOpenLetsExactlyThreeThrough) {
  half_open();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(breaker.admit()) << i;
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(breaker.admit());
}

TEST_F(BreakerTest, ThreeSuccessesClose) {
  half_open();
  EXPECT_EQ(ok(), BreakerState::half_open);
  EXPECT_EQ(ok(), BreakerState::half_open);
  EXPECT_EQ(ok(), BreakerState::closed);
  EXPECT_EQ(last.cause, BreakerCause::trials_passed);
  EXPECT_TRUE(breaker.admit());
}

TEST_F(BreakerTest, OneFailedTrialOpens) {
  half_open();
  ok();
  ok();
  EXPECT_EQ(fail(), BreakerState::open);
  EXPECT_EQ(last.cause, BreakerCause::trial_failed);
}

TEST_F(BreakerTest, FailureBeatsSuccessesOfTheSameTick) {
  half_open();
  EXPECT_EQ(record({.ok = 3, .failed = 1}), BreakerState::open);
}

TEST_F(BreakerTest, OpenTimeDoublesUpToItsCap) {
  open();
  for (const int64_t seconds : {30, 60, 120, 240, 300, 300}) {
    EXPECT_EQ(last.open_ns, seconds * kSecond);
    EXPECT_EQ(after_ms(seconds * 1000 - 1), BreakerState::open);
    EXPECT_EQ(after_ms(1), BreakerState::half_open);
    EXPECT_EQ(fail(), BreakerState::open);
  }
}

TEST_F(BreakerTest, CloseResetsTheOpenTime) {
  half_open();
  fail();
  after_ms(60'000);
  for (int i = 0; i < 3; ++i) ok();
  open();
  EXPECT_EQ(last.open_ns, 30 * kSecond);
}

TEST_F(BreakerTest, CloseForgetsTheFailuresBefore) {
  half_open();
  for (int i = 0; i < 3; ++i) ok();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(fail(), BreakerState::closed);
}

TEST_F(BreakerTest, UnansweredTrialFailsAfterTheTimeOut) {
  half_open();
  EXPECT_TRUE(breaker.admit());
  EXPECT_EQ(after_ms(999), BreakerState::half_open);
  EXPECT_EQ(after_ms(1), BreakerState::open);
  EXPECT_EQ(last.cause, BreakerCause::trial_timeout);
  EXPECT_EQ(last.open_ns, 60 * kSecond);
}

TEST_F(BreakerTest, HalfOpenWithoutTrafficWaits) {
  half_open();
  EXPECT_EQ(after_ms(3'600'000), BreakerState::half_open);
  EXPECT_EQ(breaker.trials_left(), 3u);
}

TEST_F(BreakerTest, AnswersThatCameInTimeBeatALateTick) {
  half_open();
  breaker.trials_taken(3);
  clock.advance_ms(5'000);
  EXPECT_EQ(record({.ok = 3}), BreakerState::closed);
}

TEST_F(BreakerTest, TokensTakenElsewhereCountOnce) {
  half_open();
  breaker.trials_taken(2);
  breaker.trials_taken(2);
  EXPECT_EQ(breaker.trials_left(), 1u);
  ok();
  ok();
  EXPECT_EQ(after_ms(5'000), BreakerState::half_open) << "both trials were answered";
}

TEST_F(BreakerTest, LateAnswersOfAnEarlierEpochDoNotCount) {
  const uint16_t closed_epoch = breaker.epoch();
  half_open();
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(breaker.record(kOk, closed_epoch, clock.mono_ns()));
    EXPECT_FALSE(breaker.record(kFailed, closed_epoch, clock.mono_ns()));
  }
  EXPECT_EQ(breaker.state(), BreakerState::half_open);
  const uint16_t half_open_epoch = breaker.epoch();
  for (int i = 0; i < 3; ++i) ok();
  ASSERT_EQ(breaker.state(), BreakerState::closed);
  for (int i = 0; i < 10; ++i) breaker.record(kFailed, half_open_epoch, clock.mono_ns());
  EXPECT_EQ(breaker.state(), BreakerState::closed);
}

TEST_F(BreakerTest, EachTransitionIsAnEpoch) {
  const uint16_t first = breaker.epoch();
  half_open();
  EXPECT_EQ(breaker.epoch(), first + 2);
  for (int i = 0; i < 3; ++i) ok();
  EXPECT_EQ(breaker.epoch(), first + 3);
  EXPECT_EQ(last.epoch, first + 3);
}

TEST_F(BreakerTest, OperatorTripsAndResets) {
  keep(breaker.trip(clock.mono_ns()));
  EXPECT_EQ(breaker.state(), BreakerState::open);
  EXPECT_EQ(last.cause, BreakerCause::tripped);
  after_ms(20'000);
  EXPECT_FALSE(breaker.trip(clock.mono_ns())) << "already open: waits anew";
  EXPECT_EQ(after_ms(29'999), BreakerState::open);
  EXPECT_EQ(after_ms(1), BreakerState::half_open);
  keep(breaker.reset(clock.mono_ns()));
  EXPECT_EQ(breaker.state(), BreakerState::closed);
  EXPECT_EQ(last.cause, BreakerCause::reset);
  for (int i = 0; i < 4; ++i) fail();
  EXPECT_FALSE(breaker.reset(clock.mono_ns())) << "already closed: forgets failures";
  EXPECT_EQ(fail(), BreakerState::closed);
}

TEST_F(BreakerTest, TimeRunningBackwardsIsNoTimePassing) {
  open();
  after_ms(20'000);
  EXPECT_EQ(after_ms(-1'000'000), BreakerState::open);
  EXPECT_EQ(after_ms(9'999), BreakerState::open);
  EXPECT_EQ(after_ms(1), BreakerState::half_open);
}

TEST_F(BreakerTest, NewSettingsDoNotChangeARunningHalfOpen) {
  half_open();
  breaker.configure({.trials = 9});
  EXPECT_EQ(breaker.trials_left(), 3u);
  for (int i = 0; i < 3; ++i) ok();
  EXPECT_EQ(breaker.state(), BreakerState::closed);
}

TEST(BreakerRate, FailureRateReplacesTheCount) {
  Breaker breaker({.failure_rate = 0.5, .min_calls = 20});
  EXPECT_FALSE(breaker.record({.ok = 0, .failed = 19}, 0, kSecond)) << "fewer than min_calls";
  EXPECT_FALSE(breaker.record({.ok = 20, .failed = 0}, 0, kSecond)) << "19 of 39";
  const auto t = breaker.record({.ok = 0, .failed = 1}, 0, kSecond);
  ASSERT_TRUE(t) << "20 of 40";
  EXPECT_EQ(t->cause, BreakerCause::failure_rate);
}

TEST(BreakerRate, OldCallsLeaveTheWindow) {
  Breaker breaker({.failure_rate = 0.5, .min_calls = 20});
  breaker.record({.ok = 1000}, 0, 0);
  EXPECT_FALSE(breaker.record({.failed = 20}, 0, 29 * kSecond));
  EXPECT_EQ(breaker.calls_in_window().calls, 1020u);
  EXPECT_TRUE(breaker.record({.failed = 1}, 0, 30 * kSecond));
}

TEST(BreakerRate, SlowCallsOpen) {
  Breaker breaker({.slow_rate = 0.3, .min_calls = 10});
  EXPECT_FALSE(breaker.record({.ok = 9, .slow = 9}, 0, kSecond));
  const auto t = breaker.record({.ok = 1, .slow = 0}, 0, kSecond);
  ASSERT_TRUE(t);
  EXPECT_EQ(t->cause, BreakerCause::slow_rate);
}

TEST(BreakerRate, SlowTrialIsAFailedTrial) {
  Breaker breaker({.slow_rate = 0.3});
  breaker.trip(0);
  breaker.tick(30 * kSecond);
  ASSERT_EQ(breaker.state(), BreakerState::half_open);
  const auto t = breaker.record({.ok = 1, .slow = 1}, breaker.epoch(), 30 * kSecond);
  ASSERT_TRUE(t);
  EXPECT_EQ(t->cause, BreakerCause::trial_failed);
}

TEST(BreakerJitter, LengthensAtRandomWithinItsShare) {
  MonoNs shortest = INT64_MAX, longest = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    Breaker breaker({.jitter = 0.2}, seed);
    const MonoNs open_ns = breaker.trip(0)->open_ns;
    shortest = std::min(shortest, open_ns);
    longest = std::max(longest, open_ns);
  }
  EXPECT_GE(shortest, 30 * kSecond);
  EXPECT_LT(shortest, 30 * kSecond + 60 * kMs);
  EXPECT_LE(longest, 36 * kSecond);
  EXPECT_GT(longest, 36 * kSecond - 60 * kMs);
}

TEST(BreakerCounts, ManyFailuresInManySteps) {
  Breaker breaker({.failures = 1000});
  MonoNs now = 0;
  for (int i = 0; i < 999; ++i) EXPECT_FALSE(breaker.record(kFailed, 0, now += 10 * kMs)) << i;
  EXPECT_TRUE(breaker.record(kFailed, 0, now + 10 * kMs));
}

TEST(BreakerCounts, SparseFailuresNeverOpen) {
  for (const uint32_t failures : {5u, 64u, 1000u}) {
    Breaker breaker({.failures = failures});
    const MonoNs apart = 30 * kSecond / (failures - 1) + kMs;  // at most failures - 1 in a window
    for (int i = 0; i < 5000; ++i) ASSERT_FALSE(breaker.record(kFailed, 0, i * apart)) << i;
  }
}

TEST(BreakerNames, AreTheOnesOfTheControlSocket) {
  EXPECT_EQ(name(BreakerState::closed), "closed");
  EXPECT_EQ(name(BreakerState::open), "open");
  EXPECT_EQ(name(BreakerState::half_open), "half-open");
  EXPECT_EQ(name(BreakerCause::none), "none");
  EXPECT_EQ(name(BreakerCause::reset), "reset");
}

}  // namespace
}  // namespace lf::resilience
