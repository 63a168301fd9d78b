// SPDX-License-Identifier: Apache-2.0
// The director with real orders and real pools: two workers keep commands, a breaker opens.
#include "control/resilience/replay_director.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "tests/support/mbufs.hpp"

namespace lf::resilience {
namespace {

constexpr NodeSlot kSlot = 5;

class ReplayDirectorTest : public ::testing::Test {
 protected:
  ReplayDirectorTest() {
    board.configure({{"orbit", "a", 11, kSlot, 1, {}}});
    director = std::make_unique<ReplayDirector>(
        ReplayDirector::Setup{.orders = orders.get(),
                              .pools = {&pools[0], &pools[1]},
                              .timeout_s = 10,
                              .regions = [](NodeSlot) {
                                return ReplayRegions{"east", {"west"}, {}};
                              }});
    commands =
        replay_commands(*director, board, {&stats[0], &stats[1]}, {&pools[0], &pools[1]}, clock);
  }
  ~ReplayDirectorTest() override {
    for (auto& pool : pools) pool.clear();
  }

  void keep(uint32_t worker, int commands_to_keep, uint64_t deadline_ms = 60'000) {
    Meta meta;
    meta.node = kSlot;
    meta.breaker_epoch = live->breaker(kSlot).epoch;
    meta.deadline_us = static_cast<uint64_t>(clock.unix_us()) + deadline_ms * 1000;
    for (int i = 0; i < commands_to_keep; ++i) {
      rte_mbuf* m = mbufs.make(64);
      rte_mbuf_refcnt_set(m, 2);
      ASSERT_TRUE(pools[worker].keep(m, meta, {}, 0, unix_us(), owed));
    }
  }
  // All workers carry out what there is, as in a few of their loops.
  void work() {
    for (auto& pool : pools)
      for (int loop = 0; loop < 200; ++loop) {
        pool.poll(*orders, unix_us(), todo, owed);
        (todo.phase == replay::Phase::refuse ? refused : sent) += todo.count;
        for (uint32_t i = 0; i < todo.count; ++i) pool.drop(todo.place[i]);
      }
  }
  void tick(int64_t ms = 10) {
    clock.advance_ms(ms);
    director->on_transitions(board.tick(clock.mono_ns()), clock.mono_ns());
    for (const auto& s : director->tick(clock.mono_ns(), clock.unix_us())) ended.push_back(s);
  }
  uint64_t unix_us() const { return static_cast<uint64_t>(clock.unix_us()); }
  rpc::Json status() { return commands[0].handler(rpc::Json::object()).value(); }

  ManualClock clock;
  test::TestBurst mbufs;
  std::unique_ptr<forward::NodeLive> live = std::make_unique<forward::NodeLive>();
  std::unique_ptr<replay::Orders> orders = std::make_unique<replay::Orders>();
  replay::KeepPool pools[2] = {replay::KeepPool{600}, replay::KeepPool{600}};
  WorkerStats stats[2];
  BreakerBoard board{*live, {}, 1};
  std::unique_ptr<ReplayDirector> director;
  std::vector<rpc::Command> commands;
  std::vector<ReplayDirector::Status> ended;
  replay::Work todo;
  uint64_t sent = 0, refused = 0;
  const std::function<bool(uint64_t, uint32_t)> owed = [](uint64_t, uint32_t) { return true; };
};

TEST_F(ReplayDirectorTest, NothingHappensWhileBreakersAreClosed) {
  keep(0, 10);
  for (int i = 0; i < 10; ++i) {
    tick();
    work();
  }
  EXPECT_EQ(sent + refused, 0u);
  EXPECT_EQ(status()["active"], 0);
}

TEST_F(ReplayDirectorTest, SendsWhatAllWorkersKeepUnderOneBudget) {
  keep(0, 70);
  keep(1, 30);
  board.trip(kSlot, clock.mono_ns());
  tick();
  EXPECT_EQ(orders->read(kSlot).phase, replay::Phase::count);
  work();
  tick();
  EXPECT_EQ(orders->read(kSlot).tokens, 90u);
  work();
  EXPECT_EQ(sent, 90u) << "nine tenths of both workers' hundred";
  tick();
  EXPECT_EQ(status()["runs"][0]["stage"], "waiting");
  work();
  tick(80);
  work();
  tick();
  work();
  EXPECT_EQ(sent, 99u);
}

TEST_F(ReplayDirectorTest, EndsWithEverythingSent) {
  keep(0, 70);
  keep(1, 30);
  board.trip(kSlot, clock.mono_ns());
  for (int i = 0; i < 100; ++i) {
    tick();
    work();
  }
  EXPECT_EQ(sent, 100u);
  EXPECT_EQ(refused, 0u);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].run.events(), 100u);
  EXPECT_EQ(ended[0].run.sent(), 100u);
  EXPECT_EQ(orders->active(), 0u);
  const auto json = status();
  EXPECT_EQ(json["active"], 0);
  EXPECT_EQ(json["runs"][0]["stage"], "done");
  EXPECT_EQ(json["runs"][0]["node"], "a");
  EXPECT_EQ(json["runs"][0]["sent"], 100);
  EXPECT_EQ(json["kept"], 0);
}

TEST_F(ReplayDirectorTest, RefusesWhatTheBudgetsOfAllRoundsDoNotCover) {
  keep(0, 600);
  keep(1, 400);
  board.trip(kSlot, clock.mono_ns());
  for (int i = 0; i < 200; ++i) {
    tick();
    work();
  }
  EXPECT_EQ(sent, 5 * 108u);
  EXPECT_EQ(refused, 1000 - 5 * 108u);
  EXPECT_EQ(director->active(), 0u);
}

TEST_F(ReplayDirectorTest, RefusesInTimeWhatWouldBeLateForTheNextRound) {
  keep(0, 200, 100);
  board.trip(kSlot, clock.mono_ns());
  for (int i = 0; i < 5; ++i) {
    tick(5);
    work();
  }
  EXPECT_EQ(sent, 108u);
  EXPECT_EQ(refused, 92u) << "25 ms after the trip, 75 before the deadline";
}

TEST_F(ReplayDirectorTest, SecondOpeningStartsAnew) {
  keep(0, 20);
  board.trip(kSlot, clock.mono_ns());
  tick();
  board.reset(kSlot, clock.mono_ns());
  keep(0, 5);
  board.trip(kSlot, clock.mono_ns());
  tick();
  EXPECT_EQ(director->active(), 1u);
  work();
  tick();
  EXPECT_EQ(director->runs().at(kSlot).run.events(), 25u);
}

TEST_F(ReplayDirectorTest, StatusAddsUpTheWorkersCounts) {
  keep(1, 3);
  stats[0].replays.add(4);
  stats[1].replays.add(5);
  stats[1].replay_unkept.add(2);
  const auto json = status();
  EXPECT_EQ(json["kept"], 3);
  EXPECT_EQ(json["capacity"], 1200);
  EXPECT_EQ(json["replayed"], 9);
  EXPECT_EQ(json["unkept"], 2);
}

}  // namespace
}  // namespace lf::resilience
