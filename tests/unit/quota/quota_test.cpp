// SPDX-License-Identifier: Apache-2.0
// The quota stage, one burst at a time: tiers, refusals, the delay wheel, order, answers.
#include "dataplane/quota/quota.hpp"

#include <gtest/gtest.h>

#include "tests/unit/quota/packets.hpp"

namespace lf::quota {
namespace {

using test::kMs;
using test::kSecond;
using test::kUnixStart;

class QuotaStage : public ::testing::Test {
 protected:
  QuotaStage() : table(test::unlimited_table(4)), state(100, kMs, 6000 * kMs) {
    windows = Windows::create({.orgs = 4, .rings = 64, .step_tsc = kSecond, .start = 0});
  }

  void limit_org(OrgIndex org, Limit limit) {
    table.org_limits[org] = limit;
    ASSERT_TRUE(windows->open(org_key(org), windows->step_at(now)));
  }
  void limit_intent(OrgIndex org, IntentIndex intent, Limit limit) {
    table.intent_limits[org].by_intent[intent] = limit;
    ASSERT_TRUE(windows->open(intent_key(org, intent), windows->step_at(now)));
  }

  void start() { burst.count = live.count = 0; }
  Meta& add(OrgIndex org, IntentIndex intent, uint64_t deadline_us = UINT64_MAX) {
    return packets.add(burst, live, org, intent, deadline_us);
  }
  void run() { quota::run(table, *windows, state, burst, live, now, kUnixStart + now); }

  // A burst of `n` equal commands, with nothing left behind in the wheel's list.
  void send(uint32_t n, OrgIndex org, IntentIndex intent) {
    start();
    for (uint32_t k = 0; k < n; ++k) add(org, intent);
    run();
  }
  // As `send`, up to any number; packets that are delayed are forgotten.
  uint32_t admit(uint32_t n, OrgIndex org, IntentIndex intent) {
    uint32_t admitted = 0;
    for (; n > 0; n -= std::min<uint32_t>(n, 32)) {
      send(std::min<uint32_t>(n, 32), org, intent);
      admitted += live.count + state.delayed_count;
    }
    return admitted;
  }
  uint32_t refused(Verdict v) const {
    uint32_t n = 0;
    for (uint32_t i = 0; i < burst.count; ++i) n += burst.meta[i].verdict == v;
    return n;
  }

