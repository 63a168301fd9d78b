// SPDX-License-Identifier: Apache-2.0
// The latency that goes into a node's score: what lasts counts soon, a hiccup does not.
#include "control/health/latency.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace lf::health {
namespace {

constexpr MonoNs kInterval = 250'000'000;

// Parts: answers, mean in ms.
std::optional<double> interval(const std::vector<std::pair<uint64_t, uint64_t>>& parts) {
  IntervalLatency interval;
  for (const auto& [answers, ms] : parts) interval.add(answers, answers * ms * 1000);
  return interval.take_ms();
}

TEST(IntervalLatency, WithoutItsWorstPart) {
  EXPECT_EQ(interval({{100, 1}, {100, 1}, {100, 1}, {100, 1}, {100, 1}}), 1);
  EXPECT_EQ(interval({{100, 1}, {20, 1}, {180, 30}, {100, 1}, {100, 1}}), 1) << "a pause";
  EXPECT_EQ(interval({{50, 10}, {50, 20}, {50, 30}, {50, 40}, {50, 50}}), 25) << "a queue grows";
  EXPECT_EQ(interval({{10, 8}, {10, 8}, {10, 8}}), 8);
}

TEST(IntervalLatency, PartsWithoutAnswersSayNothing) {
  EXPECT_EQ(interval({}), std::nullopt);
  EXPECT_EQ(interval({{0, 0}, {0, 0}}), std::nullopt);
  EXPECT_EQ(interval({{0, 0}, {0, 0}, {1, 9}, {0, 0}, {0, 0}}), 9) << "the only one counts";
  EXPECT_EQ(interval({{3, 2}, {1, 6}, {0, 0}}), 3) << "of two none can be spared";
}

TEST(IntervalLatency, TheNextIntervalBeginsWithNothing) {
  IntervalLatency interval;
  for (int i = 0; i < 5; ++i) interval.add(10, 500'000);
  EXPECT_EQ(interval.take_ms(), 50);
  EXPECT_EQ(interval.take_ms(), std::nullopt);
  interval.add(10, 10'000);
  EXPECT_EQ(interval.take_ms(), 1);
}

struct Node {
  LatencyEstimate estimate;
  MonoNs now = 0;

  double after(int intervals, double ms) {
    for (int i = 0; i < intervals; ++i) estimate.add(now += kInterval, ms);
    return *estimate.ms();
  }
};

TEST(LatencyEstimate, TheFirstOneCountsAsItIs) {
  Node n;
  EXPECT_FALSE(n.estimate.ms());
  EXPECT_EQ(n.after(1, 7), 7);
  EXPECT_EQ(n.estimate.measured_at(), kInterval);
}

TEST(LatencyEstimate, OfTheFirstFewTheBest) {
  Node n;
  n.after(1, 40);
  EXPECT_EQ(n.after(1, 1), 1);
  EXPECT_EQ(n.after(1, 30), 1);
  EXPECT_GT(n.after(1, 30), 20);
}

TEST(LatencyEstimate, RisesWithinTwoIntervalsAndFallsOverSeconds) {
  Node n;
  n.after(10, 1);
  EXPECT_NEAR(n.after(2, 101), 101, 9);
  n.after(20, 101);
  EXPECT_NEAR(n.after(20, 1), 1 + 100 / std::exp(1), 0.1);
}

TEST(LatencyEstimate, AClockThatStandsOrStepsBackMovesNothing) {
  Node n;
  n.after(10, 1);
  n.estimate.add(n.now, 101);
  n.estimate.add(n.now - kInterval, 101);
  EXPECT_EQ(*n.estimate.ms(), 1);
}

TEST(LatencyEstimate, ARestartMeasuresAnew) {
  Node n;
  n.after(10, 90);
  n.estimate.restart();
  EXPECT_FALSE(n.estimate.ms());
  EXPECT_EQ(n.after(1, 2), 2);
  EXPECT_EQ(n.after(1, 50), 2);
}

}  // namespace
}  // namespace lf::health
