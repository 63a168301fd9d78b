// SPDX-License-Identifier: Apache-2.0
#include "control/probe/prober.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "dataplane/lcp/codec.hpp"

namespace lf::probe {
namespace {

constexpr MonoNs kMs = 1'000'000;

class ProberTest : public ::testing::Test {
 protected:
  void SetUp() override {
    config_.services.resize(1);
    config_.services[0].name = "orbit";
    for (uint64_t i = 0; i < 20; ++i) {
      config::Node n;
      n.name = "n" + std::to_string(i);
      n.address = {0, i + 1};
      config_.services[0].nodes.push_back(n);
    }
    auto p = Prober::create(
        [this](NodeSlot slot, std::span<const uint8_t> datagram) {
          if (!can_send_) return false;
          lcp::Message m;
          EXPECT_EQ(lcp::decode(datagram, m), Verdict::none);
          sent_[slot].push_back(m.fields.command_id);
          return true;
        },
        [this](NodeSlot slot, bool ok, double ms) {
          results_.push_back({slot, ok, ms});
        },
        1);
    ASSERT_TRUE(p);
    prober_ = std::move(*p);
  }
  void configure() {
    ASSERT_TRUE(slots_.sync(config_));
    prober_->configure(config_, slots_, now_);
  }
  void run(int ms, int step = 5) {
    for (int t = 0; t < ms; t += step) {
      now_ += step * kMs;
      prober_->tick(now_, 0);
    }
  }

  struct Outcome {
    NodeSlot slot;
    bool ok;
    double ms;
  };
  config::Config config_;
  forward::Slots slots_;
  MonoNs now_ = 0;
  bool can_send_ = true;
  std::map<NodeSlot, std::vector<lcp::Id>> sent_;
  std::vector<Outcome> results_;
  std::unique_ptr<Prober> prober_;
};

TEST_F(ProberTest, EveryNodeOnceAnIntervalAtItsOwnPhase) {
  configure();
  size_t most_at_once = 0, before = 0;
  for (int i = 0; i < 200; ++i) {
    run(5);
    size_t all = 0;
    for (const auto& [slot, ids] : sent_) all += ids.size();
    most_at_once = std::max(most_at_once, all - before);
    before = all;
  }
  EXPECT_EQ(sent_.size(), 20u);
  for (const auto& [slot, ids] : sent_) EXPECT_EQ(ids.size(), 1u) << slot;
  EXPECT_LE(most_at_once, 4u);
  run(4000);
  for (const auto& [slot, ids] : sent_) EXPECT_EQ(ids.size(), 5u) << slot;
}

TEST_F(ProberTest, AnswersAndSilence) {
  configure();
  while (!sent_.contains(3)) run(5);
  now_ += 2 * kMs;
  results_.clear();
  EXPECT_TRUE(prober_->on_reply(3, sent_[3].back(), now_));
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0].slot, 3);
  EXPECT_TRUE(results_[0].ok);
  EXPECT_DOUBLE_EQ(results_[0].ms, 2);
  EXPECT_FALSE(prober_->on_reply(3, sent_[3].back(), now_));  // once

  while (sent_[3].size() < 2) run(5);
  results_.clear();
  run(510);
  EXPECT_EQ(std::ranges::count(results_, 3, &Outcome::slot), 1);
  EXPECT_FALSE(prober_->on_reply(3, sent_[3].back(), now_));  // too late
}

TEST_F(ProberTest, SilentNodesFailEachInterval) {
  configure();
  run(5600);
  std::map<NodeSlot, int> failures;
  for (const Outcome& r : results_) {
    EXPECT_FALSE(r.ok);
    ++failures[r.slot];
  }
  EXPECT_EQ(failures.size(), 20u);
  for (const auto& [slot, n] : failures) {
    EXPECT_GE(n, 5) << slot;
    EXPECT_LE(n, 6) << slot;
  }
}

TEST_F(ProberTest, OnlyTheProbedMachineMayAnswer) {
  config_.services[0].nodes[2].address = config_.services[0].nodes[1].address;
  configure();
  while (!sent_.contains(2)) run(5);
  EXPECT_FALSE(prober_->on_reply(7, sent_[2].back(), now_));
  EXPECT_FALSE(prober_->on_reply(kNoNode, sent_[2].back(), now_));
  EXPECT_TRUE(prober_->on_reply(1, sent_[2].back(), now_));  // the same address
  EXPECT_EQ(results_.back().slot, 2);
}

TEST_F(ProberTest, WhatCannotBeSentIsNoResultAndTriedSoon) {
  can_send_ = false;
  configure();
  run(2000);
  EXPECT_TRUE(results_.empty());
  can_send_ = true;
  run(25);
  EXPECT_EQ(sent_.size(), 20u);
}

TEST_F(ProberTest, ReloadKeepsThoseThatStay) {
  configure();
  run(1000);
  sent_.clear();
  results_.clear();
  config_.services[0].nodes[0].address.lo = 99;  // moved
  config_.services[0].nodes.erase(config_.services[0].nodes.begin() + 1);
  configure();
  run(600);
  for (const Outcome& r : results_) {
    EXPECT_NE(r.slot, 1);
  }
  run(1400);
  EXPECT_FALSE(sent_.contains(1));
  for (NodeSlot slot = 2; slot < 20; ++slot) EXPECT_EQ(sent_[slot].size(), 2u) << slot;
}

TEST_F(ProberTest, NoneMeansNone) {
  config_.services[0].probe.kind = config::ProbeKind::none;
  configure();
  run(3000);
  EXPECT_TRUE(sent_.empty());
  EXPECT_TRUE(results_.empty());
}

TEST_F(ProberTest, PausedControlThreadDoesNotCatchUp) {
  configure();
  run(1000);
  for (const auto& [slot, ids] : sent_) prober_->on_reply(slot, ids.back(), now_);
  sent_.clear();
  run(60'000, 60'000);
  run(20);
  for (const auto& [slot, ids] : sent_) EXPECT_EQ(ids.size(), 1u);
}

}  // namespace
}  // namespace lf::probe