  Table table;
  std::unique_ptr<Windows> windows;
  State state;
  test::PacketSource packets;
  Burst burst;
  Selection live;
  Tsc now = 10 * kSecond;
};

TEST_F(QuotaStage, WithoutALimitEverythingGoesOn) {
  send(32, 1, 2);
  EXPECT_EQ(live.count, 32);
  tell_left(table, *windows, state, burst, live);
  EXPECT_EQ(burst.meta[0].quota_remaining, UINT32_MAX);
}

TEST_F(QuotaStage, AnUnknownOrganisationHasNoQuota) {
  send(3, kNoOrg, 1);
  EXPECT_EQ(live.count, 3);
}

TEST_F(QuotaStage, TiersChangeWithinABurst) {
  limit_intent(1, 2, 20);
  send(20, 1, 2);  // 0.70 of 20 is the 14th, 0.90 the 18th
  EXPECT_EQ(live.count, 13);
  ASSERT_EQ(state.delayed_count, 5);
  EXPECT_EQ(refused(Verdict::quota_rejected), 2u);
  EXPECT_EQ(burst.meta[13].quota_remaining, 4u);
  EXPECT_EQ(burst.meta[13].reply_status, lcp::Status::delayed);
  EXPECT_EQ(burst.meta[13].throttle_ms, 80u);   // u = 0.70: n = 1
  EXPECT_EQ(burst.meta[14].throttle_ms, 160u);  // u = 0.75: n = 2
  EXPECT_EQ(burst.meta[15].throttle_ms, 640u);  // u = 0.80: n = 4
  EXPECT_EQ(burst.meta[16].throttle_ms, 1280u);
  EXPECT_EQ(burst.meta[17].throttle_ms, 2560u);
  EXPECT_EQ(state.delayed[0].position, 13);
  EXPECT_EQ(state.delayed[0].due, now + 80 * kMs);
  EXPECT_EQ(burst.meta[18].verdict, Verdict::quota_rejected);
  EXPECT_EQ(windows->used(intent_key(1, 2), windows->step_at(now)), 18u);
}

TEST_F(QuotaStage, ARefusalSaysWhenThereIsRoom) {
  limit_intent(1, 2, 10 | kHard);
  EXPECT_EQ(admit(10, 1, 2), 9u);
  now += 20 * kSecond + 300 * kMs;
  send(1, 1, 2);
  const Meta& m = burst.meta[0];
  EXPECT_EQ(m.verdict, Verdict::quota_rejected);
  EXPECT_EQ(m.reply_status, lcp::Status::throttled);
  EXPECT_EQ(m.quota_remaining, 0u);
  EXPECT_EQ(m.throttle_ms, 40'700u);  // what was used at 10 s counts until 71 s
  EXPECT_EQ(m.reset_seconds, 41u);
}

TEST_F(QuotaStage, QuotaZeroAdmitsNothing) {
  limit_org(1, 0);
  limit_intent(2, 3, 0);
  start();
  add(1, 1);
  add(2, 3);
  add(2, 4);
  run();
  EXPECT_EQ(burst.meta[0].verdict, Verdict::quota_zero);
  EXPECT_EQ(burst.meta[1].verdict, Verdict::quota_zero);
  EXPECT_EQ(live.count, 1);
  EXPECT_EQ(burst.meta[0].reset_seconds, 60u);
}

TEST_F(QuotaStage, TheTighterLimitRulesAndTheOtherIsGivenBack) {
  limit_org(1, 100 | kHard);  // 90
  limit_intent(1, 2, 10 | kHard);
  limit_intent(1, 3, 500 | kHard);
  EXPECT_EQ(admit(40, 1, 2), 9u);
  EXPECT_EQ(windows->used(org_key(1), windows->step_at(now)), 9u)
      << "what the intent refused was not charged to the organisation";
  EXPECT_EQ(admit(200, 1, 3), 81u);
  EXPECT_EQ(windows->used(intent_key(1, 3), windows->step_at(now)), 81u)
      << "what the organisation refused was not charged to the intent";
  EXPECT_EQ(windows->used(org_key(1), windows->step_at(now)), 90u);
  EXPECT_GT(windows->rejected(org_key(1)), 0u);
  EXPECT_EQ(windows->rejected(intent_key(1, 3)), 0u);
  EXPECT_EQ(windows->rejected(intent_key(1, 2)), 31u);
}

TEST_F(QuotaStage, TheWorseOfBothTiersDelays) {
  limit_org(1, 40);  // delay from the 28th
  limit_intent(1, 2, 1000);
  admit(27, 1, 1);
  send(1, 1, 2);
  EXPECT_EQ(state.delayed_count, 1);
  EXPECT_EQ(burst.meta[0].throttle_ms, 80u);
}

TEST_F(QuotaStage, KeysOfABurstMixInAnyOrder) {
  limit_intent(1, 1, 10 | kHard);
  limit_intent(2, 1, 5 | kHard);
  start();
  for (int k = 0; k < 12; ++k) {
    add(1, 1);
    add(2, 1);
    add(3, 1);
  }
  run();
  EXPECT_EQ(live.count, 9 + 4 + 12);
  EXPECT_EQ(refused(Verdict::quota_rejected), 3u + 8u);
}

TEST_F(QuotaStage, RetriesCostNothingAndAlwaysPass) {
  limit_intent(1, 2, 0);
  start();
  add(1, 2).is_retry = true;
  run();
  EXPECT_EQ(live.count, 1);
}

TEST_F(QuotaStage, ADelayPastTheDeadlineIsRefusedAndNotCounted) {
  limit_intent(1, 2, 10);
  send(6, 1, 2);
  start();
  add(1, 2, kUnixStart + now + 79 * kMs);  // would leave at 80 ms
  add(1, 2, kUnixStart + now + 80 * kMs);
  run();
  EXPECT_EQ(burst.meta[0].verdict, Verdict::delay_past_deadline);
  EXPECT_EQ(burst.meta[0].throttle_ms, 80u);
  ASSERT_EQ(state.delayed_count, 1);
  EXPECT_EQ(state.delayed[0].position, 1);
  EXPECT_EQ(burst.meta[1].throttle_ms, 80u) << "the refused one does not count for the next";
  EXPECT_EQ(windows->used(intent_key(1, 2), windows->step_at(now)), 7u);
}

TEST_F(QuotaStage, AFullWheelRefuses) {
  State small(3, kMs, 6000 * kMs);
  limit_intent(1, 2, 100);
  EXPECT_EQ(admit(69, 1, 2), 69u);
  start();
  for (int k = 0; k < 5; ++k) add(1, 2);
  quota::run(table, *windows, small, burst, live, now, kUnixStart + now);
  EXPECT_EQ(small.delayed_count, 3);
  EXPECT_EQ(refused(Verdict::delay_full), 2u);
  park(small, burst);
  start();
  add(1, 2);
  quota::run(table, *windows, small, burst, live, now, kUnixStart + now);
  EXPECT_EQ(burst.meta[0].verdict, Verdict::delay_full);
  EXPECT_EQ(windows->used(intent_key(1, 2), windows->step_at(now)), 72u);
}

TEST_F(QuotaStage, DelayedPacketsComeBackOnTimeWithTheirMetadata) {
  limit_intent(1, 2, 10);
  send(6, 1, 2);
  start();
  add(1, 2).target_id = 77;
  run();
  ASSERT_EQ(state.delayed_count, 1);
  rte_mbuf* packet = burst.packets[0];
  park(state, burst);
  EXPECT_EQ(burst.packets[0], nullptr);
  EXPECT_EQ(state.delayed_count, 0);

  start();
  EXPECT_EQ(release(state, now + 79 * kMs, burst, live), 0u);
  Tsc left = 0;
  for (Tsc t = now + 80 * kMs; left == 0; t += 100) {
    ASSERT_LE(t, now + 81 * kMs) << "at most one slot late";
    if (release(state, t, burst, live) == 1) left = t;
  }
  ASSERT_EQ(live.count, 1);
  EXPECT_EQ(burst.packets[0], packet);
  EXPECT_EQ(burst.meta[0].target_id, 77u);
}

TEST_F(QuotaStage, ReleaseFillsTheBurstAndNoMore) {
  limit_intent(1, 2, 300);
  admit(209, 1, 2);
  for (int k = 0; k < 3; ++k) {
    send(10, 1, 2);
    park(state, burst);
  }
  start();
  for (int k = 0; k < 50; ++k) add(3, 1);
  EXPECT_EQ(release(state, now + kSecond, burst, live), 14u);
  EXPECT_EQ(burst.count, 64);
  EXPECT_EQ(live.count, 64);
  start();
  EXPECT_EQ(release(state, now + kSecond, burst, live), 16u);
}

TEST_F(QuotaStage, ALaterCommandDoesNotOvertakeADelayedOne) {
  limit_intent(1, 2, 10);
  send(9, 1, 2);  // the last of them waits for 2560 ms
  ASSERT_EQ(state.delayed_count, 3);
  const Tsc last = state.delayed[2].due;
  park(state, burst);
  now += 10 * kMs;
  table.intent_limits[1].by_intent[2] = 1000;  // the next one is far below 70 %
  start();
  add(1, 2);
  add(1, 3);  // another intent does not wait
  run();
  ASSERT_EQ(state.delayed_count, 1);
  EXPECT_EQ(state.delayed[0].due, last);
  EXPECT_EQ(burst.meta[0].reply_status, lcp::Status::delayed);
  EXPECT_EQ(burst.meta[0].throttle_ms, 2550u);
  EXPECT_EQ(live.count, 1);
  rte_mbuf* later = burst.packets[0];
  park(state, burst);

  now = last + kMs;
  start();
  ASSERT_EQ(release(state, now, burst, live), 4u);
  EXPECT_EQ(burst.packets[3], later);
  send(1, 1, 2);
  EXPECT_EQ(live.count, 1) << "nothing waits any more";
}

TEST_F(QuotaStage, OrderHoldsOverWorkers) {
  State other(100, kMs, 6000 * kMs);
  limit_intent(1, 2, 10);
  send(7, 1, 2);
  ASSERT_EQ(state.delayed_count, 1);
  const Tsc due = state.delayed[0].due;
  table.intent_limits[1].by_intent[2] = 1000;
  start();
  add(1, 2);
  quota::run(table, *windows, other, burst, live, now + kMs, kUnixStart + now);
  ASSERT_EQ(other.delayed_count, 1);
  EXPECT_EQ(other.delayed[0].due, due);
}

TEST_F(QuotaStage, OrderHoldsWhileDuePacketsWaitForRoomInTheBurst) {
  limit_intent(1, 2, 1000);
  admit(700, 1, 2);
  state.delayed_count = 0;
  for (int k = 0; k < 3; ++k) {
    send(32, 1, 2);
    park(state, burst);
  }
  now += 3 * kSecond;
  table.intent_limits[1].by_intent[2] = 1'000'000;
  start();
  ASSERT_EQ(release(state, now, burst, live), 64u);  // 32 more are due
  send(1, 1, 2);
  EXPECT_EQ(live.count, 0);
  ASSERT_EQ(state.delayed_count, 1);
  rte_mbuf* later = burst.packets[0];
  park(state, burst);
  start();
  ASSERT_EQ(release(state, now + kMs, burst, live), 33u);
  EXPECT_EQ(burst.packets[32], later);
}

TEST_F(QuotaStage, AChangedLimitKeepsWhatWasUsed) {
  limit_intent(1, 2, 100 | kHard);
  EXPECT_EQ(admit(100, 1, 2), 90u);
  table.intent_limits[1].by_intent[2] = 200 | kHard;
  EXPECT_EQ(admit(200, 1, 2), 90u);
  table.intent_limits[1].by_intent[2] = 50 | kHard;
  send(1, 1, 2);
  EXPECT_EQ(refused(Verdict::quota_rejected), 1u);
  EXPECT_EQ(windows->used(intent_key(1, 2), windows->step_at(now)), 180u);
}

TEST_F(QuotaStage, ATscThatJumpsBackRefillsNothingAndGoesOn) {
  limit_intent(1, 2, 10 | kHard);
  now = 1000 * kSecond;
  EXPECT_EQ(admit(20, 1, 2), 9u);
  now = 100 * kSecond;  // fifteen minutes back
  EXPECT_EQ(admit(20, 1, 2), 0u);
  now += 60 * kSecond;
  EXPECT_EQ(admit(20, 1, 2), 0u);
  now += kSecond;
  EXPECT_EQ(admit(20, 1, 2), 9u) << "a minute later there is room again";
}

TEST_F(QuotaStage, AWorkerThatLagsCountsIntoTheNewestStep) {
  State lagging(10, kMs, kSecond);
  limit_intent(1, 2, 10 | kHard);
  now = 200 * kSecond;
  EXPECT_EQ(admit(5, 1, 2), 5u);
  start();
  for (int k = 0; k < 10; ++k) add(1, 2);
  quota::run(table, *windows, lagging, burst, live, 150 * kSecond, kUnixStart);
  EXPECT_EQ(live.count, 4);
  EXPECT_EQ(windows->used(intent_key(1, 2), windows->step_at(now + 60 * kSecond)), 9u);
}

TEST_F(QuotaStage, FloorOfNineTenthsAMinuteAtTwiceTheQuota) {
  limit_intent(1, 2, 600);
  state = State(1000, kMs, 6000 * kMs);
  std::vector<Tsc> admitted;
  for (now = 100 * kSecond; now < 280 * kSecond; now += 50 * kMs) {  // 20 a second, 3 minutes
    start();
    release(state, now, burst, live);
    send(1, 1, 2);
    if (live.count + state.delayed_count == 1) admitted.push_back(now);
    park(state, burst);
  }
  size_t most = 0;
  for (size_t a = 0, b = 0; b < admitted.size(); ++b) {
    while (admitted[b] - admitted[a] >= 60 * kSecond) ++a;
    most = std::max(most, b - a + 1);
  }
  EXPECT_EQ(most, 540u);
  EXPECT_EQ(admitted.size(), 3u * 540u);
}

TEST_F(QuotaStage, KeepsKeysApartWhenTheRoundsOfItsHashBeginAnew) {
  limit_intent(1, 2, 100);
  limit_intent(1, 3, 100);
  state.scratch.round = kRoundMax - 2;
  for (int bursts = 0; bursts < 5; ++bursts) {
    start();
    for (const IntentIndex intent : {2, 3, 2}) add(1, intent);
    run();
    EXPECT_EQ(live.count, 3);
  }
  EXPECT_EQ(state.scratch.round, 3u);
  EXPECT_EQ(windows->used(intent_key(1, 2), windows->step_at(now)), 10u);
  EXPECT_EQ(windows->used(intent_key(1, 3), windows->step_at(now)), 5u);
}

TEST_F(QuotaStage, TellsWhatIsLeftToThoseThatSomethingElseRefuses) {
  limit_org(0, 100);
  limit_intent(0, 1, 10);
  admit(4, 0, 1);
  start();
  add(0, 1);
  add(0, 2);
  add(0, 1).flags = 0;
  add(kNoOrg, 1);
  add(3, 1);
  for (uint32_t i = 0; i < burst.count; ++i) burst.meta[i].throttle_ms = 80;
  tell(table, *windows, burst, live, now);
  EXPECT_EQ(burst.meta[0].quota_remaining, 5u) << "of the tighter one: 9 less 4";
  EXPECT_EQ(burst.meta[1].quota_remaining, 86u);
  EXPECT_EQ(burst.meta[2].quota_remaining, 0u) << "nobody asks";
  EXPECT_EQ(burst.meta[3].quota_remaining, 0u) << "nobody knows who it is";
  EXPECT_EQ(burst.meta[4].quota_remaining, 0xffffffffu) << "no limit";
  EXPECT_EQ(burst.meta[0].reset_seconds, 0u);
  EXPECT_EQ(burst.meta[0].throttle_ms, 80u);

  admit(5, 0, 1);  // all nine
  start();
  add(0, 1).throttle_ms = 80;
  tell(table, *windows, burst, live, now);
  Meta told = burst.meta[0];
  EXPECT_EQ(told.quota_remaining, 0u);
  send(1, 0, 1);
  EXPECT_EQ(burst.meta[0].verdict, Verdict::quota_rejected);
  EXPECT_EQ(told.reset_seconds, burst.meta[0].reset_seconds) << "as the stage itself says";
  EXPECT_EQ(told.throttle_ms, burst.meta[0].throttle_ms);
}

}  // namespace
}  // namespace lf::quota
