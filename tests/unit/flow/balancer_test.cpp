// SPDX-License-Identifier: Apache-2.0
#include "control/flow/balancer.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/world.hpp"

namespace lf::flow {
namespace {

struct World : testing::Test {
  World() {
    config.services.resize(1);
    config::Service web =
        test::service("web", "10.0.0.100", {"10.0.0.14", "10.0.0.15", "10.0.0.16"}, 20);
    web.kind = config::ServiceKind::flow;
    web.mode = forward::Mode::nat;
    web.port = 80;
    for (config::Node& n : web.nodes) n.port = 80;
    config.services.push_back(web);
    EXPECT_TRUE(slots.sync(config));
    hops.resize(slots.nodes.used());
    for (forward::NextHop& hop : hops) hop.resolved = true;
    plans = forward::fixed_plans(config, slots);
  }

  std::shared_ptr<const Table> build() {
    forward = *forward::build_table({.config = config,
                                     .slots = slots,
                                     .next_hops = hops,
                                     .pool_plans = plans,
                                     .tsc_hz = 1'000'000'000});
    return balancer.build({.config = config,
                           .slots = slots,
                           .pool_plans = plans,
                           .forward = *forward,
                           .alive = alive,
                           .tsc_hz = 1'000'000'000});
  }
  std::vector<forward::Share>& shares() { return plans[slots.service("web")].primary; }
  NodeSlot slot(int n) { return slots.node("web", "web-" + std::to_string(n)); }
  uint32_t places(const Table& t, int node) {
    const Service& s = t.services[slots.service("web")];
    const auto first = t.places.begin() + s.first;
    return static_cast<uint32_t>(std::count(first, first + s.count, slot(node)));
  }

  config::Config config = test::world();
  forward::Slots slots;
  std::vector<forward::NextHop> hops;
  std::vector<forward::PoolPlan> plans;
  std::shared_ptr<const forward::Table> forward;
  std::vector<uint8_t> alive;
  Balancer balancer;
};

TEST_F(World, NoFlowServicesNoTable) {
  config.services.pop_back();
  EXPECT_EQ(build(), nullptr);
}

TEST_F(World, EveryNodeGetsItsPart) {
  const auto t = build();
  ASSERT_TRUE(t);
  EXPECT_EQ(t->services[slots.service("web")].count, 65537u);
  for (int n = 1; n <= 3; ++n) {
    EXPECT_NEAR(places(*t, n), 65537 / 3, 2) << n;
    EXPECT_NE(t->keeps[slot(n)], 0u);
  }
  EXPECT_EQ(t->nat_first, 16384);
}

// Health moves all the time: within the dead-band no place changes, and no new table is published.
TEST_F(World, NoiseMovesNothing) {
  const auto before = build();
  for (int i = 0; i < 50; ++i) {
    for (size_t n = 0; n < 3; ++n)
      shares()[n].weight = 100 * (1 - 0.04 * static_cast<double>((i * 7 + n * 5) % 3) / 2);
    EXPECT_EQ(build(), before) << i;
  }
  EXPECT_EQ(balancer.tables_made(), 1u);
}

TEST_F(World, ARealChangeMovesFlows) {
  const auto before = build();
  shares()[0].weight = 50;
  const auto after = build();
  EXPECT_NE(after, before);
  EXPECT_NEAR(places(*after, 1), 65537 / 5, 3);
  EXPECT_EQ(balancer.tables_made(), 2u);
}

TEST_F(World, ADrainedNodeGetsNothingNewAndKeepsWhatItHas) {
  build();
  shares().erase(shares().begin());
  const auto t = build();
  EXPECT_EQ(places(*t, 1), 0u);
  EXPECT_NE(t->keeps[slot(1)], 0u);
}

TEST_F(World, ADeadNodeKeepsNothing) {
  alive.assign(slots.nodes.used(), 1);
  alive[slot(2)] = 0;
  const auto t = build();
  EXPECT_EQ(t->keeps[slot(2)], 0u);
  EXPECT_NE(t->keeps[slot(3)], 0u);
}

// The others' weights are in relation to what is configured, so they stay when one goes.
TEST_F(World, ANodeThatGoesChangesNobodysWeight) {
  const std::vector<double> three = {1.0 / 3, 1.0 / 3, 1.0 / 3}, two = {0, 0.5, 0.5};
  const auto a = weights_of(config.services[1], three), b = weights_of(config.services[1], two);
  EXPECT_EQ(b[0], 0u);
  EXPECT_EQ(a[1], b[1]);
  EXPECT_EQ(a[2], b[2]);
}

TEST_F(World, AReusedSlotHasAnotherEpoch) {
  const uint32_t before = build()->keeps[slot(1)];
  config::Config without = config;
  without.services[1].nodes.erase(without.services[1].nodes.begin());
  ASSERT_TRUE(slots.sync(without));
  ASSERT_TRUE(slots.sync(config));
  plans = forward::fixed_plans(config, slots);
  hops.resize(slots.nodes.used());
  for (forward::NextHop& hop : hops) hop.resolved = true;
  EXPECT_NE(build()->keeps[slot(1)], before);
}

TEST_F(World, UnresolvedNodesGetNothing) {
  hops[slot(1)].resolved = false;
  const auto t = build();
  EXPECT_EQ(places(*t, 1), 0u);
  EXPECT_EQ(t->keeps[slot(1)], 0u);
}

TEST_F(World, SpillGoesToTheFailoverPool) {
  auto& plan = plans[slots.service("web")];
  plan.primary = {{slot(1), 0.5}, {kNoNode, 0.5}};
  plan.failover = {{slot(2), 0.5}, {slot(3), 0.5}};
  const auto t = build();
  EXPECT_NEAR(places(*t, 1), 65537 / 2, 3);
  EXPECT_NEAR(places(*t, 2), 65537 / 4, 3);
}

}  // namespace
}  // namespace lf::flow
