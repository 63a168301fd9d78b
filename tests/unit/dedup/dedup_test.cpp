// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dedup/dedup.hpp"

#include <gtest/gtest.h>

#include "control/parse/table_builder.hpp"
#include "dataplane/parse/parse.hpp"
#include "tests/support/mbufs.hpp"
#include "tests/support/world.hpp"
#include "tests/unit/ledger/test_ledger.hpp"

namespace lf::dedup {
namespace {

using ledger::test::flight_to;
using test::build;
using test::Packet;

constexpr Tsc kNow = 1'000'000;

struct Fixture {
  parse::Table table = parse::build_table(test::world(), test::world_ports()).value();
  ledger::test::TestLedger ledger;
  std::unique_ptr<State> state = std::make_unique<State>();
  test::TestBurst b;
  Selection live;

  Meta& add(uint64_t id, uint8_t attempt = 0, uint32_t org = 1, bool authenticated = true) {
    Packet p;
    p.lcp.id = id;
    p.lcp.attempt = attempt;
    p.lcp.org = org;
    b.add(build(p));
    parse::State parse_state;
    parse::Sorted sorted;
    parse::run(table, parse_state, *b.burst, sorted, 0);
    for (uint32_t i = 0; i < b.burst->count; ++i) b.burst->meta[i].verdict = Verdict::none;
    for (uint32_t i = 0; i + 1 < b.burst->count; ++i) b.burst->meta[i] = kept_[i];
    Meta& m = b.burst->meta[b.burst->count - 1];
    m.authenticated = authenticated;
    m.org = org - 1;
    kept_[b.burst->count - 1] = m;
    return m;
  }
  void run() {
    live = b.all();
    dedup::run(*ledger, *state, *b.burst, live, kNow);
  }
  ledger::Found find(uint32_t i) const {
    const Meta& m = meta(i);
    const ledger::Name name{m.lcp->command_id, ledger::space_of(m.org_id, m.authenticated)};
    const ledger::Hash hash = ledger->hasher().one(name);
    ledger::Found found;
    ledger->find(&hash, 1, kNow, &found);
    return found;
  }
  void next_burst() { b.burst->count = 0; }
  const Meta& meta(uint32_t i) const { return b.burst->meta[i]; }

 private:
  Meta kept_[kBurstMax];
};

TEST(Dedup, ABurstWithEveryKindOfCommand) {
  Fixture f;
  f.add(1);
  f.add(2);
  f.add(3);
  f.run();
  ASSERT_EQ(f.live.count, 3);
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_NE(f.meta(i).ledger_ref, 0u);
    EXPECT_FALSE(f.meta(i).is_retry);
    f.ledger->record_sent(f.meta(i).ledger_ref, flight_to(static_cast<NodeSlot>(20 + i), kNow),
                          false, kNow, f.ledger.counts);
  }
  ASSERT_EQ(f.ledger->settle(f.find(1), lcp::Status::failed, f.ledger->epoch_of(kNow)),
            ledger::Settled::answered);
  const ledger::Ref ref_of_3 = f.meta(2).ledger_ref;

