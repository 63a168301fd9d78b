// SPDX-License-Identifier: Apache-2.0
#include "control/health/planning.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/property.hpp"

namespace lf::health {
namespace {

PlanNode plain(NodeSlot slot, double base = 100) {
  return {.slot = slot, .base = base};
}

TEST(Weight, IsTheFormula) {
  const PlanNode n{.base = 200, .health = 0.8, .ramp = 0.5, .score = 40};
  EXPECT_DOUBLE_EQ(weight_of(n, 10), 200 * 0.5 * 0.8 * (10.0 / 40));
}

TEST(Weight, ScoresBelowOneCountAsOne) {
  const PlanNode n{.base = 1, .score = 0.01};
  EXPECT_DOUBLE_EQ(weight_of(n, 0.0), 1);
  const PlanNode slow{.base = 1, .score = 4};
  EXPECT_DOUBLE_EQ(weight_of(slow, 0.0), 0.25);
}

TEST(Weight, KeptInNodesAreNotStarved) {
  const PlanNode n{.base = 1, .health = 0};
  EXPECT_GT(weight_of(n, 1), 0);
}

TEST(MakePlan, SharesByWeight) {
  const std::vector<PlanNode> nodes = {plain(4, 100), plain(7, 300)};
  const Plan p = make_plan(nodes, {}, 0);
  EXPECT_DOUBLE_EQ(p.shares[0], 0.25);
  EXPECT_DOUBLE_EQ(p.shares[1], 0.75);
  ASSERT_EQ(p.pools.primary.size(), 2u);
  EXPECT_EQ(p.pools.primary[1].slot, 7);
  EXPECT_TRUE(p.pools.failover.empty());
  EXPECT_EQ(p.refused, 0);
}

TEST(MakePlan, NobodyRefusesAll) {
  EXPECT_EQ(make_plan({}, {}, 10).refused, 1);
  std::vector<PlanNode> nodes = {plain(0), plain(1, 0)};
  nodes[0].takes = false;
  const Plan p = make_plan(nodes, {}, 10);
  EXPECT_EQ(p.refused, 1);
  EXPECT_TRUE(p.pools.primary.empty());
  EXPECT_EQ(p.shares, (std::vector<double>{0, 0}));
}

// Primary region 0 (slots 0, 1), failover region 1 (slot 2).
std::vector<PlanNode> two_regions() {
  std::vector<PlanNode> nodes = {plain(0), plain(1), plain(2)};
  nodes[2].region = 1;
  return nodes;
}

TEST(MakePlan, FailoverStandsBy) {
  const Plan p = make_plan(two_regions(), {.count = 2}, 10);
  EXPECT_EQ(p.shares, (std::vector<double>{0.5, 0.5, 0}));
  ASSERT_EQ(p.pools.failover.size(), 1u);
  EXPECT_EQ(p.pools.failover[0].slot, 2);
}

TEST(MakePlan, DeadPrimaryFailsOverEvenIfNotCalledDegraded) {
  auto nodes = two_regions();
  nodes[0].takes = nodes[1].takes = false;
  const Plan p = make_plan(nodes, {.count = 2}, 10);
  EXPECT_EQ(p.active, 1u);
  EXPECT_EQ(p.shares, (std::vector<double>{0, 0, 1}));
  EXPECT_TRUE(p.pools.failover.empty());
}

TEST(MakePlan, DegradedPrimaryIsTheSecondChoice) {
  const Plan p = make_plan(two_regions(), {.count = 2, .active = 1, .degraded = {true, false}}, 10);
  EXPECT_EQ(p.shares[2], 1);
  EXPECT_EQ(p.pools.failover.size(), 2u);
}

TEST(MakePlan, PrefersAFailoverRegionThatIsNotDegraded) {
  auto nodes = two_regions();
  nodes.push_back(plain(3));
  nodes[3].region = 2;
  const Plan p = make_plan(nodes, {.count = 3, .degraded = {false, true, false}}, 10);
  ASSERT_EQ(p.pools.failover.size(), 1u);
  EXPECT_EQ(p.pools.failover[0].slot, 3);
}

TEST(MakePlan, ReturningRegionTakesWhatItsNodesAreWarmFor) {
  auto nodes = two_regions();
  nodes[0].ramp = 0.1;
  nodes[1].ramp = 0.3;
  const Plan p = make_plan(nodes, {.count = 2, .returning = true}, 10);
  EXPECT_DOUBLE_EQ(p.warmth, 0.2);
  EXPECT_NEAR(p.shares[0], 0.05, 1e-12);
  EXPECT_NEAR(p.shares[1], 0.15, 1e-12);
  EXPECT_NEAR(p.shares[2], 0.8, 1e-12);
  EXPECT_EQ(p.pools.primary.back().slot, kNoNode);
  EXPECT_NEAR(p.pools.primary.back().weight, 0.8, 1e-12);
  EXPECT_EQ(p.refused, 0);
}

TEST(MakePlan, ReturningWithNowhereElseToGoTakesAll) {
  auto nodes = two_regions();
  nodes[0].ramp = nodes[1].ramp = 0.1;
  nodes[2].takes = false;
  const Plan p = make_plan(nodes, {.count = 2, .returning = true}, 10);
  EXPECT_DOUBLE_EQ(p.shares[0], 0.5);
  EXPECT_EQ(p.pools.primary.size(), 2u);
}

TEST(MakePlan, RatedNodesSpillToOthersThenToFailoverThenRefuse) {
  auto nodes = two_regions();
  nodes[0].rated_per_s = 1000;
  nodes[0].ramp = 0.1;
  Plan p = make_plan(nodes, {.count = 2}, 2000);  // 9 % by weight: 180 a second, 100 allowed
  EXPECT_NEAR(p.shares[0], 0.05, 1e-12);
  EXPECT_NEAR(p.shares[1], 0.95, 1e-12);
  nodes[1].rated_per_s = 900;
  p = make_plan(nodes, {.count = 2}, 2000);
  EXPECT_NEAR(p.shares[0], 0.05, 1e-12);
  EXPECT_NEAR(p.shares[1], 0.45, 1e-12);
  EXPECT_NEAR(p.shares[2], 0.5, 1e-12);
  nodes[2].rated_per_s = 400;
  p = make_plan(nodes, {.count = 2}, 2000);
  EXPECT_NEAR(p.shares[2], 0.2, 1e-12);
  EXPECT_NEAR(p.refused, 0.3, 1e-12);
  EXPECT_EQ(p.pools.failover.back().slot, kNoNode);
}

TEST(Differs, ByRelativeMoveOrFromNothing) {
  const std::vector<PlanNode> nodes = {plain(0, 1000), plain(1, 1000)};
  const Plan p = make_plan(nodes, {}, 0);
  const auto with = [&](double base) {
    const std::vector<PlanNode> n = {plain(0, 1000), plain(1, base)};
    return make_plan(n, {}, 0);
  };
  EXPECT_FALSE(differs(p, p, 0));
  EXPECT_FALSE(differs(p, with(1010), 0.02));
  EXPECT_TRUE(differs(p, with(1010), 0.001));
  EXPECT_TRUE(differs(p, with(1100), 0.02));
  EXPECT_TRUE(differs(with(0), p, 0.5));
}

// Whatever is put in: all shares and what is refused add up to 1, and who takes nothing has none.
TEST(MakePlan, AnyInputAddsUp) {
  test::check_property(1000, [](const std::vector<uint32_t>& input, uint16_t demand, uint8_t how) {
    std::vector<PlanNode> nodes;
    for (size_t i = 0; i < input.size(); ++i) {
      const uint32_t v = input[i] * 2654435761u;
      PlanNode n{.slot = static_cast<NodeSlot>(i)};
      n.region = v % 4;  // region 3 is not listed
      n.base = (v >> 2) % 5 * 50;
      n.health = (v >> 5) % 8 / 7.0;
      n.ramp = 0.1 + (v >> 8) % 10 * 0.1;
      n.score = (v >> 12) % 1000;
      n.rated_per_s = (v >> 22) % 3 == 0 ? (v >> 24) * 10.0 : 0;
      n.takes = (v >> 16) % 4 != 0;
      nodes.push_back(n);
    }
    PlanRegions regions{.count = 3, .active = how % 3u, .returning = (how & 4) != 0};
    regions.degraded = {(how & 8) != 0, (how & 16) != 0, (how & 32) != 0};
    const Plan p = make_plan(nodes, regions, demand);
    double sum = p.refused;
    for (size_t i = 0; i < nodes.size(); ++i) {
      RC_ASSERT(std::isfinite(p.shares[i]) && p.shares[i] >= 0);
      if (!nodes[i].takes || nodes[i].base == 0 || nodes[i].region == 3)
        RC_ASSERT(p.shares[i] == 0);
      if (nodes[i].rated_per_s > 0)
        RC_ASSERT(p.shares[i] * demand <= nodes[i].rated_per_s * nodes[i].ramp + 1e-6);
      sum += p.shares[i];
    }
    RC_ASSERT(std::abs(sum - 1) < 1e-9);
    for (const auto* pool : {&p.pools.primary, &p.pools.failover}) {
      double pool_sum = 0;
      for (const auto& s : *pool) pool_sum += s.weight;
      RC_ASSERT(pool->empty() || std::abs(pool_sum - 1) < 1e-9);
    }
  });
}

}  // namespace
}  // namespace lf::health
