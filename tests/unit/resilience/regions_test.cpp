// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/regions.hpp"

#include <gtest/gtest.h>

#include "tests/support/property.hpp"

namespace lf::resilience {
namespace {

constexpr MonoNs kSecond = 1'000'000'000;
constexpr RegionWeight kWell{300, 300}, kHalf{300, 150}, kLow{300, 149}, kDead{300, 0}, kNone{};

class RegionsTest : public ::testing::Test {
 protected:
  std::string at(MonoNs seconds, const RegionWeight& a, const RegionWeight& b,
                 const RegionWeight& c) {
    const RegionWeight weights[] = {a, b, c};
    selector.update(weights, seconds * kSecond);
    return selector.active();
  }
  RegionSelector selector{{"east", "west", "north"}, RegionSettings{}};
};

TEST_F(RegionsTest, PrimaryWhileHalfOfItIsHealthy) {
  EXPECT_EQ(at(0, kWell, kWell, kWell), "east");
  EXPECT_EQ(at(1, kHalf, kWell, kWell), "east");
}

TEST_F(RegionsTest, DegradedPrimaryGivesWayAtOnce) {
  EXPECT_EQ(at(0, kLow, kWell, kWell), "west");
}

TEST_F(RegionsTest, FailoverSkipsDegradedRegions) {
  EXPECT_EQ(at(0, kDead, kLow, kWell), "north");
  EXPECT_EQ(selector.degraded(), (std::vector<std::string>{"east", "west"}));
}

TEST_F(RegionsTest, AllDegradedIsThePrimary) {
  EXPECT_EQ(at(0, kDead, kDead, kLow), "east");
}

TEST_F(RegionsTest, RegionWithoutNodesIsDegraded) {
  EXPECT_EQ(at(0, kDead, kNone, kWell), "north");
}

TEST_F(RegionsTest, PrimaryReturnsAfterFiveWellSeconds) {
  at(0, kDead, kWell, kWell);
  EXPECT_EQ(at(10, kWell, kWell, kWell), "west");
  EXPECT_EQ(at(14, kWell, kWell, kWell), "west");
  EXPECT_EQ(at(15, kWell, kWell, kWell), "east");
}

TEST_F(RegionsTest, FlappingPrimaryDoesNotReturn) {
  for (MonoNs s = 0; s < 60; s += 2) {
    EXPECT_EQ(at(s, kDead, kWell, kWell), "west");
    EXPECT_EQ(at(s + 1, kWell, kWell, kWell), "west");
  }
}

TEST_F(RegionsTest, SecondOutageMovesOnAndBack) {
  at(0, kDead, kWell, kWell);
  EXPECT_EQ(at(1, kDead, kDead, kWell), "north");
  EXPECT_EQ(at(2, kDead, kWell, kWell), "north");
  EXPECT_EQ(at(7, kDead, kWell, kWell), "west") << "the order of regions decides";
}

TEST_F(RegionsTest, ReportsEachChangeOnce) {
  const RegionWeight weights[] = {kDead, kWell, kWell};
  const auto change = selector.update(weights, 0);
  ASSERT_TRUE(change);
  EXPECT_EQ(change->from, "east");
  EXPECT_EQ(change->to, "west");
  EXPECT_FALSE(selector.update(weights, kSecond));
}

TEST_F(RegionsTest, ClockThatStepsBackStartsTheWaitAnew) {
  at(100, kDead, kWell, kWell);
  at(101, kWell, kWell, kWell);
  EXPECT_EQ(at(1, kWell, kWell, kWell), "west");
  EXPECT_EQ(at(6, kWell, kWell, kWell), "east");
}

TEST(Regions, OneRegionStaysActive) {
  RegionSelector only{{"east"}, RegionSettings{}};
  EXPECT_FALSE(only.update({}, 0));
  EXPECT_EQ(only.active(), "east");
}

// Whatever happens, the active region is not degraded while some region is not.
TEST(Regions, NeverStaysInADegradedRegionNeedlessly) {
  test::check_property(2'000, [] {
    const auto count = *rc::gen::inRange<size_t>(1, 6);
    std::vector<std::string> names(count);
    for (size_t i = 0; i < count; ++i) names[i] = std::to_string(i);
    RegionSelector selector(names, RegionSettings{});
    MonoNs now = 0;
    for (int step = 0; step < 30; ++step) {
      now += *rc::gen::inRange<MonoNs>(-1, 7) * kSecond;
      const auto weights = *rc::gen::container<std::vector<RegionWeight>>(
          count, rc::gen::elementOf(std::vector<RegionWeight>{kWell, kHalf, kLow, kDead, kNone}));
      selector.update(weights, now);
      RC_ASSERT(selector.active_index() < count);
      if (selector.degraded().size() < count)
        RC_ASSERT(!selector.is_degraded(selector.active_index()));
      for (uint32_t i = 0; i < selector.active_index(); ++i) RC_ASSERT(selector.is_degraded(i));
      const RegionWeight& w = weights[selector.active_index()];
      if (w.healthy < 150) RC_ASSERT(selector.degraded().size() == count);
    }
  });
}

}  // namespace
}  // namespace lf::resilience