  f.next_burst();
  f.add(1);     // in flight
  f.add(2, 4);  // answered
  f.add(3, 1);  // retry
  f.add(4);     // fresh
  f.add(4);     // the same again
  f.run();
  ASSERT_EQ(f.live.count, 2);
  EXPECT_EQ(f.live.index[0], 2);
  EXPECT_EQ(f.live.index[1], 3);
  EXPECT_EQ(f.meta(0).verdict, Verdict::duplicate_in_flight);
  EXPECT_EQ(f.meta(0).reply_status, lcp::Status::duplicate);
  EXPECT_EQ(f.meta(0).ledger_ref, 0u);
  EXPECT_EQ(f.meta(1).verdict, Verdict::duplicate_answered);
  EXPECT_EQ(f.meta(1).reply_status, lcp::Status::failed);
  EXPECT_EQ(f.meta(2).verdict, Verdict::none);
  EXPECT_TRUE(f.meta(2).is_retry);
  EXPECT_EQ(f.meta(2).node, 22);
  EXPECT_EQ(f.meta(2).ledger_ref, ref_of_3);
  EXPECT_EQ(f.meta(3).verdict, Verdict::none);
  EXPECT_EQ(f.meta(4).verdict, Verdict::duplicate_in_flight);
  EXPECT_EQ(f.state->counts.fresh.read(), 4u);
  EXPECT_EQ(f.state->counts.duplicates.read(), 3u);
  EXPECT_EQ(f.state->counts.retries.read(), 1u);
}

TEST(Dedup, NobodyBurnsAnIdWithoutProof) {
  Fixture f;
  f.add(1, 0, 1, false);
  f.add(1, 0, 1, true);
  f.add(1, 0, 1, false);
  f.add(1, 0, 2, true);
  f.run();
  EXPECT_EQ(f.meta(0).verdict, Verdict::none);
  EXPECT_EQ(f.meta(1).verdict, Verdict::none);
  EXPECT_EQ(f.meta(2).verdict, Verdict::duplicate_in_flight);
  EXPECT_EQ(f.meta(3).verdict, Verdict::none);
}

// expect() takes a tag for proof; authenticate may find otherwise, and take packets out.
TEST(Dedup, WrongGuessesBeforeAuthenticationChangeNothing) {
  for (const bool tagged : {false, true}) {
    Fixture f;
    f.add(1, 0, 1, false);
    f.add(1, 0, 1, true);
    f.add(2, 0, 1, true);
    f.add(1, 0, 1, false);
    f.add(1, 0, 1, true);
    for (uint32_t i = 0; i < 5; ++i) f.b.burst->meta[i].flags = tagged ? lcp::kFlagTagged : 0;
    for (const uint32_t i : {0u, 1u, 2u}) f.live.add(i);
    expect(*f.ledger, *f.state, *f.b.burst, f.live, 0);
    for (const uint32_t i : {3u, 4u}) f.live.add(i);
    expect(*f.ledger, *f.state, *f.b.burst, f.live, 3);
    f.live.count = 0;
    for (const uint32_t i : {0u, 1u, 3u, 4u}) f.live.add(i);
    EXPECT_EQ(duplicates(*f.ledger, *f.state, *f.b.burst, f.live, kNow), 0u);
    dedup::run(*f.ledger, *f.state, *f.b.burst, f.live, kNow);
    EXPECT_EQ(f.meta(0).verdict, Verdict::none);
    EXPECT_EQ(f.meta(1).verdict, Verdict::none);
    EXPECT_EQ(f.meta(3).verdict, Verdict::duplicate_in_flight);
    EXPECT_EQ(f.meta(4).verdict, Verdict::duplicate_in_flight);
    EXPECT_NE(f.find(0).ref, f.find(1).ref);
    EXPECT_EQ(f.find(2).ref, 0u);
  }
}

// Eight at a time are noted at once where all are tagged or none is.
TEST(Dedup, EachOfEightIsHashedAndNotedAsItsTagSays) {
  Fixture f;
  for (uint32_t i = 0; i < 8; ++i) f.add(100 + i);
  f.live = f.b.all();
  for (uint32_t one = 0; one <= 8; ++one) {  // 8: none is otherwise
    for (const bool tagged : {false, true}) {
      for (uint32_t i = 0; i < 8; ++i)
        f.b.burst->meta[i].flags = (i == one) != tagged ? lcp::kFlagTagged : 0;
      expect(*f.ledger, *f.state, *f.b.burst, f.live, 0);
      for (uint32_t i = 0; i < 8; ++i) {
        const Meta& m = f.meta(i);
        const bool proven = (m.flags & lcp::kFlagTagged) != 0;
        ASSERT_EQ(f.state->made[i], proven ? State::Made::as_proven : State::Made::as_unproven)
            << one << " " << i;
        const ledger::Hash right =
            f.ledger->hasher().one({m.lcp->command_id, ledger::space_of(m.org_id, proven)});
        ASSERT_EQ(f.state->hashes[i].hi, right.hi) << one << " " << i;
        ASSERT_EQ(f.state->hashes[i].lo, right.lo) << one << " " << i;
      }
    }
  }
}

TEST(Dedup, ARetryInTheSameBurstComesAfterwards) {
  Fixture f;
  f.add(1, 0);
  f.add(1, 1);
  f.add(2, 0);
  f.add(1, 2);
  f.run();
  EXPECT_EQ(f.live.count, 2);
  ASSERT_EQ(f.state->deferred.count, 2);
  EXPECT_EQ(f.state->deferred.index[0], 1);
  EXPECT_EQ(f.state->deferred.index[1], 3);
  EXPECT_EQ(f.meta(1).verdict, Verdict::none);

  f.ledger->record_sent(f.meta(0).ledger_ref, flight_to(7, kNow), false, kNow, f.ledger.counts);
  Selection again = f.state->deferred;
  dedup::run(*f.ledger, *f.state, *f.b.burst, again, kNow);
  EXPECT_EQ(again.count, 2);
  EXPECT_EQ(f.state->deferred.count, 0);
  EXPECT_TRUE(f.meta(1).is_retry);
  EXPECT_EQ(f.meta(1).node, 7);
  EXPECT_TRUE(f.meta(3).is_retry);
}

TEST(Dedup, ARetryOfADelayedCommandIsADuplicate) {
  Fixture f;
  f.add(1, 0);
  f.run();
  f.ledger->park(f.meta(0).ledger_ref);
  f.next_burst();
  f.add(1, 1);
  f.run();
  EXPECT_EQ(f.meta(0).verdict, Verdict::duplicate_in_flight);
  EXPECT_EQ(f.state->deferred.count, 0);
}

TEST(Dedup, WhatIsRefusedLaterMayComeAgain) {
  Fixture f;
  f.add(1, 0);
  f.run();
  give_back(*f.ledger, *f.state, f.meta(0));
  f.next_burst();
  f.add(1, 0);
  f.run();
  EXPECT_EQ(f.meta(0).verdict, Verdict::none);
  f.ledger->record_sent(f.meta(0).ledger_ref, flight_to(7, kNow), false, kNow, f.ledger.counts);

  f.next_burst();
  f.add(1, 1);
  f.run();
  ASSERT_TRUE(f.meta(0).is_retry);
  give_back(*f.ledger, *f.state, f.meta(0));
  f.run();
  EXPECT_EQ(f.meta(0).verdict, Verdict::none);
  EXPECT_TRUE(f.meta(0).is_retry);
}

TEST(Dedup, SaysWhenThereIsNoRoom) {
  Fixture f;
  const auto ids = [&] {
    // Packet ids are the second half of command_id; find nine that share a bucket.
    std::vector<uint64_t> found;
    for (uint64_t id = 1; found.size() < 9; ++id) {
      f.next_burst();
      Meta& m = f.add(id);
      const ledger::Hash h = f.ledger->hasher().one({m.lcp->command_id, ledger::space_of(1, true)});
      if ((h.hi & (f.ledger->buckets() - 1)) == 0) found.push_back(id);
    }
    f.next_burst();
    return found;
  }();
  for (const uint64_t id : ids) f.add(id);
  f.run();
  EXPECT_EQ(f.live.count, 8);
  EXPECT_EQ(f.meta(8).verdict, Verdict::ledger_full);
  EXPECT_EQ(f.meta(8).reply_status, lcp::Status::busy);
}

TEST(Dedup, LooksWithoutEnteringForAdmissionControl) {
  Fixture f;
  f.add(1);
  f.add(2);
  f.run();
  f.ledger->record_sent(f.meta(0).ledger_ref, flight_to(7, kNow), false, kNow, f.ledger.counts);
  f.next_burst();
  f.add(1, 0);  // duplicate
  f.add(3);     // fresh
  f.add(1, 1);  // retry
  f.add(2, 1);  // not sent yet
  EXPECT_EQ(duplicates(*f.ledger, *f.state, *f.b.burst, f.b.all(), kNow), 0b1001u);
  EXPECT_EQ(f.state->counts.fresh.read(), 2u);
  f.run();
  EXPECT_EQ(f.meta(1).verdict, Verdict::none);
}

TEST(Dedup, AnEmptySelectionIsNothing) {
  Fixture f;
  f.run();
  EXPECT_EQ(f.live.count, 0);
}

}  // namespace
}  // namespace lf::dedup
