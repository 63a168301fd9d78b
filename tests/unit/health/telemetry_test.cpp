// SPDX-License-Identifier: Apache-2.0
#include "control/health/telemetry.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/property.hpp"

namespace lf::health {
namespace {

constexpr MonoNs kTick = 250'000'000;
constexpr MonoNs kMinute = 60'000'000'000;

HealthWindow window() {
  return HealthWindow(kMinute, 241, 0.3);
}

TEST(Sample, ShareOfSuccesses) {
  EXPECT_EQ(sample({7, 2, 1}, {}, false, 1), 0.7);
  EXPECT_EQ(sample({0, 0, 4}, {}, false, 1), 0.0);
  EXPECT_EQ(sample({4, 0, 0}, {}, false, 1), 1.0);
}

TEST(Sample, ProbesCountOnlyWithoutTraffic) {
  EXPECT_EQ(sample({}, {1, 0, 1}, false, 1), 0.5);
  EXPECT_EQ(sample({1, 0, 0}, {0, 0, 5}, false, 1), 1.0);
}

TEST(Sample, DegradedHalves) {
  EXPECT_EQ(sample({8, 2, 0}, {}, true, 1), 0.4);
  EXPECT_EQ(sample({}, {3, 0, 0}, true, 1), 0.5);
}

TEST(Sample, NothingSeenIsNoSample) {
  EXPECT_EQ(sample({}, {}, false, 1), std::nullopt);
  EXPECT_EQ(sample({}, {}, true, 0), std::nullopt);
}

TEST(Sample, TooFewCommandsAreNoSample) {
  EXPECT_EQ(sample({3, 1, 0}, {}, false, 5), std::nullopt);
  EXPECT_EQ(sample({3, 1, 0}, {1, 0, 0}, false, 5), 1.0);
  EXPECT_EQ(sample({4, 1, 0}, {}, false, 5), 0.8);
}

TEST(HealthWindow, FirstSampleAsItIs) {
  HealthWindow w = window();
  EXPECT_EQ(w.health(), std::nullopt);
  EXPECT_EQ(w.trend(0), 0);
  w.add(0, 0.25);
  EXPECT_EQ(w.health(), 0.25);
  EXPECT_EQ(w.trend(0), 0);
}

TEST(HealthWindow, DeadNodeFallsBelowThresholdInFourSamples) {
  HealthWindow w = window();
  MonoNs now = 0;
  for (int i = 0; i < 1000; ++i) w.add(now += kTick, 1.0);
  for (int i = 0; i < 3; ++i) w.add(now += kTick, 0.0);
  EXPECT_GE(*w.health(), 0.3);
  w.add(now += kTick, 0.0);
  EXPECT_LT(*w.health(), 0.3);
  EXPECT_NEAR(*w.health(), std::pow(0.7, 4), 1e-6);
}

TEST(HealthWindow, TrendIsAgainstTheWindowsStart) {
  HealthWindow w = window();
  MonoNs now = 0;
  for (int i = 0; i < 20; ++i) w.add(now += kTick, 0.5);
  for (int i = 0; i < 10; ++i) w.add(now += kTick, 1.0);
  EXPECT_NEAR(w.trend(now), 0.5 * (1 - std::pow(0.7, 10)), 1e-6);
  for (int i = 0; i < 240; ++i) w.add(now += kTick, 1.0);
  EXPECT_NEAR(w.trend(now), 0, 0.02);
  w.add(now += kTick, 0.0);
  EXPECT_NEAR(w.trend(now), -0.3, 0.02);
}

TEST(HealthWindow, HealthStaysWhenSamplesStop) {
  HealthWindow w = window();
  w.add(0, 1.0);
  w.add(kTick, 0.0);
  EXPECT_NEAR(w.trend(kTick), -0.3, 1e-6);
  EXPECT_NEAR(w.trend(kMinute + 1), 0, 1e-6);  // only the second one is left
  EXPECT_EQ(w.trend(10 * kMinute), 0);
  EXPECT_NEAR(*w.health(), 0.7, 1e-6);
  w.add(10 * kMinute, 0.8);  // nothing else is in the window now
  EXPECT_EQ(w.health(), 0.8);
}

TEST(HealthWindow, ClearForgets) {
  HealthWindow w = window();
  w.add(0, 1.0);
  w.clear();
  EXPECT_EQ(w.health(), std::nullopt);
  EXPECT_EQ(w.newest(), std::nullopt);
}

TEST(HealthWindow, TimeRunningBackwardsIsHarmless) {
  HealthWindow w = window();
  w.add(kMinute, 1.0);
  w.add(0, 0.0);
  EXPECT_NEAR(*w.health(), 0.7, 1e-9);
}

// Against the definition: the average recomputed over the samples in the window, at each sample.
TEST(HealthWindow, IsTheAverageOverTheWindow) {
  test::check_property(300, [](const std::vector<std::pair<uint16_t, uint8_t>>& steps) {
    HealthWindow w(10'000, 8, 0.3);
    std::vector<std::pair<MonoNs, double>> all;  // time, value
    MonoNs now = 0;
    for (const auto& [wait, value] : steps) {
      now += wait % 4000;
      if (value % 4 == 0) continue;  // no sample
      all.emplace_back(now, value / 255.0);
      w.add(now, all.back().second);
      std::erase_if(all, [&](const auto& s) { return s.first < now - 10'000; });
      if (all.size() > 8) all.erase(all.begin());
      double health = all[0].second;
      for (const auto& s : all) health += 0.3 * (s.second - health);
      RC_ASSERT(w.size() == all.size());
      RC_ASSERT(std::abs(*w.health() - health) < 1e-6);
    }
  });
}

}  // namespace
}  // namespace lf::health
