// SPDX-License-Identifier: Apache-2.0
#include "dataplane/replay/keep_pool.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>

#include "tests/support/mbufs.hpp"

namespace lf::replay {
namespace {

constexpr NodeSlot kNode = 3, kOtherNode = 4;
constexpr uint64_t kNow = 1'000'000, kLater = 9'000'000;
constexpr uint16_t kEpoch = 8;  // of the node's breaker while it was closed

// Which transmissions still wait for their answer.
struct Ledger {
  std::set<std::pair<uint64_t, uint32_t>> in_flight;
  bool operator()(uint64_t ref, uint32_t stamp) const { return in_flight.contains({ref, stamp}); }
};

class KeepPoolTest : public ::testing::Test {
 protected:
  ~KeepPoolTest() override { pool.clear(); }

  // A sent command; its mbuf has a reference of the test and one of the driver, so it is never
  // given back to a memory pool, which there is none of.
  rte_mbuf* command() {
    rte_mbuf* m = mbufs.make(64);
    rte_mbuf_refcnt_set(m, 2);
    return m;
  }
  bool keep(uint64_t ref, NodeSlot node = kNode, uint64_t deadline_us = kLater,
            uint16_t epoch = kEpoch) {
    Meta meta;
    meta.ledger_ref = ref;
    meta.deadline_us = deadline_us;
    meta.node = node;
    meta.breaker_epoch = epoch;
    ledger.in_flight.insert({ref, stamp});
    packets[ref] = command();
    return pool.keep(packets[ref], meta, {}, stamp, now_us, ledger);
  }
  void answered(uint64_t ref) { ledger.in_flight.erase({ref, stamp}); }

  // The breaker of kNode has opened.
  uint16_t order(Phase phase, uint32_t tokens = 0, uint8_t batch = 64, uint64_t deadline = 0) {
    return orders->give(kNode, {.phase = phase, .batch = batch, .tokens = tokens},
                        {kEpoch + 1, deadline});
  }
  std::vector<uint64_t> poll() {
    pool.poll(*orders, now_us, work, ledger);
    std::vector<uint64_t> refs;
    for (uint32_t i = 0; i < work.count; ++i) refs.push_back(pool.kept(work.place[i]).ledger_ref);
    return refs;
  }
  void all_done() {
    for (uint32_t i = 0; i < work.count; ++i) pool.drop(work.place[i]);
  }
  using Refs = std::vector<uint64_t>;

