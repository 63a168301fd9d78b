// SPDX-License-Identifier: Apache-2.0
#include "control/health/phase.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/property.hpp"

namespace lf::health {
namespace {

constexpr MonoNs kTick = 250'000'000;
constexpr MonoNs kSecond = 1'000'000'000;

// Steps a node and remembers what happened last.
struct Walker {
  config::Health settings;
  PhaseState state;
  std::optional<Cause> cause;
  MonoNs now = 0;

  void step(const PhaseSignals& in, MonoNs wait = kTick) {
    now += wait;
    const PhaseStep s = health::step(state, in, settings, now);
    state = s.state;
    cause = s.cause;
  }
  void step(double health) { step(PhaseSignals{.health = health}); }
};

TEST(Ramp, TenToAHundredPerCent) {
  const MonoNs t = 300 * kSecond;
  EXPECT_DOUBLE_EQ(ramp(0, t), 0.1);
  EXPECT_DOUBLE_EQ(ramp(t, t), 1.0);
  EXPECT_DOUBLE_EQ(ramp(2 * t, t), 1.0);
  EXPECT_DOUBLE_EQ(ramp(-5, t), 0.1);
  EXPECT_NEAR(ramp(t / 2, t), 0.3162, 1e-4);
  EXPECT_NEAR(ramp(60 * kSecond, t), 0.1585, 1e-4);
}

TEST(Ramp, NoWarmUpTimeIsFullAtOnce) {
  EXPECT_EQ(ramp(0, 0), 1.0);
}

TEST(Phase, BelowThresholdEjects) {
  Walker w;
  w.step(0.3);
  EXPECT_EQ(w.state.phase, Phase::active);
  w.step(0.2999);
  EXPECT_EQ(w.state.phase, Phase::ejected);
  EXPECT_EQ(w.cause, Cause::health_low);
}

TEST(Phase, UnknownHealthEjectsNobody) {
  Walker w;
  w.step(PhaseSignals{});
  EXPECT_EQ(w.state.phase, Phase::active);
  EXPECT_EQ(w.cause, std::nullopt);
}

TEST(Phase, BackAtReadmissionThroughWarmUp) {
  Walker w;
  w.settings.readmit_jitter = 0;
  w.step(0.1);
  w.step(0.49);
  EXPECT_EQ(w.state.phase, Phase::ejected);
  w.step(0.5);
  EXPECT_EQ(w.state.phase, Phase::warming);
  EXPECT_EQ(w.cause, Cause::health_back);
  EXPECT_DOUBLE_EQ(ramp(w.state, w.settings), 0.1);
}

TEST(Phase, ReadmissionIsJittered) {
  Walker w;
  w.settings.readmit_jitter = 0.5;  // up to 8 * 0.5 * 250 ms = 1 s
  w.step(0.1);
  w.step({.health = 0.6, .random = 0.6});  // drawn once: 600 ms
  EXPECT_EQ(w.state.phase, Phase::ejected);
  w.step({.health = 0.6, .random = 0}, 599'000'000);
  EXPECT_EQ(w.state.phase, Phase::ejected);
  w.step({.health = 0.6, .random = 0.99}, 1'000'000);
  EXPECT_EQ(w.state.phase, Phase::warming);
}

TEST(Phase, FallingAgainWhileWaitingStartsTheWaitAnew) {
  Walker w;
  w.settings.readmit_jitter = 0.5;
  w.step(0.1);
  w.step({.health = 0.6, .random = 0.5});
  w.step(0.45);
  w.step({.health = 0.6, .random = 0.5}, kSecond);
  EXPECT_EQ(w.state.phase, Phase::ejected);
  w.step({.health = 0.6, .random = 0.5}, kSecond / 2);
  EXPECT_EQ(w.state.phase, Phase::warming);
}

TEST(Phase, RampStandsStillWhileHealthIsLow) {
  Walker w;
  w.settings.warmup_s = 60;
  w.state = warm_up(0);
  for (int i = 0; i < 40; ++i) w.step(0.8);
  const double at_10s = ramp(w.state, w.settings);
  EXPECT_NEAR(at_10s, 0.1 * std::pow(10, 10.0 / 60), 1e-9);
  for (int i = 0; i < 400; ++i) w.step(0.69);
  EXPECT_DOUBLE_EQ(ramp(w.state, w.settings), at_10s);
  for (int i = 0; i < 40; ++i) w.step(0.7);
  EXPECT_NEAR(ramp(w.state, w.settings), 0.1 * std::pow(10, 20.0 / 60), 1e-9);
}

TEST(Phase, WarmUpEnds) {
  Walker w;
  w.settings.warmup_s = 10;
  w.state = warm_up(0);
  for (int i = 0; i < 39; ++i) w.step(1.0);
  EXPECT_EQ(w.state.phase, Phase::warming);
  w.step(1.0);
  EXPECT_EQ(w.state.phase, Phase::active);
  EXPECT_EQ(w.cause, Cause::warm_up_done);
  EXPECT_EQ(ramp(w.state, w.settings), 1.0);
}

TEST(Phase, EjectionResetsTheRamp) {
  Walker w;
  w.settings.readmit_jitter = 0;
  w.state = warm_up(0);
  for (int i = 0; i < 400; ++i) w.step(0.9);
  w.step(0.2);
  EXPECT_EQ(w.state.phase, Phase::ejected);
  w.step(0.9);
  EXPECT_DOUBLE_EQ(ramp(w.state, w.settings), 0.1);
}

TEST(Phase, RampRunsOnlyInService) {
  Walker w;
  w.state = warm_up(0);
  w.step({.health = 1.0, .in_service = false}, 500 * kSecond);
  EXPECT_EQ(w.state.phase, Phase::warming);
  EXPECT_DOUBLE_EQ(ramp(w.state, w.settings), 0.1);
}

TEST(Phase, ComingBackWarmsUpUnlessEjected) {
  Walker w;
  w.step(1.0);
  w.state = come_back(w.state, w.now);
  EXPECT_EQ(w.state.phase, Phase::warming);
  w.step(0.1);
  w.state = come_back(w.state, w.now);
  EXPECT_EQ(w.state.phase, Phase::ejected);
}

TEST(Phase, LimitKeepsANodeInAndSaysSoOnce) {
  Walker w;
  w.step({.health = 0.1, .may_eject = false});
  EXPECT_EQ(w.state.phase, Phase::active);
  EXPECT_EQ(w.cause, Cause::limit_reached);
  EXPECT_TRUE(w.state.held_in);
  w.step({.health = 0.1, .may_eject = false});
  EXPECT_EQ(w.cause, std::nullopt);
  w.step({.health = 0.4, .may_eject = false});
  EXPECT_FALSE(w.state.held_in);
  w.step({.health = 0.1, .may_eject = false});
  EXPECT_EQ(w.cause, Cause::limit_reached);
  w.step({.health = 0.1, .may_eject = true});
  EXPECT_EQ(w.state.phase, Phase::ejected);
}

TEST(Phase, BlindNodeIsLetInToSeeLaterEachTime) {
  Walker w;
  const PhaseSignals low{.health = 0.1, .blind = true};
  w.step(low);
  w.step(low, 29 * kSecond);
  EXPECT_EQ(w.state.phase, Phase::ejected);
  w.step(low, kSecond);
  EXPECT_EQ(w.cause, Cause::retried);
  EXPECT_EQ(w.state.phase, Phase::warming);
  w.step(low);  // still bad
  EXPECT_EQ(w.state.phase, Phase::ejected);
  w.step(low, 59 * kSecond);
  EXPECT_EQ(w.state.phase, Phase::ejected);
  w.step(low, kSecond);
  EXPECT_EQ(w.state.phase, Phase::warming);
  for (int i = 0; i < 20; ++i) {
    w.step(low);
    w.step(low, 300 * kSecond);  // never longer than this
    ASSERT_EQ(w.state.phase, Phase::warming);
  }
}

TEST(Phase, TimeRunningBackwardsEjectsAndRampsNobody) {
  Walker w;
  w.state = warm_up(100 * kSecond);
  w.now = 100 * kSecond;
  w.step({.health = 1.0}, -50 * kSecond);
  EXPECT_EQ(w.state.phase, Phase::warming);
  EXPECT_EQ(w.state.ramp_ns, 0);
  w.step({.health = 1.0}, 50 * kSecond);
  EXPECT_EQ(w.state.ramp_ns, 0);  // no time has passed since the first step
}

TEST(Phase, CausesHaveNames) {
  EXPECT_EQ(name(Cause::health_low), "health-low");
  EXPECT_EQ(explain(Cause::weight_set), "an operator set its weight");
}

// Any sequence: thresholds are kept, the ramp stays in range and never falls while warming.
TEST(Phase, AnySequenceKeepsTheRules) {
  test::check_property(500, [](const std::vector<std::pair<uint8_t, int16_t>>& steps) {
    config::Health settings;
    settings.warmup_s = 20;
    PhaseState s;
    MonoNs now = 0;
    for (const auto& [bits, wait] : steps) {
      PhaseSignals in;
      if (bits & 1) in.health = (bits >> 1) % 16 / 15.0;
      const bool came_back = (bits & 0x30) == 0x30;
      if (came_back) s = come_back(s, now);
      in.may_eject = (bits & 0xc0) != 0xc0;
      in.random = 0.5;
      now += MonoNs{wait} * 1'000'000;
      const PhaseState before = s;
      s = step(s, in, settings, now).state;
      const double r = ramp(s, settings);
      RC_ASSERT(r >= 0.1 && r <= 1.0);
      const bool low = in.health && *in.health < settings.eject_below;
      if (low && in.may_eject) RC_ASSERT(s.phase == Phase::ejected);
      if (before.phase == Phase::ejected && s.phase != Phase::ejected)
        RC_ASSERT(in.health && *in.health >= settings.readmit_at && s.phase == Phase::warming);
      if (before.phase == Phase::warming && s.phase == Phase::warming && !came_back)
        RC_ASSERT(s.ramp_ns >= before.ramp_ns);
      if (s.phase == Phase::active) RC_ASSERT(before.phase != Phase::ejected && r == 1.0);
    }
  });
}

}  // namespace
}  // namespace lf::health
