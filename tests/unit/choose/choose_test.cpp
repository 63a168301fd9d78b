// SPDX-License-Identifier: Apache-2.0
#include "dataplane/choose/choose.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "dataplane/forward/alias.hpp"
#include "dataplane/net/offsets.hpp"

namespace lf::choose {
namespace {

using forward::BreakerFlag;
using forward::Share;

// One service, two workers' counts, and the choose stage of the first of them.
class Choose : public ::testing::Test {
 protected:
  void SetUp() override {
    for (auto& block : stats_) block = std::make_unique<NodeStats[]>(kNodesMax);
    const NodeStats* workers[] = {stats_[0].get(), stats_[1].get()};
    init(*state_, workers, 2, 0, 42, 1'000'000'000);
    table_.services.resize(1);
  }

  void set_pools(const std::vector<Share>& primary, const std::vector<Share>& failover = {}) {
    table_.columns.clear();
    table_.nodes.assign(2048, {});
    table_.weights.assign(2048, 0);
    table_.services[0].primary = forward::append_pool(primary, table_.columns);
    table_.services[0].failover = forward::append_pool(failover, table_.columns);
    for (const auto* pool : {&primary, &failover}) {
      double total = 0;
      for (const Share& s : *pool) total += s.weight;
      for (const Share& s : *pool) {
        if (s.slot == kNoNode) continue;
        table_.nodes[s.slot].service = 0;
        table_.weights[s.slot] = static_cast<uint32_t>(s.weight / total * 4294967295.0);
      }
    }
    forward::make_images(table_);
  }

  // Fills the burst with fresh commands.
  void fill(uint16_t count) {
    burst_->count = count;
    selection_.count = 0;
    for (uint16_t i = 0; i < count; ++i) {
      burst_->meta[i] = {};
      burst_->meta[i].kind = Kind::command;
      burst_->meta[i].service = 0;
      selection_.add(i);
    }
  }

  Some run() {
    const Some some = choose::run(table_, *live_, *state_, *burst_, selection_, now_);
    now_ += 100'000;
    return some;
  }

  // Where `packets` fresh commands go; those refused count under kNoNode.
  std::map<NodeSlot, int> spread(int packets) {
    std::map<NodeSlot, int> got;
    for (int sent = 0; sent < packets; sent += 64) {
      fill(64);
      run();
      for (int i = 0; i < 64; ++i) ++got[burst_->meta[i].node];
    }
    return got;
  }

  void set_breaker(NodeSlot slot, BreakerFlag flag, uint32_t trials = 0) {
    live_->set_breaker(slot, {flag, ++epoch_, trials});
  }

  std::unique_ptr<NodeStats[]> stats_[2];
  std::unique_ptr<State> state_ = std::make_unique<State>();
  std::unique_ptr<forward::NodeLive> live_ = std::make_unique<forward::NodeLive>();
  std::unique_ptr<Burst> burst_ = std::make_unique<Burst>();
  forward::Table table_;
  Selection selection_;
  Tsc now_ = 1'000'000'000;
  uint16_t epoch_ = 0;
};

TEST_F(Choose, ThreeNodesWithinHalfAPerCentOverAMillion) {
  set_pools({{0, 100}, {1, 50}, {2, 10}});
  auto got = spread(1'000'000);
  const double total = got[0] + got[1] + got[2];
  EXPECT_EQ(got.size(), 3u);
  EXPECT_NEAR(got[0] / total, 100.0 / 160, 0.005);
  EXPECT_NEAR(got[1] / total, 50.0 / 160, 0.005);
  EXPECT_NEAR(got[2] / total, 10.0 / 160, 0.005);
}

TEST_F(Choose, ThousandNodesWithinHalfAPerCentOverAMillion) {
  std::vector<Share> shares;
  double total = 0;
  for (int i = 0; i < 1000; ++i) {
    shares.push_back({static_cast<NodeSlot>(i), i % 10 == 0 ? 50.0 : 1.0});
    total += shares.back().weight;
  }
  set_pools(shares);
  auto got = spread(1'000'000);
  double sent = 0, chi_square = 0;
  for (const auto& [slot, n] : got) sent += n;
  for (const Share& s : shares) {
    const double want = sent * s.weight / total;
    EXPECT_NEAR(got[s.slot] / sent, s.weight / total, 0.005);
    chi_square += (got[s.slot] - want) * (got[s.slot] - want) / want;
  }
  // 999 degrees of freedom: mean 999, deviation 45; five deviations are one run in millions.
  EXPECT_LT(chi_square, 999 + 5 * std::sqrt(2.0 * 999));
}

TEST_F(Choose, WritesWhatRewriteAndLedgerNeed) {
  set_pools({{3, 1}});
  live_->set_breaker(3, {BreakerFlag::closed, 77, 0});
  fill(2);
  run();
  EXPECT_EQ(selection_.count, 2);
  EXPECT_EQ(burst_->meta[0].node, 3);
  EXPECT_EQ(burst_->meta[1].breaker_epoch, 77);
  EXPECT_EQ(burst_->meta[1].verdict, Verdict::none);
}

TEST_F(Choose, TellsWhatSomeCommandsAre) {
  set_pools({{3, 1}});
  table_.nodes[3].out_port = 5;
  table_.nodes[3].mtu = 1280;
  forward::make_images(table_);
  fill(8);
  Some some = run();
  for (int i = 0; i < 8; ++i) EXPECT_EQ(burst_->meta[i].out_port, 5);
  EXPECT_FALSE(some.replayable || some.not_from_wire || some.retry || some.several_ports);
  EXPECT_EQ(some.least_mtu, 1280);

  fill(8);
  burst_->meta[2].replayable = true;
  EXPECT_TRUE(run().replayable);
  fill(8);
  burst_->meta[7].origin = Origin::released;
  EXPECT_TRUE(run().not_from_wire);
  for (const NodeSlot before : {kNoNode, NodeSlot{3}}) {
    fill(8);
    burst_->meta[4].is_retry = true;
    burst_->meta[4].node = before;
    some = run();
    EXPECT_TRUE(some.retry);
    EXPECT_FALSE(some.replayable || some.not_from_wire || some.several_ports);
  }
}

TEST_F(Choose, TellsOfSeveralPortsAndOfTheSmallestMtu) {
  set_pools({{3, 1}, {4, 1}});
  table_.nodes[3].out_port = 2;
  table_.nodes[4].out_port = 6;
  table_.nodes[3].mtu = 1400;
  table_.nodes[4].mtu = 1300;
  forward::make_images(table_);
  fill(64);
  const Some some = run();
  EXPECT_TRUE(some.several_ports);
  EXPECT_LE(some.least_mtu, 1300);
  for (int i = 0; i < 64; ++i) {
    const Meta& m = burst_->meta[i];
    EXPECT_EQ(m.out_port, m.node == 3 ? 2 : 6);
  }
}

void set_layout(Meta& m, net::Layout layout) {
  const uint32_t offsets = layout.offsets();
  std::memcpy(&m.l3_offset, &offsets, sizeof offsets);
}

TEST_F(Choose, TellsWhetherAllAreUsualAndFit) {
  set_pools({{3, 1}});
  for (const net::Layout layout : {net::Layout{4, false}, {4, true}, {6, false}, {6, true}}) {
    table_.nodes[3].ip_version = layout.ip_version;
    table_.nodes[3].vlan_tci = layout.tagged ? 5 : 0;
    const auto fill_usual = [&] {
      forward::make_images(table_);
      fill(8);
      for (int i = 0; i < 8; ++i) {
        set_layout(burst_->meta[i], layout);
        burst_->meta[i].payload_length = 100;
      }
    };
    const uint16_t packet =
        static_cast<uint16_t>((layout.ip_version == 4 ? 20 : 40) + 8 + sizeof(lcp::Header) + 100);
    table_.nodes[3].mtu = packet;
    fill_usual();
    Some some = run();
    EXPECT_TRUE(some.all_usual && some.all_fit && some.layout == layout);
    table_.nodes[3].mtu = packet - 1;
    fill_usual();
    some = run();
    EXPECT_TRUE(some.all_usual && !some.all_fit);
    table_.nodes[3].mtu = 1500;

    fill_usual();
    burst_->meta[7].payload_length = static_cast<uint16_t>(1500 - packet + 100 + 1);
    EXPECT_FALSE(run().all_fit);
    for (const net::Layout other : {net::Layout{4, false}, {4, true}, {6, false}, {6, true}}) {
      fill_usual();
      set_layout(burst_->meta[3], other);
      EXPECT_EQ(run().all_usual, other == layout);
      fill_usual();
      table_.nodes[3].ip_version = other.ip_version;
      table_.nodes[3].vlan_tci = other.tagged ? 0x1000 : 0;
      forward::make_images(table_);
      EXPECT_EQ(run().all_usual, other == layout);
      table_.nodes[3].ip_version = layout.ip_version;
      table_.nodes[3].vlan_tci = layout.tagged ? 5 : 0;
    }
    table_.nodes[3].mode = forward::Mode::dsr_l2;
    fill_usual();
    EXPECT_FALSE(run().all_usual);
    table_.nodes[3].mode = forward::Mode::proxy;
  }
}

TEST_F(Choose, NodesOfSeveralLayoutsAreNotAllUsual) {
  set_pools({{3, 1}, {4, 1}});
  table_.nodes[4].vlan_tci = 5;
  forward::make_images(table_);
  fill(64);
  for (int i = 0; i < 64; ++i) set_layout(burst_->meta[i], {4, true});
  EXPECT_FALSE(run().all_usual);
}

TEST_F(Choose, AClosedBreakerIsClosedWhateverTrialsItHasLeft) {
  set_pools({{3, 1}});
  live_->set_breaker(3, {BreakerFlag::closed, 0xffff, 4});
  fill(1);
  run();
  EXPECT_EQ(burst_->meta[0].node, 3);
  EXPECT_EQ(burst_->meta[0].breaker_epoch, 0xffff);
  EXPECT_EQ(state_->redrawn.read(), 0u);
}

TEST_F(Choose, ZeroWeightNeverChosen) {
  set_pools({{0, 1}, {1, 0}, {2, 1}});
  EXPECT_EQ(spread(20'000).count(1), 0u);
}

TEST_F(Choose, OpenBreakerIsHonouredAtOnce) {
  set_pools({{0, 100}, {1, 1}, {2, 1}});
  set_breaker(0, BreakerFlag::open);
  auto got = spread(64'000);
  EXPECT_EQ(got.count(0), 0u);
  EXPECT_GT(got[1], 64'000 / 4);  // the search is not by weight, but leaves nobody out
  EXPECT_GT(got[2], 64'000 / 4);
  EXPECT_EQ(got[1] + got[2], 64'000);
  EXPECT_GT(state_->redrawn.read(), 64'000u);
}

TEST_F(Choose, AllOpenGoesToFailoverThenIsRefused) {
  set_pools({{0, 1}, {1, 1}}, {{2, 1}, {3, 3}});
  set_breaker(0, BreakerFlag::open);
  set_breaker(1, BreakerFlag::open);
  auto got = spread(64'000);
  EXPECT_NEAR(got[3], 48'000, 1000);
  EXPECT_EQ(got[2] + got[3], 64'000);
  EXPECT_EQ(state_->to_failover.read(), 64'000u);
  set_breaker(2, BreakerFlag::open);
  set_breaker(3, BreakerFlag::open);
  fill(3);
  run();
  EXPECT_EQ(selection_.count, 0);
  EXPECT_EQ(burst_->meta[2].verdict, Verdict::unroutable);
  EXPECT_EQ(burst_->meta[2].reply_status, lcp::Status::unroutable);
  EXPECT_EQ(burst_->meta[2].node, kNoNode);
}

TEST_F(Choose, EmptyPoolsAreUnroutable) {
  set_pools({}, {});
  fill(1);
  run();
  EXPECT_EQ(burst_->meta[0].verdict, Verdict::unroutable);
}

TEST_F(Choose, ServiceThatTheTableDoesNotKnowIsUnroutable) {
  set_pools({{0, 1}});
  fill(2);
  burst_->meta[0].service = kNoService;
  burst_->meta[1].service = 1;
  run();
  EXPECT_EQ(burst_->meta[0].verdict, Verdict::unroutable);
  EXPECT_EQ(burst_->meta[1].verdict, Verdict::unroutable);
}

TEST_F(Choose, UnresolvedServiceSaysSo) {
  set_pools({}, {});
  table_.services[0].unresolved = true;
  fill(1);
  run();
  EXPECT_EQ(burst_->meta[0].verdict, Verdict::node_unresolved);
  EXPECT_EQ(burst_->meta[0].reply_status, lcp::Status::unroutable);
}

TEST_F(Choose, HalfOpenTakesItsTrialsAndNoMore) {
  set_pools({{0, 1}, {1, 1}});
  set_breaker(0, BreakerFlag::half_open, 3);
  auto got = spread(6400);
  EXPECT_EQ(got[0], 3);
  EXPECT_EQ(got[1], 6397);
}

TEST_F(Choose, OnlyHalfOpenWithoutTokensIsTrialTaken) {
  set_pools({{0, 1}});
  set_breaker(0, BreakerFlag::half_open, 3);
  fill(5);
  run();
  EXPECT_EQ(selection_.count, 3);
  int taken = 0;
  for (int i = 0; i < 5; ++i) taken += burst_->meta[i].verdict == Verdict::trial_taken;
  EXPECT_EQ(taken, 2);
}

TEST_F(Choose, SpillGoesToFailover) {
  set_pools({{0, 1}, {kNoNode, 3}}, {{1, 1}});
  auto got = spread(64'000);
  EXPECT_NEAR(got[0], 16'000, 800);
  EXPECT_EQ(got[0] + got[1], 64'000);
}

TEST_F(Choose, SpillWithoutFailoverIsRefused) {
  set_pools({{0, 1}, {kNoNode, 3}});
  auto got = spread(64'000);
  EXPECT_NEAR(got[kNoNode], 48'000, 800);
}

TEST_F(Choose, RetryStaysWithItsNode) {
  set_pools({{0, 1000}, {1, 1}});
  fill(64);
  for (int i = 0; i < 64; ++i) {
    burst_->meta[i].is_retry = true;
    burst_->meta[i].node = 1;
  }
  run();
  for (int i = 0; i < 64; ++i) EXPECT_EQ(burst_->meta[i].node, 1);
}

TEST_F(Choose, RetryLeavesANodeThatIsOut) {
  set_pools({{0, 1}, {1, 1}});
  for (const NodeSlot gone : {NodeSlot{5}, NodeSlot{1}, NodeSlot{kNodesMax - 1}, kNoNode}) {
    if (gone == 1) set_breaker(1, BreakerFlag::open);
    fill(1);
    burst_->meta[0].is_retry = true;
    burst_->meta[0].node = gone;
    run();
    EXPECT_LE(burst_->meta[0].node, 1) << gone;
  }
  EXPECT_EQ(spread(640)[0], 640);
}

TEST_F(Choose, RetryToAHalfOpenNodeNeedsAToken) {
  set_pools({{0, 1}, {1, 1}});
  set_breaker(1, BreakerFlag::half_open, 1);
  fill(2);
  for (int i = 0; i < 2; ++i) {
    burst_->meta[i].is_retry = true;
    burst_->meta[i].node = 1;
  }
  run();
  EXPECT_EQ(burst_->meta[0].node, 1);
  EXPECT_EQ(burst_->meta[1].node, 0);
}

TEST_F(Choose, RetryDoesNotCrossServices) {
  set_pools({{0, 1}, {1, 1}});
  table_.nodes[1].service = 9;
  table_.services[0].primary.count = 0;
  fill(1);
  burst_->meta[0].is_retry = true;
  burst_->meta[0].node = 1;
  run();
  EXPECT_EQ(burst_->meta[0].verdict, Verdict::unroutable);
}

TEST_F(Choose, LeastLoadedFollowsWeightsWhenIdle) {
  set_pools({{0, 3}, {1, 1}});
  table_.services[0].balance = forward::Balance::least_loaded;
  int first = 0;
  for (int k = 0; k < 100'000; ++k) {  // one at a time: nothing is in flight
    fill(1);
    run();
    first += burst_->meta[0].node == 0;
  }
  EXPECT_NEAR(first, 75'000, 1000);
}

TEST_F(Choose, LeastLoadedAvoidsTheLoadedNode) {
  set_pools({{0, 1}, {1, 1}});
  table_.services[0].balance = forward::Balance::least_loaded;
  stats_[0][0].sent.add(1000);
  auto got = spread(64'000);
  EXPECT_NEAR(got[0], 16'000, 1000);  // both draws were the loaded one
}

TEST_F(Choose, LeastLoadedSeesOtherWorkersAndWhatControlWroteOff) {
  set_pools({{0, 1}, {1, 1}});
  table_.services[0].balance = forward::Balance::least_loaded;
  stats_[1][0].sent.add(1000);
  EXPECT_NEAR(spread(64'000)[0], 16'000, 1000);
  live_->set_lost(0, 1000);
  EXPECT_NEAR(spread(64'000)[0], 32'000, 1000);
  stats_[0][1].sent.add(500);  // sent here, answered through the other worker
  stats_[1][1].ok.add(500);
  EXPECT_NEAR(spread(64'000)[0], 32'000, 1000);
}

TEST_F(Choose, LeastLoadedSpreadsWithinABurst) {
  std::vector<Share> shares;
  for (NodeSlot s = 0; s < 16; ++s) shares.push_back({s, 1});
  set_pools(shares);
  table_.services[0].balance = forward::Balance::least_loaded;
  int worst = 0;
  for (int k = 0; k < 100; ++k) {
    auto got = spread(64);
    for (const auto& [slot, n] : got) worst = std::max(worst, n);
  }
  EXPECT_LE(worst, 8);  // 4 on average; by chance alone 12 and more in 100 bursts
}

TEST_F(Choose, LeastLoadedWeighsLoadByHealth) {
  set_pools({{0, 3}, {1, 1}});
  table_.services[0].balance = forward::Balance::least_loaded;
  stats_[0][0].sent.add(1450);  // less than three times the other's: chosen unless never drawn
  stats_[0][1].sent.add(500);
  EXPECT_NEAR(spread(64'000)[0], 60'000, 700);
  stats_[0][0].sent.add(250);  // more than three times: chosen only when drawn twice
  EXPECT_NEAR(spread(64'000)[0], 36'000, 1000);
}

// Four workers share one set of breaker words: three trials in all, each time.
TEST_F(Choose, TrialsAreExactOverWorkers) {
  set_pools({{0, 1}, {1, 1}});
  for (int round = 0; round < 50; ++round) {
    set_breaker(0, BreakerFlag::half_open, 3);
    std::atomic<int> trials{0};
    std::vector<std::thread> workers;
    for (int w = 0; w < 4; ++w)
      workers.emplace_back([&, w] {
        auto state = std::make_unique<State>();
        const NodeStats* none[] = {stats_[0].get()};
        init(*state, none, 1, 0, static_cast<uint64_t>(w), 1'000'000'000);
        auto burst = std::make_unique<Burst>();
        Selection all;
        for (uint32_t i = 0; i < 32; ++i) {
          burst->meta[i].service = 0;
          all.add(i);
        }
        choose::run(table_, *live_, *state, *burst, all, 1);
        for (uint32_t i = 0; i < 32; ++i) trials += burst->meta[i].node == 0;
      });
    for (auto& w : workers) w.join();
    ASSERT_EQ(trials, 3);
  }
}

}  // namespace
}  // namespace lf::choose