  test::TestBurst mbufs;
  std::map<uint64_t, rte_mbuf*> packets;
  Ledger ledger;
  std::unique_ptr<Orders> orders = std::make_unique<Orders>();
  KeepPool pool{8};
  Work work;
  uint32_t stamp = 77;
  uint64_t now_us = kNow;
};

TEST_F(KeepPoolTest, HoldsAReferenceAndTheMetadata) {
  EXPECT_TRUE(keep(1));
  EXPECT_EQ(rte_mbuf_refcnt_read(packets[1]), 3);
  EXPECT_EQ(note_of(packets[1]).meta.ledger_ref, 1u);
  EXPECT_EQ(pool.size(), 1u);
}

TEST_F(KeepPoolTest, FullPoolKeepsNoMore) {
  for (uint64_t ref = 1; ref <= 8; ++ref) EXPECT_TRUE(keep(ref));
  EXPECT_FALSE(keep(9));
  EXPECT_EQ(rte_mbuf_refcnt_read(packets[9]), 2);
}

TEST_F(KeepPoolTest, NoCapacityKeepsNothing) {
  KeepPool none(0);
  EXPECT_FALSE(none.keep(command(), Meta{}, {}, stamp, kNow, ledger));
}

TEST_F(KeepPoolTest, AnsweredCommandsMakeRoom) {
  for (uint64_t ref = 1; ref <= 8; ++ref) keep(ref);
  for (uint64_t ref = 1; ref <= 8; ++ref) answered(ref);
  for (uint64_t ref = 11; ref <= 18; ++ref) EXPECT_TRUE(keep(ref)) << ref;
  for (uint64_t ref = 1; ref <= 8; ++ref) EXPECT_EQ(rte_mbuf_refcnt_read(packets[ref]), 2) << ref;
}

TEST_F(KeepPoolTest, EndlessTrafficNeverFillsIt) {
  for (uint64_t ref = 1; ref <= 2'000; ++ref) {
    ASSERT_TRUE(keep(ref)) << ref;
    if (ref > 2) answered(ref - 2);
  }
}

TEST_F(KeepPoolTest, CommandsPastTheirDeadlineGo) {
  for (uint64_t ref = 1; ref <= 8; ++ref) keep(ref, kNode, kNow + 1);
  answered(1);
  now_us = kNow + 2;
  for (uint64_t ref = 11; ref <= 18; ++ref) EXPECT_TRUE(keep(ref)) << ref;
  EXPECT_EQ(pool.expired(), 7u);
}

TEST_F(KeepPoolTest, RetryReplacesTheTransmissionBefore) {
  keep(1);
  answered(1);  // a retry has another stamp: the first transmission is owed no more
  stamp = 78;
  keep(1);
  order(Phase::send, 100);
  EXPECT_EQ(poll(), Refs{1});
  EXPECT_EQ(pool.kept(work.place[0]).stamp, 78u);
}

TEST_F(KeepPoolTest, CountsWhatIsOwed) {
  for (uint64_t ref = 1; ref <= 5; ++ref) keep(ref);
  keep(6, kOtherNode);
  keep(7, kNode, kNow + 1);
  answered(2);
  now_us = kNow + 2;
  const uint16_t ticket = order(Phase::count);
  EXPECT_EQ(poll(), Refs{});
  EXPECT_EQ(pool.report(kNode).ticket, ticket);
  EXPECT_EQ(pool.report(kNode).left, 4u);
  EXPECT_EQ(rte_mbuf_refcnt_read(packets[2]), 2) << "answered: dropped on the way";
}

TEST_F(KeepPoolTest, ReportsThatItHasNothing) {
  const uint16_t ticket = order(Phase::send, 5);
  poll();
  EXPECT_EQ(pool.report(kNode).ticket, ticket);
  EXPECT_EQ(pool.report(kNode).left, 0u);
}

TEST_F(KeepPoolTest, SendsInBatchesOldestFirst) {
  for (uint64_t ref = 1; ref <= 5; ++ref) keep(ref);
  const uint16_t ticket = order(Phase::send, 100, 2);
  EXPECT_EQ(poll(), (Refs{1, 2}));
  EXPECT_EQ(work.phase, Phase::send);
  EXPECT_EQ(work.node, kNode);
  all_done();
  EXPECT_EQ(poll(), (Refs{3, 4}));
  all_done();
  EXPECT_NE(pool.report(kNode).ticket, ticket);
  EXPECT_EQ(poll(), Refs{5});
  all_done();
  EXPECT_EQ(pool.report(kNode).ticket, ticket);
  EXPECT_EQ(pool.size(), 0u);
  EXPECT_EQ(poll(), Refs{}) << "the order is done";
  EXPECT_EQ(orders->read(kNode).tokens, 95u);
}

TEST_F(KeepPoolTest, SendsNoMoreThanTheBudget) {
  for (uint64_t ref = 1; ref <= 5; ++ref) keep(ref);
  const uint16_t ticket = order(Phase::send, 3);
  EXPECT_EQ(poll(), (Refs{1, 2, 3}));
  all_done();
  EXPECT_EQ(pool.report(kNode).ticket, ticket);
  EXPECT_EQ(pool.size(), 2u);
  order(Phase::send, 3);
  EXPECT_EQ(poll(), (Refs{4, 5}));
}

TEST_F(KeepPoolTest, PacketThatTheDriverStillHasIsNotTouched) {
  keep(1);
  order(Phase::send, 3);
  poll();
  EXPECT_EQ(pool.take_out(work.place[0], nullptr), nullptr);
  EXPECT_EQ(pool.kept(work.place[0]).mbuf, packets[1]);
}

TEST_F(KeepPoolTest, CommandsSentAfterTheOpeningAreOutOfScope) {
  keep(1);
  keep(2, kNode, kLater, kEpoch + 2);  // a trial
  order(Phase::send, 10);
  EXPECT_EQ(poll(), Refs{1});
}

TEST_F(KeepPoolTest, EpochsWrap) {
  keep(1, kNode, kLater, 0xffff);
  keep(2, kNode, kLater, 1);
  orders->give(kNode, {.phase = Phase::send, .batch = 64, .tokens = 9}, {0, 0});
  EXPECT_EQ(poll(), Refs{1});
}

TEST_F(KeepPoolTest, ExpiredCommandsAreRefusedAndNotSent) {
  keep(1, kNode, kNow + 1);
  keep(2);
  now_us = kNow + 2;
  order(Phase::send, 10);
  EXPECT_EQ(poll(), Refs{2});
  order(Phase::refuse, 0, 64, kNow + 5);
  EXPECT_EQ(poll(), Refs{1});
  EXPECT_EQ(work.phase, Phase::refuse);
}

TEST_F(KeepPoolTest, RefusesUpToADeadline) {
  for (uint64_t ref = 1; ref <= 4; ++ref) keep(ref, kNode, kNow + ref);
  const uint16_t ticket = order(Phase::refuse, 0, 64, kNow + 2);
  EXPECT_EQ(poll(), (Refs{1, 2}));
  EXPECT_EQ(pool.report(kNode).ticket, ticket);
  EXPECT_EQ(pool.report(kNode).left, 2u);
  all_done();
  order(Phase::refuse, 0, 64, UINT64_MAX);
  EXPECT_EQ(poll(), (Refs{3, 4}));
}

TEST_F(KeepPoolTest, NewOrderReplacesTheOneAtHand) {
  for (uint64_t ref = 1; ref <= 5; ++ref) keep(ref);
  order(Phase::send, 100, 2);
  EXPECT_EQ(poll(), (Refs{1, 2}));
  const uint16_t ticket = order(Phase::count);
  EXPECT_EQ(poll(), Refs{});
  EXPECT_EQ(poll(), Refs{});
  EXPECT_EQ(pool.report(kNode).ticket, ticket);
  EXPECT_EQ(pool.report(kNode).left, 5u);
}

TEST_F(KeepPoolTest, ServesAllNodesWithOrders) {
  keep(1);
  keep(2, kOtherNode);
  for (const NodeSlot node : {kNode, kOtherNode, NodeSlot{4000}})
    orders->give(node, {.phase = Phase::send, .batch = 9, .tokens = 9}, {kEpoch + 1, 0});
  std::set<uint64_t> sent;
  for (int i = 0; i < 4; ++i)
    for (const uint64_t ref : poll()) sent.insert(ref);
  EXPECT_EQ(sent, (std::set<uint64_t>{1, 2}));
  EXPECT_EQ(pool.report(4000).ticket, orders->read(4000).ticket);
}

TEST_F(KeepPoolTest, SweepMayTakeThePlaceWhereTheWalkGoesOn) {
  for (uint64_t ref = 1; ref <= 6; ++ref) keep(ref);
  order(Phase::send, 100, 2);
  EXPECT_EQ(poll(), (Refs{1, 2}));
  answered(3);
  answered(4);
  pool.sweep(8, 8, kNow, ledger);
  EXPECT_EQ(poll(), (Refs{5, 6}));
}

TEST(KeepPoolBounds, OnePollLooksAtABoundedNumber) {
  test::TestBurst mbufs;
  KeepPool pool(1000);
  const auto orders = std::make_unique<Orders>();
  struct Nothing {
    uint32_t* asked;
    bool operator()(uint64_t, uint32_t) const { return ++*asked > 0; }
  };
  uint32_t asked = 0;
  Meta meta;
  meta.node = kNode;
  meta.deadline_us = kLater;
  for (int i = 0; i < 1000; ++i) {
    rte_mbuf* m = mbufs.make(64);
    rte_mbuf_refcnt_set(m, 2);
    ASSERT_TRUE(pool.keep(m, meta, {}, 0, kNow, Nothing{&asked}));
  }
  const uint16_t ticket = orders->give(kNode, {.phase = Phase::count}, {1, 0});
  Work work;
  for (int polls = 1; pool.report(kNode).ticket != ticket; ++polls) {
    ASSERT_LE(polls, 17);
    asked = 0;
    pool.poll(*orders, kNow, work, Nothing{&asked});
    EXPECT_LE(asked, kWalkPerPoll);
  }
  EXPECT_EQ(pool.report(kNode).left, 1000u);
}

}  // namespace
}  // namespace lf::replay
