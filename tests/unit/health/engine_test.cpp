// SPDX-License-Identifier: Apache-2.0
#include "control/health/engine.hpp"

#include <gtest/gtest.h>

#include "tests/unit/health/mesh.hpp"

namespace lf::health {
namespace {

using forward::BreakerFlag;
using test::Mesh;

TEST(Engine, StartsWithTheConfiguredWeights) {
  Mesh m;
  m.service().nodes[0].weight = 200;
  m.configure();
  EXPECT_TRUE(m.tick(0));  // the first plan is always new
  EXPECT_DOUBLE_EQ(m.share("a"), 0.5);
  EXPECT_DOUBLE_EQ(m.share("b"), 0.25);
  EXPECT_EQ(m.state("a"), NodeState::active);
  EXPECT_FALSE(m.tick());  // nothing has happened
  EXPECT_EQ(m.engine.plans()[0].primary.size(), 3u);
}

TEST(Engine, WarmOnStartRampsAll) {
  Mesh m;
  m.service().health.warm_on_start = true;
  m.start();
  EXPECT_EQ(m.state("a"), NodeState::warming);
  EXPECT_DOUBLE_EQ(m.node("a").ramp, 0.1);
  EXPECT_NEAR(m.share("a"), 1.0 / 3, 1e-12);
}

TEST(Engine, DeadNodeIsOutAfterFourSamples) {
  Mesh m;
  m.start();
  m.run_well(40);
  for (int i = 0; i < 3; ++i) {
    m.answer("a", 0, 0, 50);
    m.tick();
    EXPECT_GT(m.share("a"), 0);
  }
  m.answer("a", 0, 0, 50);
  EXPECT_TRUE(m.tick());
  EXPECT_LT(m.health("a"), 0.3);
  EXPECT_EQ(m.state("a"), NodeState::ejected);
  EXPECT_EQ(m.share("a"), 0);
  EXPECT_DOUBLE_EQ(m.share("b"), 0.5);
  EXPECT_EQ(m.causes("a"), (std::vector{Cause::started, Cause::health_low}));
  EXPECT_LT(*m.node("a").history.back().health, 0.3);
}

TEST(Engine, ProbesBringItBackThroughWarmUp) {
  Mesh m;
  m.service().health.readmit_jitter = 0;
  m.start();
  m.run_well(4);
  m.kill("a");
  m.probe("a", true);
  m.tick();
  m.probe("a", true);
  m.tick();
  m.probe("a", true);
  m.tick();
  EXPECT_GE(m.health("a"), 0.5);
  EXPECT_EQ(m.state("a"), NodeState::warming);
  const double weight = 0.1 * m.health("a") / m.node("a").score;
  EXPECT_NEAR(m.share("a"), weight / (2 + weight), 0.02 * m.share("a"));
  EXPECT_EQ(m.causes("a").back(), Cause::health_back);
}

TEST(Engine, StaleWithoutTrafficAndProbes) {
  Mesh m;
  m.start();
  EXPECT_TRUE(m.node("a").stale);
  m.answer("a", 1, 1);
  m.tick();
  EXPECT_FALSE(m.node("a").stale);
  for (int i = 0; i < 400; ++i) m.tick();
  EXPECT_TRUE(m.node("a").stale);
  EXPECT_DOUBLE_EQ(m.health("a"), 0.5);  // stays
}

TEST(Engine, TooFewCommandsAddUpOverIntervals) {
  Mesh m;
  m.service().health.min_samples = 10;
  m.start();
  for (int i = 0; i < 9; ++i) {
    m.answer("a", 0, 1);
    m.tick();
    EXPECT_EQ(m.health("a"), -1);
  }
  m.answer("a", 0, 1);
  m.tick();
  EXPECT_EQ(m.health("a"), 0);
}

TEST(Engine, DrainTakesTheWeightAndUndrainWarmsUp) {
  Mesh m;
  m.start();
  m.run_well(4);
  EXPECT_TRUE(m.engine.drain(m.slot("a"), m.now));
  EXPECT_FALSE(m.engine.drain(m.slot("a"), m.now));
  EXPECT_TRUE(m.tick(0));  // at once, not at the next interval
  EXPECT_EQ(m.share("a"), 0);
  EXPECT_EQ(m.state("a"), NodeState::draining);
  for (int i = 0; i < 100; ++i) m.tick();
  EXPECT_TRUE(m.engine.undrain(m.slot("a"), m.now));
  EXPECT_FALSE(m.engine.undrain(m.slot("a"), m.now));
  EXPECT_TRUE(m.tick(0));
  EXPECT_EQ(m.state("a"), NodeState::warming);
  EXPECT_NEAR(m.share("a"), 0.1 / 2.1, 1e-9);
  const auto& h = m.node("a").history;
  EXPECT_EQ(m.causes("a"), (std::vector{Cause::started, Cause::drained, Cause::undrained}));
  EXPECT_EQ(h.back().from, NodeState::draining);
  EXPECT_EQ(h.back().to, NodeState::warming);
}

TEST(Engine, SetWeightHoldsUntilTheFileSaysOtherwise) {
  Mesh m;
  m.start();
  EXPECT_TRUE(m.engine.set_weight(m.slot("a"), 300, m.now));
  EXPECT_FALSE(m.engine.set_weight(m.slot("a"), 300, m.now));
  m.tick(0);
  EXPECT_DOUBLE_EQ(m.share("a"), 0.6);
  m.configure();  // reloaded, unchanged
  m.tick(0);
  EXPECT_DOUBLE_EQ(m.share("a"), 0.6);
  m.service().nodes[0].weight = 50;
  m.configure();
  m.tick(0);
  EXPECT_DOUBLE_EQ(m.share("a"), 0.2);
  EXPECT_TRUE(m.engine.set_weight(m.slot("a"), 0, m.now));
  m.tick(0);
  EXPECT_EQ(m.share("a"), 0);
}

TEST(Engine, OpenBreakerIsNoWeightHalfOpenALittleClosedWarmUp) {
  Mesh m;
  m.start();
  m.run_well(4);
  m.set_breaker("a", BreakerFlag::open);
  EXPECT_TRUE(m.tick(1));
  EXPECT_EQ(m.share("a"), 0);
  EXPECT_EQ(m.state("a"), NodeState::down);
  m.set_breaker("a", BreakerFlag::half_open);
  EXPECT_TRUE(m.tick(1));
  EXPECT_NEAR(m.share("a"), 0.1 / 2.1, 1e-9);
  EXPECT_EQ(m.state("a"), NodeState::warming);
  m.run_well(400);
  EXPECT_DOUBLE_EQ(m.node("a").ramp, 0.1);  // its clock stands still
  m.set_breaker("a", BreakerFlag::closed);
  m.tick(1);
  EXPECT_EQ(m.state("a"), NodeState::warming);
  m.run_well(4 * 301);
  EXPECT_EQ(m.state("a"), NodeState::active);
  EXPECT_NEAR(m.share("a"), 1.0 / 3, 0.01);
  EXPECT_EQ(m.causes("a"),
            (std::vector{Cause::started, Cause::breaker_opened, Cause::breaker_half_open,
                         Cause::breaker_closed, Cause::warm_up_done}));
}

TEST(Engine, SmallMovesMakeNoNewTable) {
  Mesh m;
  m.start();
  m.run_well(10);
  for (int i = 0; i < 40; ++i) {
    for (const auto* n : {"a", "b", "c"}) m.answer(n, 100, 0, 0, i % 2 == 0 ? 10 : 10.1);
    m.tick();
  }
  const uint64_t settled = m.engine.services()[0]->plans_made;
  for (int i = 0; i < 40; ++i) {
    m.answer("a", 100, 0, 0, i % 2 == 0 ? 10 : 10.1);
    m.answer("b", 100, 0, 0, i % 2 == 0 ? 10.1 : 10);
    m.answer("c", 100, 0, 0, 10);
    m.tick();
  }
  EXPECT_EQ(m.engine.services()[0]->plans_made, settled);
}

TEST(Engine, SlowNodeGetsLessByItsScore) {
  Mesh m;
  m.start();
  for (int i = 0; i < 12; ++i) {
    m.answer("a", 100, 0, 0, 50);
    m.answer("b", 100, 0, 0, 0.2);
    m.answer("c", 100, 0, 0, 0.2);
    m.tick();
  }
  EXPECT_NEAR(m.node("a").score, 50, 0.5);
  EXPECT_NEAR(m.share("a"), 0.02 / 2.02, 0.002);
}

TEST(Engine, QuickFailuresDoNotAttractTraffic) {
  Mesh m;
  m.start();
  for (int i = 0; i < 3; ++i) {
    m.answer("a", 0, 100);
    m.answer("b", 100, 0, 0, 20);
    m.answer("c", 100, 0, 0, 20);
    m.tick();
    EXPECT_LT(m.share("a"), 1.0 / 3);
  }
}

TEST(Engine, NewNodeWarmsUpAndAGoneOneIsForgotten) {
  Mesh m;
  m.start();
  m.run_well(4);
  m.service().nodes.erase(m.service().nodes.begin());
  m.add("d").id = 9;
  m.configure();
  m.tick(0);
  EXPECT_EQ(m.state("d"), NodeState::warming);
  EXPECT_EQ(m.causes("d"), std::vector{Cause::joined});
  EXPECT_EQ(m.engine.node(m.slots.node("orbit", "a")), nullptr);
  EXPECT_EQ(m.health("b"), 1);  // kept over the reload
  EXPECT_NEAR(m.share("b"), 1 / 2.1, 1e-9);
}

TEST(Engine, MovedNodeStartsClean) {
  Mesh m;
  m.start();
  m.kill("a");
  m.service().nodes[0].address.lo = 99;
  m.configure();
  m.tick(0);
  EXPECT_EQ(m.state("a"), NodeState::warming);
  EXPECT_EQ(m.health("a"), -1);
  EXPECT_EQ(m.causes("a"), std::vector{Cause::moved});
  EXPECT_EQ(m.node("a").totals().timeouts, 0u);  // its counts begin now
}

TEST(Engine, NewWindowSettingsKeepTheHealth) {
  Mesh m;
  m.start();
  m.answer("a", 6, 4);
  m.tick();
  m.service().health.window_s = 10;
  m.configure();
  m.tick(0);
  EXPECT_NEAR(m.health("a"), 0.6, 1e-6);
}

TEST(Engine, FindsNodesByNameIdAndService) {
  Mesh m;
  m.config.services.push_back(m.config.services[0]);
  m.config.services[1].name = "audit";
  m.config.services[1].nodes.resize(1);
  m.config.services[1].nodes[0].id = 77;
  m.start();
  EXPECT_EQ(*m.engine.find("", "b"), m.slot("b"));
  EXPECT_EQ(*m.engine.find("", "77"), m.slots.node("audit", "a"));
  EXPECT_EQ(*m.engine.find("audit", "a"), m.slots.node("audit", "a"));
  EXPECT_EQ(m.engine.find("", "a").error().code, ErrorCode::conflict);
  EXPECT_EQ(m.engine.find("", "zz").error().message, "no node zz");
  EXPECT_EQ(m.engine.find("audit", "b").error().message, "no node b in service audit");
}

TEST(Engine, WritesOffWhatNoCounterWillSettle) {
  Mesh m;
  m.service().timeout_ms = 100;
  m.start();
  m.counts.counts[m.slot("a")].sent += 50;
  m.tick();
  EXPECT_EQ(m.node("a").in_flight(), 50);
  for (int i = 0; i < 4; ++i) m.tick();
  EXPECT_EQ(m.node("a").in_flight(), 0);
  EXPECT_EQ(m.live->lost(m.slot("a")), 50);
  m.counts.counts[m.slot("a")].sent += 5;
  m.tick();
  EXPECT_EQ(m.node("a").in_flight(), 5);
}

TEST(Engine, HistoryIsBounded) {
  Mesh m;
  m.start();
  for (int i = 0; i < 200; ++i) m.engine.set_weight(m.slot("a"), i, m.now);
  EXPECT_EQ(m.node("a").history.size(), kHistoryMax);
  EXPECT_EQ(m.node("a").history.back().weight, 199);
}

TEST(Engine, UnresolvedIsShownAsDown) {
  Mesh m;
  m.start();
  m.engine.set_resolved(m.slot("a"), false, m.now);
  EXPECT_EQ(m.state("a"), NodeState::down);
  m.engine.set_resolved(m.slot("a"), true, m.now);
  EXPECT_EQ(m.state("a"), NodeState::active);  // no warm-up: it was not out
}

}  // namespace
}  // namespace lf::health
