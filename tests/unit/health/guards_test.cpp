// SPDX-License-Identifier: Apache-2.0
// What keeps the engine from doing harm: limits on ejection, panic, jitter, clocks, small services.
#include <gtest/gtest.h>

#include "control/health/engine.hpp"
#include "tests/unit/health/mesh.hpp"

namespace lf::health {
namespace {

using forward::BreakerFlag;
using test::Mesh;

TEST(Guards, LimitCountsTheCandidateAndTakesTheWorst) {
  Mesh m({"a", "b", "c", "d"});
  m.service().health.max_ejected = 0.5;
  m.start();
  m.run_well(4);
  for (int i = 0; i < 8; ++i) {
    m.answer("a", 1, 9);
    m.answer("b", 0, 0, 10);
    m.answer("c", 0, 10);
    m.answer("d", 10);
    m.tick();
  }
  EXPECT_EQ(m.state("b"), NodeState::ejected);
  EXPECT_EQ(m.state("c"), NodeState::ejected);
  EXPECT_NE(m.state("a"), NodeState::ejected);
  EXPECT_TRUE(m.node("a").phase.held_in);
  EXPECT_GT(m.share("a"), 0);
  EXPECT_EQ(m.causes("a").back(), Cause::limit_reached);
}

TEST(Guards, LimitOfTwoThirdsOfThreeIsTwo) {
  Mesh m;
  m.service().health.max_ejected = 0.67;
  m.start();
  for (int i = 0; i < 8; ++i) {
    for (const auto* n : {"a", "b", "c"}) m.answer(n, 0, 0, 10);
    m.tick();
  }
  int out = 0;
  for (const auto* n : {"a", "b", "c"}) out += m.state(n) == NodeState::ejected;
  EXPECT_EQ(out, 2);
}

TEST(Guards, OpenBreakersUseUpTheLimit) {
  Mesh m({"a", "b"});
  m.service().health.max_ejected = 0.5;
  m.start();
  m.set_breaker("b", BreakerFlag::open);
  m.kill("a");
  EXPECT_EQ(m.state("a"), NodeState::active);
  EXPECT_DOUBLE_EQ(m.share("a"), 1);
}

TEST(Guards, PanicUsesAllWhenTooManyAreOut) {
  Mesh m({"a", "b", "c", "d"});
  m.service().health.max_ejected = 0.5;
  m.service().health.panic = true;
  m.start();
  m.run_well(4);
  m.kill("a");
  m.kill("b");
  EXPECT_FALSE(m.engine.services()[0]->panic);
  EXPECT_EQ(m.share("a"), 0);
  m.kill("c");
  EXPECT_TRUE(m.engine.services()[0]->panic);
  for (const auto* n : {"a", "b", "c", "d"}) EXPECT_DOUBLE_EQ(m.share(n), 0.25);
}

TEST(Guards, AllOutIsRefusedNotSentToTheDead) {
  Mesh m;
  m.start();
  for (const auto* n : {"a", "b", "c"}) m.kill(n);
  EXPECT_EQ(m.refused(), 1);
  EXPECT_TRUE(m.engine.plans()[0].primary.empty());
  EXPECT_TRUE(m.engine.plans()[0].failover.empty());
}

TEST(Guards, SingleNodeAndTwoNodes) {
  Mesh one({"a"});
  one.start();
  EXPECT_DOUBLE_EQ(one.share("a"), 1);
  one.kill("a");
  EXPECT_EQ(one.refused(), 1);
  Mesh two({"a", "b"});
  two.start();
  two.kill("a");
  EXPECT_DOUBLE_EQ(two.share("b"), 1);
}

TEST(Guards, ReadmissionIsSpreadOut) {
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i) names.push_back("n" + std::to_string(i));
  Mesh m(names);
  m.service().health.readmit_jitter = 1;  // up to 2 s
  m.start();
  for (int i = 0; i < 6; ++i) {
    for (const auto& n : names) m.answer(n, 0, 0, 5);
    m.tick();
  }
  std::map<int64_t, int> back;
  for (int i = 0; i < 300; ++i) {
    if (i % 25 == 0)
      for (const auto& n : names) m.probe(n, true);
    int warming = 0;
    for (const auto& n : names) warming += m.state(n) == NodeState::warming;
    back[warming] = i;
    m.tick(10);
  }
  EXPECT_EQ(back.rbegin()->first, 20);
  EXPECT_GT(back.size(), 5u);  // over eight intervals, not at once
}

TEST(Guards, WallClockStepsEjectNobody) {
  Mesh m;
  m.start();
  m.run_well(8);
  m.now.unix_us -= 3'600'000'000;
  m.run_well(4);
  m.now.unix_us += 7'200'000'000;
  m.run_well(4);
  for (const auto* n : {"a", "b", "c"}) EXPECT_EQ(m.state(n), NodeState::active);
}

TEST(Guards, LongPauseOfTheControlThreadIsOneSample) {
  Mesh m;
  m.start();
  m.run_well(8);
  m.answer("a", 0, 0, 1000);
  m.tick(10'000);
  EXPECT_NEAR(m.health("a"), 0.7, 1e-6);
  EXPECT_EQ(m.state("a"), NodeState::active);
}

TEST(Guards, BlindNodeComesBackToSee) {
  Mesh m;
  m.service().probe.kind = config::ProbeKind::none;
  m.start();
  m.run_well(4);
  m.kill("a");
  for (int i = 0; i < 119; ++i) m.tick();
  EXPECT_EQ(m.state("a"), NodeState::ejected);
  for (int i = 0; i < 2; ++i) m.tick();
  EXPECT_EQ(m.state("a"), NodeState::warming);
  EXPECT_GT(m.share("a"), 0);
  EXPECT_EQ(m.causes("a").back(), Cause::retried);
}

}  // namespace
}  // namespace lf::health
