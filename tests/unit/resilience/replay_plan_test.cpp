// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/replay_plan.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/property.hpp"

namespace lf::resilience {
namespace {

using Names = std::vector<std::string>;
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// The whole plan in one piece, written down from the specification alone. The share is cut from a
// double as the specification's int(0.9 * n) says; all the rest are integers of 128 bits.
ReplayPlan model(int64_t events, int64_t timeout_s, const std::string& primary, Names candidates,
                 const Names& degraded) {
  ReplayPlan plan{0, 0, 0, primary, OutageClass::minor};
  if (events <= 0 || timeout_s <= 0) return plan;
  Int128 bound = Int128{timeout_s} * 12;
  if (bound > events) bound = events;
  plan.budget = static_cast<int64_t>(0.9 * static_cast<double>(static_cast<int64_t>(bound)));
  if (plan.budget < 1) plan.budget = 1;
  plan.batch_size = plan.budget / 10;
  if (plan.batch_size < 1) plan.batch_size = 1;
  if (plan.batch_size > 64) plan.batch_size = 64;
  plan.retries = timeout_s / 2;
  if (plan.retries < 1) plan.retries = 1;
  if (plan.retries > 12) plan.retries = 12;
  for (const auto& name : degraded) std::erase(candidates, name);
  std::erase(candidates, primary);
  if (!candidates.empty()) plan.region = candidates.front();
  const Int128 minutes = timeout_s < 2 ? 1 : timeout_s / 2;
  const Int128 services = events < 16 ? 1 : events / 16;
  if (minutes * services >= 40) plan.outage_class = OutageClass::degraded;
  if (minutes * services >= 120) plan.outage_class = OutageClass::major;
  if (minutes * services >= 240) plan.outage_class = OutageClass::critical;
  return plan;
}

TEST(ReplayPlan, NothingToReplay) {
  const Names candidates{"b"};
  const ReplayPlan nothing{0, 0, 0, "a", OutageClass::minor};
  EXPECT_EQ(build_replay_plan(0, 10, "a", candidates, {}), nothing);
  EXPECT_EQ(build_replay_plan(10, -1, "a", candidates, {}), nothing);
}

TEST(ReplayPlan, ComposesItsParts) {
  const Names candidates{"a", "b", "c"}, degraded{"b"};
  const ReplayPlan expected{108, 10, 5, "c", OutageClass::critical};  // 5 min on 62 services
  EXPECT_EQ(build_replay_plan(1000, 10, "a", candidates, degraded), expected);
}

TEST(ReplayPlan, BoundsOfBatchAndRetries) {
  EXPECT_EQ(replay_batch_size(1), 1);
  EXPECT_EQ(replay_batch_size(19), 1);
  EXPECT_EQ(replay_batch_size(20), 2);
  EXPECT_EQ(replay_batch_size(kMax), 64);
  EXPECT_EQ(replay_retries(1), 1);
  EXPECT_EQ(replay_retries(7), 3);
  EXPECT_EQ(replay_retries(kMax), 12);
}

TEST(ReplayPlan, OutageOfWhatHasToBeReplayed) {
  EXPECT_EQ(outage_of_replay(1, 1), OutageClass::minor);
  EXPECT_EQ(outage_of_replay(16 * 40, 1), OutageClass::degraded);
  EXPECT_EQ(outage_of_replay(kMax, kMax), OutageClass::critical);
}

TEST(ReplayPlan, AgreesWithModel) {
  test::check_property(20'000, [] {
    const auto region = rc::gen::elementOf(Names{"a", "b", "c", "d"});
    const auto regions = rc::gen::scale(0.05, rc::gen::container<Names>(region));
    const int64_t events = *test::any_int64();
    const int64_t timeout_s = *test::any_int64();
    const std::string primary = *region;
    const Names candidates = *regions, degraded = *regions;
    RC_ASSERT(build_replay_plan(events, timeout_s, primary, candidates, degraded) ==
              model(events, timeout_s, primary, candidates, degraded));
  });
}

}  // namespace
}  // namespace lf::resilience
