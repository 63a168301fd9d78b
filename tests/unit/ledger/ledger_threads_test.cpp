// SPDX-License-Identifier: Apache-2.0
// Many threads on one ledger, for ThreadSanitizer and for the promise that matters: of all threads
// that bring the same command, exactly one is told that it is fresh, and exactly one settles it.
#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <thread>
#include <vector>

#include "tests/unit/ledger/test_ledger.hpp"

namespace lf::ledger {
namespace {

using test::flight_to;
using test::small;
using test::TestLedger;

constexpr int kThreads = 4;
constexpr Tsc kNow = 1'000'000;
constexpr uint64_t kKeys = 6;  // at a time, all in one bucket

struct Shared {
  TestLedger ledger{small(6400)};
  Counts counts[kThreads];
  std::vector<uint64_t> ids = ledger.ids_of_bucket(1, 0, 600);
  std::vector<Hash> hashes;
  std::vector<std::atomic<int>> fresh, answered, timed_out, retried;

  Shared() : fresh(ids.size()), answered(ids.size()), timed_out(ids.size()), retried(ids.size()) {
    for (const uint64_t id : ids) hashes.push_back(ledger.hash(1, id));
  }
};

// Every thread brings the same keys of a round, in an order of its own, and answers them.
void run(Shared& s, int thread, std::barrier<>& round_starts) {
  for (size_t first = 0; first + kKeys <= s.ids.size(); first += kKeys) {
    round_starts.arrive_and_wait();
    for (uint64_t k = 0; k < kKeys; ++k) {
      const size_t key = first + (k + static_cast<uint64_t>(thread)) % kKeys;
      const Command c{s.hashes[key], 1, 0};
      const Command retry{s.hashes[key], 1, 1};
      Admission a, b;
      s.ledger->admit(&c, 1, kNow, s.counts[thread], &a);
      if (a.result == Lookup::fresh) {
        ++s.fresh[key];
        if (!s.ledger->record_fresh<false>(a.ref, flight_to(3, kNow), s.ledger->epoch_of(kNow)))
          s.ledger->record_sent(a.ref, flight_to(3, kNow), false, kNow, s.counts[thread]);
      }
      s.ledger->admit(&retry, 1, kNow, s.counts[thread], &b);
      if (b.result == Lookup::retry) {
        ++s.retried[key];
        s.ledger->record_sent(b.ref, flight_to(4, kNow + 4096, 1), true, kNow, s.counts[thread]);
      }
      Found f;
      s.ledger->find(&s.hashes[key], 1, kNow, &f);
      if (f.has_flight()) {
        EXPECT_TRUE(f.flight.node == 3 || f.flight.node == 4);
        EXPECT_EQ(f.flight.attempt, f.flight.node == 4);  // never half of one and half of another
        s.timed_out[key] += s.ledger->mark_timed_out(f.ref, stamp_of(f.flight.sent));
        s.ledger->find(&s.hashes[key], 1, kNow, &f);
        if (s.ledger->settle(f, lcp::Status::ok, s.ledger->epoch_of(kNow)) != Settled::changed) ++s.answered[key];
      }
    }
  }
}

TEST(LedgerThreads, OneOfManyIsFreshAndOneSettles) {
  Shared s;
  std::barrier round_starts(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) threads.emplace_back([&, t] { run(s, t, round_starts); });
  for (auto& t : threads) t.join();
  for (size_t key = 0; key < s.ids.size(); ++key) {
    EXPECT_EQ(s.fresh[key], 1) << key;
    EXPECT_LE(s.answered[key], 1) << key;
    EXPECT_LE(s.retried[key], 1) << key;
    EXPECT_LE(s.timed_out[key], 2) << key;  // one a transmission
  }
}

// One thread answers, the others withdraw: each transmission ends once, in one way.
TEST(LedgerThreads, ATransmissionIsWithdrawnOrAnsweredAndNeverBoth) {
  constexpr uint64_t kRounds = 2000;
  TestLedger ledger(small(6400));
  std::barrier step(kThreads);
  std::atomic<Ref> ref{0};
  std::atomic<int> ends{0}, withdrawn{0}, answered{0};
  Counts counts[kThreads];
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t id = 1; id <= kRounds; ++id) {
        const Hash hash = ledger.hash(1, id);
        const Flight f = flight_to(3, kNow);
        if (t == 0) {
          const Command c{hash, 1, 0};
          Admission a;
          ledger->admit(&c, 1, kNow, counts[0], &a);
          ledger->record_sent(a.ref, f, false, kNow, counts[0]);
          ref = a.ref;
          ends = 0;
        }
        step.arrive_and_wait();
        if (t == 0) {
          Found found;
          ledger->find(&hash, 1, kNow, &found);
          const bool mine = ledger->settle(found, lcp::Status::ok, ledger->epoch_of(kNow)) != Settled::changed;
          ends += mine;
          answered += mine;
        } else {
          const bool mine = ledger->withdraw(ref, stamp_of(f.sent)).owned;
          if (mine) ledger->release(ref, counts[t]);  // who withdraws owns it
          ends += mine;
          withdrawn += mine;
        }
        step.arrive_and_wait();
        if (t == 0) {
          EXPECT_EQ(ends, 1) << id;
        }
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(static_cast<uint64_t>(withdrawn + answered), kRounds);
}

// Entries come and go under everybody's hands: what is given back may be entered again, but never
// by two at once.
TEST(LedgerThreads, AnIdThatIsGivenBackHasOneOwnerAtATime) {
  TestLedger ledger(small(6400));
  const Hash hash = ledger.hash(1, 7);
  std::atomic<int> owners{0}, turns{0};
  Counts counts[kThreads];
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int k = 0; k < 2000; ++k) {
        const Command c{hash, 1, 0};
        Admission a;
        ledger->admit(&c, 1, kNow, counts[t], &a);
        if (a.result != Lookup::fresh) continue;
        EXPECT_EQ(owners.fetch_add(1), 0);
        ++turns;
        owners.fetch_sub(1);
        ledger->release(a.ref, counts[t]);
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_GT(turns, 0);
}

// A lone worker enters commands without compare-and-swap, mostly over entries that just now have
// become too old, so that the sweep, half an epoch ahead, clears them at the same moment: each entry
// is counted once, by one of them. All are of one bucket.
TEST(LedgerThreads, ALoneWorkerAndTheSweepAgreeOnWhatIsThere) {
  constexpr Tsc kWindow = 6400, kEpoch = kWindow / kWindowEpochs;
  constexpr Tsc kStep = (kWindow + kEpoch) / kWays - 1;
  TestLedger ledger(small(kWindow, 0.5, true));
  std::vector<Hash> hashes;
  for (const uint64_t id : ledger.ids_of_bucket(1, 0, 100)) hashes.push_back(ledger.hash(1, id));
  std::atomic<Tsc> clock{1'000'000}, sweeping{0};
  std::atomic<bool> over{false};
  uint64_t expired = 0;
  std::thread sweep([&] {
    while (!over) {
      const Tsc now = clock.load();
      sweeping = now;
      expired += ledger->sweep(0, 1, now + kEpoch / 2).expired;
    }
  });
  Counts counts;
  for (uint64_t k = 0; k < 20'000; ++k) {
    const Tsc now = clock.load();
    while (sweeping != now) std::this_thread::yield();  // its clock is never far behind
    const Command c{hashes[k % hashes.size()], 1, 0};
    Admission a;
    ledger->admit(&c, 1, now, counts, &a);
    EXPECT_EQ(a.result, Lookup::fresh);
    if (k % 16 == 0)
      ledger->release(a.ref, counts);
    else
      EXPECT_TRUE(ledger->record_fresh<false>(a.ref, flight_to(3, now), ledger->epoch_of(now)));
    clock.store(now + kStep);
  }
  over = true;
  sweep.join();
  const Swept seen = ledger->sweep(0, 1, clock.load());
  expired += seen.expired;
  EXPECT_EQ(seen.unsent + seen.in_flight, counts.occupied.read() - counts.vacated.read() - expired);
}

// Lap bits that are read while slots are filled may name no next slot. That is no reason to repair
// them: it would put new entries where the oldest is looked for.
TEST(LedgerThreads, TheSweepRepairsNothingThatIsBeingFilled) {
  TestLedger ledger(small(6400));
  std::vector<Hash> hashes;
  for (const uint64_t id : ledger.ids_of_bucket(1, 0, 100)) hashes.push_back(ledger.hash(1, id));
  std::atomic<bool> over{false};
  uint64_t sweeps = 0, repaired = 0;
  std::thread sweep([&] {
    for (; !over || sweeps == 0; ++sweeps) repaired += ledger->sweep(0, 1, kNow).repaired;
  });
  Counts counts;
  for (uint64_t k = 0; k < 1'000'000; ++k) {
    const Command c{hashes[k % hashes.size()], 1, 0};
    Admission a;
    ledger->admit(&c, 1, kNow, counts, &a);
    if (a.result == Lookup::fresh) ledger->park(a.ref);  // to be overwritten
  }
  over = true;
  sweep.join();
  EXPECT_EQ(counts.fresh.read(), 1'000'000u);
  EXPECT_EQ(repaired, 0u) << "of " << sweeps;
}

}  // namespace
}  // namespace lf::ledger
