// SPDX-License-Identifier: Apache-2.0
// What must hold whatever happens: weights for any sequence of events, the warm-up curve as
// packets see it, failover when all are out, absolute caps in a closed loop with the demand.
#include <gtest/gtest.h>

#include <cmath>

#include "dataplane/choose/choose.hpp"
#include "tests/support/property.hpp"
#include "tests/unit/health/mesh.hpp"

namespace lf::health {
namespace {

using forward::BreakerFlag;
using test::Mesh;

void check_weights(const Mesh& m) {
  const ServiceRecord& s = *m.engine.services()[0];
  double sum = s.plan.refused;
  bool anybody = false;
  for (const auto& n : s.nodes) {
    RC_ASSERT(std::isfinite(n->share) && n->share >= 0 && n->share <= 1 + 1e-9);
    RC_ASSERT(std::isfinite(n->score) && std::isfinite(n->ramp));
    const bool out = n->phase.phase == Phase::ejected || n->draining() ||
                     n->breaker == BreakerFlag::open || n->base_weight == 0;
    if (out) RC_ASSERT(n->share == 0);
    anybody |= !out;
    sum += n->share;
    const auto health = n->window.health();
    if (health) RC_ASSERT(*health > -1e-6 && *health < 1 + 1e-6);
    if (health && *health < 0.3) RC_ASSERT(n->phase.phase == Phase::ejected);
  }
  RC_ASSERT(std::abs(sum - 1) < 1e-9);
  RC_ASSERT(s.plan.refused == (anybody ? 0 : 1));
}

// Events are numbers: what happens, to whom, how much.
TEST(Rules, AnySequenceOfOutcomesLeavesSoundWeights) {
  test::check_property(300, [](const std::vector<uint32_t>& events) {
    Mesh m({"a", "b", "c", "d"});
    m.service().failover = {"far"};
    m.service().nodes[3].region = "far";
    m.service().health.hysteresis = 0;
    m.start();
    for (uint32_t e : events) {
      e *= 2654435761u;
      const std::string name(1, static_cast<char>('a' + (e >> 28) % 4));
      const NodeSlot slot = m.slot(name);
      const uint32_t amount = (e >> 8) % 100;
      switch ((e >> 20) % 12) {
        case 0:
          m.answer(name, amount);
          break;
        case 1:
          m.answer(name, amount / 2, amount);
          break;
        case 2:
          m.answer(name, 0, 0, amount);
          break;
        case 3:
          m.probe(name, amount % 2 == 0);
          break;
        case 4:
          m.set_breaker(name, BreakerFlag::open);
          break;
        case 5:
          m.set_breaker(name, BreakerFlag::half_open);
          break;
        case 6:
          m.set_breaker(name, BreakerFlag::closed);
          break;
        case 7:
          m.engine.drain(slot, m.now);
          break;
        case 8:
          m.engine.undrain(slot, m.now);
          break;
        case 9:
          m.engine.set_weight(slot, amount % 3, m.now);
          break;
        case 10:
          m.engine.report(slot, 1,
                          {.node_id = m.node(name).settings.id,
                           .queue_depth = amount,
                           .degraded = amount % 3 == 0,
                           .draining = amount % 5 == 0},
                          m.now.mono);
          break;
        case 11:
          m.now.unix_us -= 1'000'000'000;
          break;
      }
      m.tick(amount % 7 == 0 ? 100'000 : 250);
      check_weights(m);
    }
  });
}

// A node back from maintenance: its share of the service's commands, as the choose stage deals
// them out from the tables that were published, against the formula, at every second of the ramp.
TEST(Rules, WarmUpCurveWithinTwoPerCentOfTheServicesTraffic) {
  Mesh m;
  m.service().health.warmup_s = 60;
  m.start();
  m.run_well(8);
  m.engine.drain(m.slot("a"), m.now);
  m.run_well(8);
  m.engine.undrain(m.slot("a"), m.now);
  m.tick(0);

  auto state = std::make_unique<choose::State>();
  auto stats = std::make_unique<NodeStats[]>(kNodesMax);
  const NodeStats* workers[] = {stats.get()};
  choose::init(*state, workers, 1, 0, 1, 1'000'000'000);
  auto burst = std::make_unique<Burst>();
  std::vector<forward::NextHop> hops(m.slots.nodes.used());
  for (auto& h : hops) h.resolved = true;
  const auto share_of_packets = [&] {
    const auto table =
        *forward::build_table({m.config, m.slots, hops, m.engine.plans(), 1'000'000'000});
    int hits = 0;
    for (int k = 0; k < 1000; ++k) {
      Selection all;
      for (uint32_t i = 0; i < 64; ++i) {
        burst->meta[i] = {};
        burst->meta[i].service = 0;
        all.add(i);
      }
      choose::run(*table, *m.live, *state, *burst, all, 1);
      for (uint32_t i = 0; i < 64; ++i) hits += burst->meta[i].node == m.slot("a");
    }
    return hits / 64'000.0;
  };
  for (int second = 0; second <= 62; ++second) {
    const double r = second >= 60 ? 1.0 : 0.1 * std::pow(10.0, second / 60.0);
    EXPECT_NEAR(share_of_packets(), r / (2 + r), 0.02) << second;
    EXPECT_NEAR(m.share("a"), r / (2 + r), 0.01) << second;
    m.run_well(4);
  }
  EXPECT_EQ(m.state("a"), NodeState::active);
}

TEST(Rules, RampStandsStillWhileHealthIsLow) {
  Mesh m;
  m.service().health.warmup_s = 60;
  m.start();
  m.engine.drain(m.slot("a"), m.now);
  m.tick();
  m.engine.undrain(m.slot("a"), m.now);
  m.tick(0);
  m.run_well(40);
  const double before = m.node("a").ramp;
  for (int i = 0; i < 100; ++i) {
    m.answer("a", 6, 4);  // health goes to 0.6
    m.tick();
  }
  EXPECT_NEAR(m.node("a").ramp, before, 0.01);
  m.run_well(40);
  EXPECT_GT(m.node("a").ramp, before * 1.3);
}

// Nodes e1..e4 in the primary region, w1 and w2 in the failover region.
Mesh two_regions() {
  Mesh m(std::vector<std::string>{});
  m.service().region = "east";
  m.service().failover = {"west"};
  m.service().health.warmup_s = 60;
  for (const auto* n : {"e1", "e2", "e3", "e4"}) m.add(n, "east");
  for (const auto* n : {"w1", "w2"}) m.add(n, "west");
  m.start();
  m.run_well(8);
  return m;
}

TEST(Rules, AllOutGoesToTheFailoverRegionThenNowhere) {
  Mesh m = two_regions();
  EXPECT_DOUBLE_EQ(m.share("e1"), 0.25);
  EXPECT_EQ(m.share("w1"), 0);
  for (const auto* n : {"e1", "e2", "e3", "e4"}) m.kill(n);
  EXPECT_DOUBLE_EQ(m.share("w1"), 0.5);
  EXPECT_EQ(m.refused(), 0);
  m.kill("w1");
  EXPECT_DOUBLE_EQ(m.share("w2"), 1);
  m.kill("w2");
  EXPECT_EQ(m.refused(), 1);
  for (const auto& plan : m.engine.plans()) EXPECT_TRUE(plan.primary.empty());
}

TEST(Rules, RegionDiesWithinASecond) {
  Mesh m = two_regions();
  for (int i = 0; i < 4; ++i) {
    for (const auto* n : {"e1", "e2", "e3", "e4"}) m.answer(n, 0, 0, 25);
    m.tick();
  }
  EXPECT_DOUBLE_EQ(m.share("w1") + m.share("w2"), 1);
}

TEST(Rules, DegradedRegionHandsOverWholeAndReturnsThroughWarmUp) {
  Mesh m = two_regions();
  m.kill("e1");
  m.kill("e2");
  EXPECT_GT(m.share("e3"), 0.4);  // half is left: not below the limit of a half
  m.kill("e3");
  EXPECT_EQ(m.share("e4"), 0);
  EXPECT_DOUBLE_EQ(m.share("w1"), 0.5);

  // The region comes back: at first what one warm and three cold nodes are good for.
  double east = 0, before = 0;
  for (int i = 0; i < 4 * 70; ++i) {
    for (const auto* n : {"e1", "e2", "e3"}) m.answer(n, 20);
    m.run_well(1);
    east = m.share("e1") + m.share("e2") + m.share("e3") + m.share("e4");
    EXPECT_GE(east, before - 0.02);       // it only grows,
    EXPECT_LT(east - before, 0.45) << i;  // and not in one step
    before = east;
  }
  EXPECT_DOUBLE_EQ(east, 1);
}

TEST(Rules, RatedNodesThatWarmUpAreNotOverrunEvenWhenAllAreNew) {
  Mesh m;
  m.service().health.warmup_s = 60;
  m.service().health.warm_on_start = true;
  m.service().health.hysteresis = 0;
  for (auto& n : m.service().nodes) n.rated_per_s = 1000;
  m.start();
  const double demand = 1500;  // a second, for 3 nodes of 1000 each: fine once they are warm
  for (int second = 0; second < 70; ++second) {
    for (int k = 0; k < 4; ++k) {
      for (const auto* n : {"a", "b", "c"}) {
        const double rate = m.share(n) * demand;
        if (second > 0) {
          EXPECT_LE(rate, m.node(n).ramp * 1000 * 1.06) << second;
        }
        m.answer(n, static_cast<uint64_t>(rate / 4 + 0.5));
      }
      m.tick();
    }
    if (second == 5) {
      EXPECT_NEAR(m.refused(), 1 - 3 * 0.1 * std::pow(10, 6 / 60.0) * 1000 / demand, 0.02);
    }
  }
  EXPECT_EQ(m.refused(), 0);
  EXPECT_NEAR(m.share("a"), 1.0 / 3, 1e-6);
}

}  // namespace
}  // namespace lf::health
