// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ledger/ledger.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "tests/unit/ledger/test_ledger.hpp"

namespace lf::ledger {
namespace {

using test::flight_to;
using test::small;
using test::TestLedger;

constexpr Tsc kNow = 1'000'000;
constexpr Tsc kWindow = 6400;  // 64 epochs of 100 ticks

TEST(Ledger, TellsFreshFromDuplicateFromAnswered) {
  TestLedger l;
  const Admission first = l.admit(1, 7, 0, kNow);
  ASSERT_EQ(first.result, Lookup::fresh);
  EXPECT_NE(first.ref, 0u);
  EXPECT_EQ(l.admit(1, 7, 0, kNow).result, Lookup::duplicate_in_flight);
  EXPECT_EQ(l.admit(2, 7, 0, kNow).result, Lookup::fresh);  // another organisation's

  EXPECT_TRUE(l->record_sent(first.ref, flight_to(4, kNow), false, kNow, l.counts).recorded);
  EXPECT_EQ(l.admit(1, 7, 0, kNow).result, Lookup::duplicate_in_flight);

  const Found found = l.find(1, 7, kNow);
  ASSERT_TRUE(found.has_flight());
  EXPECT_EQ(l->settle(found, lcp::Status::busy, l->epoch_of(kNow)), Settled::answered);
  for (const uint8_t attempt : {0, 1, 255}) {
    const Admission again = l.admit(1, 7, attempt, kNow);
    EXPECT_EQ(again.result, Lookup::duplicate_answered);
    EXPECT_EQ(again.status, lcp::Status::busy);
  }
}

TEST(Ledger, KeepsTheFlightWhole) {
  TestLedger l;
  const Tsc sent = 0x00fedcba98765400;
  const Flight in = flight_to(0x0abc, sent, 9);
  const Admission a = l.admit(1, 7, 9, kNow);
  ASSERT_TRUE(l->record_sent(a.ref, in, false, kNow, l.counts).recorded);
  const Flight out = l.find(1, 7, kNow).flight;
  EXPECT_EQ(out.client.address, in.client.address);
  EXPECT_EQ(out.client.local, in.client.local);
  EXPECT_EQ(out.client.port, in.client.port);
  EXPECT_EQ(out.client.local_port, in.client.local_port);
  EXPECT_EQ(std::memcmp(&out.client.mac, &in.client.mac, 6), 0);
  EXPECT_EQ(out.client.vlan_tci, in.client.vlan_tci);
  EXPECT_EQ(out.client.out_port, in.client.out_port);
  EXPECT_EQ(out.client.ip_version, in.client.ip_version);
  EXPECT_EQ(out.sent, sent);
  EXPECT_EQ(out.replay_slot, in.replay_slot);
  EXPECT_EQ(out.service, in.service);
  EXPECT_EQ(out.node, in.node);
  EXPECT_EQ(out.breaker_epoch, in.breaker_epoch);
  EXPECT_EQ(out.attempt, in.attempt);
  EXPECT_EQ(out.flags, in.flags);
}

TEST(Ledger, LetsEachHigherAttemptPassOnce) {
  TestLedger l;
  const Admission a = l.admit(1, 7, 0, kNow);
  EXPECT_EQ(l.admit(1, 7, 1, kNow).result, Lookup::unsent);  // it has not left yet
  l->record_sent(a.ref, flight_to(4, kNow), false, kNow, l.counts);

  const Admission retry = l.admit(1, 7, 2, kNow);
  EXPECT_EQ(retry.result, Lookup::retry);
  EXPECT_EQ(retry.node, 4);
  EXPECT_EQ(retry.ref, a.ref);
  EXPECT_EQ(l.admit(1, 7, 2, kNow).result, Lookup::duplicate_in_flight);
  EXPECT_EQ(l.admit(1, 7, 1, kNow).result, Lookup::duplicate_in_flight);

  const Sent sent = l->record_sent(retry.ref, flight_to(5, kNow + 999, 2), true, kNow, l.counts);
  EXPECT_TRUE(sent.recorded);
  EXPECT_EQ(sent.left, 4);
  EXPECT_EQ(l.find(1, 7, kNow).flight.node, 5);
  EXPECT_EQ(l.admit(1, 7, 3, kNow).node, 5);
}

TEST(Ledger, GivesIdsBack) {
  TestLedger l;
  const Admission a = l.admit(1, 7, 0, kNow);
  l->release(a.ref, l.counts);
  EXPECT_EQ(l.find(1, 7, kNow).ref, 0u);
  const Admission b = l.admit(1, 7, 0, kNow);
  EXPECT_EQ(b.result, Lookup::fresh);

  // What was sent is not given back by a mistaken release.
  l->record_sent(b.ref, flight_to(4, kNow), false, kNow, l.counts);
  l->release(b.ref, l.counts);
  EXPECT_EQ(l.admit(1, 7, 0, kNow).result, Lookup::duplicate_in_flight);

  // A refused retry may come again.
  ASSERT_EQ(l.admit(1, 7, 3, kNow).result, Lookup::retry);
  l->release_retry(b.ref, 3);
  EXPECT_EQ(l.admit(1, 7, 2, kNow).result, Lookup::duplicate_in_flight);
  EXPECT_EQ(l.admit(1, 7, 3, kNow).result, Lookup::retry);
}

// Otherwise a worker that was held up between its look and its swap could enter a second owner,
// once the same id was entered and given back 32 times.
TEST(Ledger, ASlotThatIsGivenBackNeverLooksAsBefore) {
  TestLedger l;
  const uint64_t bucket = l.hash(1, 7).hi & (l->buckets() - 1);
  std::set<std::pair<uint64_t, uint64_t>> seen;
  for (int lap = 0; lap < 1000; ++lap) {
    const Admission a = l.admit(1, 7, 0, kNow);
    ASSERT_EQ(a.result, Lookup::fresh);
    if (lap % 3 == 0) {  // by its owner, or because it never left
      const Flight f = flight_to(4, kNow);
      l->record_sent(a.ref, f, false, kNow, l.counts);
      ASSERT_TRUE(l->take_back(a.ref, stamp_of(f.sent), false, l.counts));
    } else {
      l->release(a.ref, l.counts);
    }
    const uint32_t way = lap % kWays;
    const Word word = l->peek(bucket, way);
    ASSERT_EQ(word.state(), State::none);
    EXPECT_TRUE(seen.insert({way, word.hi}).second) << "lap " << lap;
  }
}

TEST(Ledger, OfAParkedCommandNoRetryPasses) {
  TestLedger l;
  const Admission a = l.admit(1, 7, 0, kNow);
  l->park(a.ref);
  EXPECT_EQ(l.admit(1, 7, 1, kNow).result, Lookup::unsent);
  EXPECT_FALSE(l.find(1, 7, kNow).has_flight());
  EXPECT_TRUE(l->record_sent(a.ref, flight_to(4, kNow), false, kNow, l.counts).recorded);
  EXPECT_EQ(l.find(1, 7, kNow).flight.node, 4);
}

TEST(Ledger, CountsATimeOutOnceAndStillTakesTheReply) {
  TestLedger l;
  const Admission a = l.admit(1, 7, 0, kNow);
  const Flight f = flight_to(4, kNow);
  l->record_sent(a.ref, f, false, kNow, l.counts);
  EXPECT_FALSE(l->mark_timed_out(a.ref, stamp_of(f.sent) + 1));  // another transmission's
  EXPECT_TRUE(l->mark_timed_out(a.ref, stamp_of(f.sent)));
  EXPECT_FALSE(l->mark_timed_out(a.ref, stamp_of(f.sent)));
  EXPECT_EQ(l.admit(1, 7, 0, kNow).result, Lookup::duplicate_in_flight);

  const Found late = l.find(1, 7, kNow);
  ASSERT_TRUE(late.has_flight());
  EXPECT_EQ(l->settle(late, lcp::Status::ok, l->epoch_of(kNow)), Settled::late);
  EXPECT_EQ(l->settle(late, lcp::Status::ok, l->epoch_of(kNow)), Settled::changed);
  EXPECT_EQ(l.find(1, 7, kNow).state(), State::answered);
}

TEST(Ledger, ATimeOutOfAnEarlierTransmissionDoesNotCount) {
  TestLedger l;
  const Admission a = l.admit(1, 7, 0, kNow);
  const Flight first = flight_to(4, kNow), second = flight_to(5, kNow + 4096, 1);
  l->record_sent(a.ref, first, false, kNow, l.counts);
  l.admit(1, 7, 1, kNow);
  l->record_sent(a.ref, second, true, kNow, l.counts);
  EXPECT_FALSE(l->mark_timed_out(a.ref, stamp_of(first.sent)));
  EXPECT_TRUE(l->mark_timed_out(a.ref, stamp_of(second.sent)));
  // Sent once more after that: the node does not leave a second time.
  l.admit(1, 7, 2, kNow);
  EXPECT_EQ(l->record_sent(a.ref, first, true, kNow, l.counts).left, kNoNode);
}

TEST(Ledger, AReplyBeforeTheCommandWasSentAgainIsNotSettledFromAnOldLook) {
  TestLedger l;
  const Admission a = l.admit(1, 7, 0, kNow);
  l->record_sent(a.ref, flight_to(4, kNow), false, kNow, l.counts);
  const Found before = l.find(1, 7, kNow);
  l->record_sent(a.ref, flight_to(5, kNow), true, kNow, l.counts);  // replay: same attempt
  EXPECT_EQ(l->settle(before, lcp::Status::ok, l->epoch_of(kNow)), Settled::changed);
}

TEST(Ledger, KnowsWhichTransmissionIsOwed) {
  TestLedger l;
  const Admission a = l.admit(1, 7, 0, kNow);
  const uint32_t stamp = stamp_of(flight_to(4, kNow).sent);
  EXPECT_FALSE(l->is_owed(a.ref, stamp));
  l->record_sent(a.ref, flight_to(4, kNow), false, kNow, l.counts);
  EXPECT_TRUE(l->is_owed(a.ref, stamp));
  EXPECT_FALSE(l->is_owed(a.ref, stamp + 1));
  EXPECT_FALSE(l->is_owed(a.ref ^ uint64_t{1} << 40, stamp));  // of a command that has gone
  l->mark_timed_out(a.ref, stamp);
  EXPECT_TRUE(l->is_owed(a.ref, stamp));
  l->settle(l.find(1, 7, kNow), lcp::Status::ok, l->epoch_of(kNow));
  EXPECT_FALSE(l->is_owed(a.ref, stamp));
}

TEST(Ledger, WithdrawsATransmissionOnceAndItsOwnerSendsItElsewhere) {
  TestLedger l;
  const Admission a = l.admit(1, 7, 0, kNow);
  const uint32_t stamp = stamp_of(flight_to(4, kNow).sent);
  EXPECT_FALSE(l->withdraw(a.ref, stamp).owned) << "not sent yet";
  l->record_sent(a.ref, flight_to(4, kNow), false, kNow, l.counts);
  EXPECT_FALSE(l->withdraw(a.ref, stamp + 1).owned) << "another transmission's";
  EXPECT_FALSE(l->withdraw(a.ref ^ uint64_t{1} << 40, stamp).owned) << "a command that has gone";
  const Found before = l.find(1, 7, kNow);

  const Withdrawn w = l->withdraw(a.ref, stamp);
  EXPECT_TRUE(w.owned);
  EXPECT_EQ(w.left, 4);
  EXPECT_FALSE(l->withdraw(a.ref, stamp).owned);
  EXPECT_EQ(l->settle(before, lcp::Status::ok, l->epoch_of(kNow)), Settled::changed)
      << "its node's late reply";
  EXPECT_FALSE(l.find(1, 7, kNow).has_flight());
  EXPECT_FALSE(l->mark_timed_out(a.ref, stamp));
  EXPECT_EQ(l.admit(1, 7, 0, kNow).result, Lookup::duplicate_in_flight);
  EXPECT_EQ(l.admit(1, 7, 1, kNow).result, Lookup::unsent);

  const Sent sent = l->record_sent(a.ref, flight_to(5, kNow + 4096), false, kNow, l.counts);
  EXPECT_TRUE(sent.recorded);
  EXPECT_EQ(sent.left, kNoNode) << "it had left before";
  EXPECT_EQ(l.find(1, 7, kNow).flight.node, 5);
  EXPECT_FALSE(l->withdraw(a.ref, stamp).owned);
}

TEST(Ledger, WithdrawsWhatTimedOutAndGivesItsIdBack) {
  TestLedger l;
  const Admission a = l.admit(1, 7, 0, kNow);
  const uint32_t stamp = stamp_of(flight_to(4, kNow).sent);
  l->record_sent(a.ref, flight_to(4, kNow), false, kNow, l.counts);
  l->mark_timed_out(a.ref, stamp);
  const Withdrawn w = l->withdraw(a.ref, stamp);
  EXPECT_TRUE(w.owned);
  EXPECT_EQ(w.left, kNoNode) << "counted as a time-out already";
  l->release(a.ref, l.counts);
  EXPECT_EQ(l.admit(1, 7, 0, kNow).result, Lookup::fresh);
}

TEST(Ledger, WithdrawsNothingThatIsAnswered) {
  TestLedger l;
  const Admission a = l.admit(1, 7, 0, kNow);
  l->record_sent(a.ref, flight_to(4, kNow), false, kNow, l.counts);
  l->settle(l.find(1, 7, kNow), lcp::Status::ok, l->epoch_of(kNow));
  EXPECT_FALSE(l->withdraw(a.ref, stamp_of(flight_to(4, kNow).sent)).owned);
  EXPECT_EQ(l.find(1, 7, kNow).state(), State::answered);
}

TEST(Ledger, TakesBackWhatNeverLeft) {
  TestLedger l;
  const Admission a = l.admit(1, 7, 0, kNow);
  const uint32_t stamp = stamp_of(flight_to(4, kNow).sent);
  l->record_sent(a.ref, flight_to(4, kNow), false, kNow, l.counts);
  EXPECT_FALSE(l->take_back(a.ref, stamp + 1, false, l.counts));
  EXPECT_TRUE(l->take_back(a.ref, stamp, false, l.counts));
  EXPECT_FALSE(l->take_back(a.ref, stamp, false, l.counts));
  EXPECT_EQ(l.admit(1, 7, 0, kNow).result, Lookup::fresh);
}

TEST(Ledger, ForgetsAfterTheWindowAndNotBefore) {
  TestLedger l;
  const Tsc start = 100 * 1000;  // begins an epoch
  const Admission a = l.admit(1, 7, 0, start);
  l->park(a.ref);
  EXPECT_EQ(l.admit(1, 7, 0, start + kWindow).result, Lookup::duplicate_in_flight);
  EXPECT_EQ(l.find(1, 7, start + kWindow + 100).ref, 0u);
  EXPECT_EQ(l.admit(1, 7, 0, start + kWindow + 100).result, Lookup::fresh);
}

TEST(Ledger, AnAnswerStartsTheWindowAnew) {
  TestLedger l;
  const Tsc start = 100 * 1000;
  const Admission a = l.admit(1, 7, 0, start);
  l->record_sent(a.ref, flight_to(4, start), false, start, l.counts);
  l->settle(l.find(1, 7, start + 5000), lcp::Status::ok, l->epoch_of(start + 5000));
  EXPECT_EQ(l.admit(1, 7, 0, start + 5000 + kWindow).result, Lookup::duplicate_answered);
  EXPECT_EQ(l.admit(1, 7, 0, start + 5000 + kWindow + 100).result, Lookup::fresh);
}

TEST(Ledger, AWorkerWithAnEarlierClockSeesWhatIsThere) {
  TestLedger l;
  l.admit(1, 7, 0, kNow);
  EXPECT_EQ(l.admit(1, 7, 0, kNow - 1000).result, Lookup::duplicate_in_flight);
}

TEST(Ledger, SweepForgetsBeforeTheEpochComesAround) {
  TestLedger l;
  const Tsc start = 100 * 1000;
  l->park(l.admit(1, 7, 0, start).ref);
  const Admission b = l.admit(1, 8, 0, start);
  l->record_sent(b.ref, flight_to(4, start), false, start, l.counts);
  Swept s = l->sweep(0, l->buckets(), start);
  EXPECT_EQ(s.slots, kEntriesMin);
  EXPECT_EQ(s.unsent, 1u);
  EXPECT_EQ(s.in_flight, 1u);
  EXPECT_EQ(s.expired, 0u);
  s = l->sweep(0, l->buckets(), start + kWindow + 100);
  EXPECT_EQ(s.expired, 2u);
  EXPECT_EQ(s.in_flight, 0u);
  EXPECT_EQ(l.admit(1, 7, 0, start + 256 * 100).result, Lookup::fresh);
}

// Fills a bucket with commands of one organisation, answered.
std::vector<uint64_t> fill(TestLedger& l, uint32_t org, size_t count, Tsc now) {
  const auto ids = l.ids_of_bucket(org, 0, count);
  for (const uint64_t id : ids) {
    const Admission a = l.admit(org, id, 0, now);
    EXPECT_EQ(a.result, Lookup::fresh);
    l->record_sent(a.ref, flight_to(1, now), false, now, l.counts);
    l->settle(l.find(org, id, now), lcp::Status::ok, l->epoch_of(now));
  }
  return ids;
}

TEST(Ledger, InAFullBucketTheOldestGoesAndIsCounted) {
  TestLedger l;
  const auto ids = fill(l, 1, 10, kNow);
  EXPECT_EQ(l.counts.evicted_early.read(), 2u);
  EXPECT_EQ(l.counts.occupied.read(), 8u);
  EXPECT_EQ(l.find(1, ids[0], kNow).ref, 0u);
  EXPECT_EQ(l.find(1, ids[1], kNow).ref, 0u);
  for (int i = 2; i < 10; ++i) EXPECT_NE(l.find(1, ids[i], kNow).ref, 0u) << i;
}

TEST(Ledger, NothingLiveIsOverwrittenWhileThereIsAFreeSlot) {
  TestLedger l;
  const auto ids = fill(l, 1, 8, kNow);
  const auto more = l.ids_of_bucket(2, 0, 20);
  // An organisation whose commands are all refused: each takes one slot and gives it back.
  l->release(l.admit(2, more[0], 0, kNow).ref, l.counts);
  for (int i = 1; i < 20; ++i) {
    const Admission a = l.admit(2, more[i], 0, kNow);
    ASSERT_EQ(a.result, Lookup::fresh);
    l->release(a.ref, l.counts);
  }
  EXPECT_EQ(l.counts.evicted_early.read(), 1u);
  for (int i = 1; i < 8; ++i) EXPECT_NE(l.find(1, ids[i], kNow).ref, 0u) << i;
}

TEST(Ledger, AnOrganisationAtItsShareReplacesItsOwn) {
  TestLedger l(small(kWindow, 0.5));
  const auto mine = fill(l, 1, 4, kNow);
  const auto flood = l.ids_of_bucket(2, 0, 50);
  for (const uint64_t id : flood) {
    const Admission a = l.admit(2, id, 0, kNow);
    ASSERT_EQ(a.result, Lookup::fresh);
    l->park(a.ref);
  }
  for (const uint64_t id : mine) EXPECT_NE(l.find(1, id, kNow).ref, 0u) << id;
  EXPECT_EQ(l.counts.evicted_early.read(), 46u);
  EXPECT_GT(l.counts.share_evictions.read(), 0u);
  for (size_t i = 46; i < 50; ++i) EXPECT_NE(l.find(2, flood[i], kNow).ref, 0u) << i;
}

TEST(Ledger, AWholeShareLetsAnOrganisationHaveAll) {
  TestLedger l(small(kWindow, 1.0));
  const auto mine = fill(l, 1, 4, kNow);
  for (const uint64_t id : l.ids_of_bucket(2, 0, 8)) l->park(l.admit(2, id, 0, kNow).ref);
  for (const uint64_t id : mine) EXPECT_EQ(l.find(1, id, kNow).ref, 0u);
}

TEST(Ledger, WhatIsNotSentYetIsNotOverwritten) {
  TestLedger l;
  const auto ids = l.ids_of_bucket(1, 0, 9);
  Admission a[9];
  for (int i = 0; i < 8; ++i) a[i] = l.admit(1, ids[i], 0, kNow);
  EXPECT_EQ(l.admit(1, ids[8], 0, kNow).result, Lookup::full);
  EXPECT_EQ(l.counts.full.read(), 1u);
  l->park(a[5].ref);
  EXPECT_EQ(l.admit(1, ids[8], 0, kNow).result, Lookup::fresh);
  for (int i = 0; i < 9; ++i) EXPECT_EQ(l.find(1, ids[i], kNow).ref != 0, i != 5) << i;
  EXPECT_FALSE(l->record_sent(a[5].ref, flight_to(1, kNow), false, kNow, l.counts).recorded);
  EXPECT_EQ(l.counts.unrecorded.read(), 1u);
  // But not for ever.
  EXPECT_EQ(l.admit(1, ids[5], 0, kNow + 2 * kWindow).result, Lookup::fresh);
}

TEST(Ledger, ABurstMayHoldTheSameCommandTwice) {
  TestLedger l;
  Command c[64];
  Admission a[64];
  for (uint32_t k = 0; k < 64; ++k) c[k] = {l.hash(1, k % 5), 1, 0};
  l->admit(c, 64, kNow, l.counts, a);
  for (uint32_t k = 0; k < 64; ++k)
    EXPECT_EQ(a[k].result, k < 5 ? Lookup::fresh : Lookup::duplicate_in_flight) << k;
}

TEST(Ledger, SweepMendsLapBitsThatNameNoSlot) {
  std::vector<Bucket> buckets(kEntriesMin / kWays);
  Ledger ledger(small(), buckets.data());
  const TestLedger names;  // for hashes of the same secret
  const auto ids = names.ids_of_bucket(1, 0, 20);
  Counts counts;
  const auto admit = [&](uint64_t id) {
    const Command c{names.hash(1, id), 1, 0};
    Admission a;
    ledger.admit(&c, 1, kNow, counts, &a);
    if (a.result == Lookup::fresh) ledger.park(a.ref);
    return a.result;
  };
  for (int i = 0; i < 6; ++i) ASSERT_EQ(admit(ids[i]), Lookup::fresh);
  buckets[0].way(2).hi ^= uint64_t{1} << 63;
  buckets[0].way(4).hi ^= uint64_t{1} << 63;
  EXPECT_EQ(admit(ids[6]), Lookup::full);
  EXPECT_EQ(ledger.sweep(0, ledger.buckets(), kNow).repaired, 1u);
  EXPECT_EQ(ledger.sweep(0, ledger.buckets(), kNow).repaired, 0u);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(admit(ids[i]), Lookup::duplicate_in_flight) << i;
  for (int i = 6; i < 20; ++i) EXPECT_EQ(admit(ids[i]), Lookup::fresh) << i;
}

TEST(Ledger, RestoresAnsweredCommands) {
  TestLedger old, fresh;
  const auto ids = fill(old, 1, 8, kNow);
  for (uint32_t way = 0; way < kWays; ++way) {
    const Word w = old->peek(0, way);
    EXPECT_TRUE(fresh->restore(0, w));
    EXPECT_FALSE(fresh->restore(0, w));
  }
  for (const uint64_t id : ids)
    EXPECT_EQ(fresh.admit(1, id, 0, kNow).result, Lookup::duplicate_answered);
  EXPECT_FALSE(fresh->restore(1, old->peek(1, 0)));  // holds none
}

}  // namespace
}  // namespace lf::ledger
