// SPDX-License-Identifier: Apache-2.0
// REPORTs: decoding, who may speak for whom, and what they change.
#include "control/health/report.hpp"

#include <gtest/gtest.h>

#include "tests/unit/health/mesh.hpp"

namespace lf::health {
namespace {

using test::Mesh;

TEST(Report, Decodes) {
  lcp::ReportBody wire{};
  wire.node_id = lcp::be32(7);
  wire.latency_us = lcp::be32(1500);
  wire.queue_depth = lcp::be32(12);
  wire.saturation = lcp::be16(2500);
  wire.flags = lcp::kReportDegraded | lcp::kReportDraining;
  wire.successes = lcp::be32(100);
  wire.failures = lcp::be32(3);
  const Report r = decode(wire);
  EXPECT_EQ(r.node_id, 7u);
  EXPECT_DOUBLE_EQ(r.latency_ms, 1.5);
  EXPECT_EQ(r.queue_depth, 12u);
  EXPECT_DOUBLE_EQ(r.saturation, 0.25);
  EXPECT_TRUE(r.degraded && r.draining);
  EXPECT_EQ(r.successes, 100u);
  EXPECT_EQ(r.failures, 3u);
  wire.saturation = 0xffff;
  EXPECT_DOUBLE_EQ(decode(wire).saturation, 1);
}

// Node "a" has id 1 and address 1, "b" 2, "c" 3; all belong to organisation 1.
ReportVerdict send(Mesh& m, const std::string& from, std::optional<uint32_t> org, Report r) {
  return m.engine.report(m.slot(from), org, r, m.now.mono);
}

TEST(Report, ANodeSpeaksForItselfOnly) {
  Mesh m;
  m.start();
  EXPECT_EQ(send(m, "a", 1, {.node_id = 1}), ReportVerdict::taken);
  EXPECT_EQ(send(m, "a", 1, {.node_id = 2}), ReportVerdict::wrong_node);
  EXPECT_EQ(send(m, "a", 1, {.node_id = 99}), ReportVerdict::wrong_node);
  EXPECT_EQ(send(m, "a", 2, {.node_id = 1}), ReportVerdict::wrong_owner);
  EXPECT_EQ(send(m, "a", std::nullopt, {.node_id = 1}), ReportVerdict::not_authenticated);
  EXPECT_EQ(m.engine.report(kNoNode, 1, {.node_id = 1}, 0), ReportVerdict::unknown_node);
  EXPECT_TRUE(m.node("a").report);
  EXPECT_FALSE(m.node("b").report);
}

TEST(Report, OneMachineMayServeTwoServices) {
  Mesh m;
  m.service().nodes[1].address = m.service().nodes[0].address;
  m.start();
  EXPECT_EQ(send(m, "a", 1, {.node_id = 2}), ReportVerdict::taken);
  EXPECT_TRUE(m.node("b").report);
}

TEST(Report, OwnerIsTheConfiguredOrganisation) {
  Mesh m;
  config::Organisation other;
  other.name = "globex";
  other.id = 2;
  m.config.organisations.push_back(other);
  m.service().nodes[0].owner = "globex";
  m.start();
  EXPECT_EQ(send(m, "a", 1, {.node_id = 1}), ReportVerdict::wrong_owner);
  EXPECT_EQ(send(m, "a", 2, {.node_id = 1}), ReportVerdict::taken);
}

TEST(Report, DegradedNodeFallsBehind) {
  Mesh m;
  m.start();
  m.run_well(8);
  for (int i = 0; i < 12; ++i) {
    send(m, "a", 1, {.node_id = 1, .degraded = true});
    for (const auto* n : {"a", "b", "c"}) m.answer(n, 10);
    m.tick();
  }
  EXPECT_NEAR(m.health("a"), 0.5, 0.01);  // samples are halved
  EXPECT_GT(m.node("a").score, 500);
  EXPECT_LT(m.share("a"), 0.01);
  EXPECT_EQ(m.state("a"), NodeState::active);
}

TEST(Report, QueueAndSaturationCount) {
  Mesh m;
  m.start();
  send(m, "a", 1, {.node_id = 1, .latency_ms = 2, .queue_depth = 5, .saturation = 0.5});
  m.tick();
  EXPECT_DOUBLE_EQ(m.node("a").score, 2 + 15 + 60);
}

TEST(Report, StaleOnesAreForgotten) {
  Mesh m;
  m.start();
  send(m, "a", 1, {.node_id = 1, .queue_depth = 50, .degraded = true});
  m.tick();
  EXPECT_GT(m.node("a").score, 600);
  for (int i = 0; i < 21; ++i) m.tick();
  EXPECT_DOUBLE_EQ(m.node("a").score, 0);
}

TEST(Report, NodeDrainsItselfUntilItSaysOtherwise) {
  Mesh m;
  m.start();
  send(m, "a", 1, {.node_id = 1, .draining = true});
  EXPECT_TRUE(m.tick(0));
  EXPECT_EQ(m.state("a"), NodeState::draining);
  EXPECT_EQ(m.share("a"), 0);
  for (int i = 0; i < 100; ++i) m.tick();  // it is silent while it restarts
  EXPECT_EQ(m.state("a"), NodeState::draining);
  send(m, "a", 1, {.node_id = 1});
  m.tick(0);
  EXPECT_EQ(m.state("a"), NodeState::warming);
  EXPECT_EQ(m.causes("a"),
            (std::vector{Cause::started, Cause::drained_self, Cause::undrained_self}));
  send(m, "a", 1, {.node_id = 1, .draining = true});
  m.tick(0);
  EXPECT_TRUE(m.engine.undrain(m.slot("a"), m.now));  // an operator may overrule it
  m.tick(0);
  EXPECT_EQ(m.state("a"), NodeState::warming);
}

TEST(Report, IsTheOutcomeWhereAnswersDoNotPassUs) {
  Mesh m;
  m.service().mode = forward::Mode::dsr_l2;
  m.start();
  m.answer("a", 0, 0, 100);  // no reply is ever seen
  send(m, "a", 1, {.node_id = 1, .successes = 30, .failures = 10});
  m.tick();
  EXPECT_DOUBLE_EQ(m.health("a"), 0.75);
  m.tick();
  EXPECT_DOUBLE_EQ(m.health("a"), 0.75);  // counted once
}

}  // namespace
}  // namespace lf::health
