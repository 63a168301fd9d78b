// SPDX-License-Identifier: Apache-2.0
// Concurrent histories of the ledger, recorded and checked for linearizability: four threads look
// up, enter, send, answer and give back the same commands, while others press on their bucket.
#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <deque>
#include <thread>
#include <vector>

#include "dataplane/core/fast_random.hpp"
#include "tests/unit/ledger/history.hpp"
#include "tests/unit/ledger/test_ledger.hpp"

namespace lf::ledger {
namespace {

using test::flight_to;
using test::History;
using test::Operation;
using test::small;
using test::TestLedger;
using Kind = Operation::Kind;

constexpr int kThreads = 4;
constexpr Tsc kNow = 1'000'000;
constexpr int kTurns = 6;    // of a thread with a key; each is one or two operations
constexpr size_t kKeys = 3;  // at a time, in one bucket
constexpr int kRounds = 400;

// One thread's view: what it did with each key, in time stamps that all threads share.
struct Recorder {
  Recorder(TestLedger& the_ledger, std::atomic<uint64_t>& the_time, size_t keys)
      : ledger(the_ledger), time(the_time), of_key(keys) {}

  TestLedger& ledger;
  std::atomic<uint64_t>& time;
  Counts counts;
  std::vector<std::vector<Operation>> of_key;

  template <typename Function>
  void record(size_t key, Operation op, Function function) {
    op.invoked = time.fetch_add(1);
    function(op);
    op.responded = time.fetch_add(1);
    of_key[key].push_back(op);
  }

  // What a worker does with a command that it received.
  void bring(size_t key, const Hash& hash, uint8_t attempt, bool give_back) {
    Admission a;
    record(key, {.kind = Kind::admit, .attempt = attempt}, [&](Operation& op) {
      const Command c{hash, 1, attempt};
      ledger->admit(&c, 1, kNow, counts, &a);
      op.lookup = a.result;
      op.status = a.status;
    });
    if (a.result == Lookup::fresh && give_back) {
      record(key, {.kind = Kind::release}, [&](Operation&) { ledger->release(a.ref, counts); });
    } else if (a.result == Lookup::fresh) {
      record(key, {.kind = Kind::sent}, [&](Operation& op) {
        op.done = ledger->record_sent(a.ref, flight_to(3, kNow), false, kNow, counts).recorded;
      });
    } else if (a.result == Lookup::retry) {
      ledger->record_sent(a.ref, flight_to(4, kNow, attempt), true, kNow, counts);
    }
  }

  // What a worker does with a reply.
  void reply(size_t key, const Hash& hash, lcp::Status status) {
    Found found;
    record(key, {.kind = Kind::find}, [&](Operation& op) {
      ledger->find(&hash, 1, kNow, &found);
      op.state = found.ref == 0 ? State::none : found.state();
      if (op.state == State::writing) op.state = State::in_flight;
      op.attempt = found.word.attempt();
      op.status = static_cast<lcp::Status>(found.word.status());
    });
    if (found.ref == 0 || !found.has_flight()) return;
    record(key, {.kind = Kind::settle, .status = status}, [&](Operation& op) {
      op.done = ledger->settle(found, status, ledger->epoch_of(kNow)) != Settled::changed;
    });
  }
};

// Commands that nobody looks at again, to push others out.
void press(TestLedger& ledger, Counts& counts, const Hash& hash) {
  const Command c{hash, 1, 0};
  Admission a;
  ledger->admit(&c, 1, kNow, counts, &a);
  if (a.result == Lookup::fresh)
    ledger->record_sent(a.ref, flight_to(5, kNow), false, kNow, counts);
}

struct Totals {
  uint64_t operations = 0, answered = 0, retries = 0, released = 0, evicted = 0;
};

Totals run(bool under_pressure) {
  TestLedger ledger(small(6400, 1.0));
  const auto ids = ledger.ids_of_bucket(1, 0, kKeys * kRounds + (under_pressure ? 8 * kRounds : 0));
  std::vector<Hash> hashes;
  for (const uint64_t id : ids) hashes.push_back(ledger.hash(1, id));
  std::atomic<uint64_t> time{0};
  std::deque<Recorder> recorders;
  for (int t = 0; t < kThreads; ++t) recorders.emplace_back(ledger, time, kKeys * kRounds);
  std::barrier round_starts(kThreads, [&]() noexcept {
    // Without pressure, a round begins with an empty bucket.
    if (!under_pressure) ledger->sweep(0, 1, kNow + 2 * 6400);
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      FastRandom random(static_cast<uint64_t>(t) + 1);
      Recorder& r = recorders[static_cast<size_t>(t)];
      for (size_t round = 0; round < kRounds; ++round) {
        round_starts.arrive_and_wait();
        for (int turn = 0; turn < kTurns; ++turn) {
          const uint64_t dice = random.next();
          const size_t key = round * kKeys + dice % kKeys;
          const auto attempt = static_cast<uint8_t>(dice >> 8 & 1);
          if ((dice >> 16 & 3) < 2)
            r.bring(key, hashes[key], attempt, (dice >> 24 & 3) == 0);
          else
            r.reply(key, hashes[key], (dice >> 25 & 1) ? lcp::Status::ok : lcp::Status::failed);
          if (under_pressure && (dice >> 32 & 1))
            press(ledger, r.counts, hashes[kKeys * kRounds + round * 8 + (dice >> 40 & 7)]);
          if (t == 0 && (dice >> 50 & 7) == 0) ledger->sweep(0, 1, kNow);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();

  Totals totals;
  for (size_t key = 0; key < kKeys * kRounds; ++key) {
    History history(under_pressure);
    for (const Recorder& r : recorders) {
      for (const Operation& op : r.of_key[key]) {
        history.add(op);
        ++totals.operations;
        totals.answered += op.kind == Kind::settle && op.done;
        totals.released += op.kind == Kind::release;
        totals.retries += op.kind == Kind::admit && op.lookup == Lookup::retry;
      }
    }
    EXPECT_TRUE(history.is_linearizable()) << "key " << key << " of " << history.size();
  }
  for (const Recorder& r : recorders) totals.evicted += r.counts.evicted_early.read();
  return totals;
}

TEST(LedgerHistory, LinearizableWithoutPressure) {
  const Totals totals = run(false);
  EXPECT_GT(totals.operations, 5000u);
  EXPECT_GT(totals.answered, 100u);
  EXPECT_GT(totals.retries, 50u);
  EXPECT_GT(totals.released, 100u);
  EXPECT_EQ(totals.evicted, 0u);
}

TEST(LedgerHistory, LinearizableWhileEntriesArePushedOut) {
  const Totals totals = run(true);
  EXPECT_GT(totals.operations, 5000u);
  EXPECT_GT(totals.answered, 100u);
  EXPECT_GT(totals.evicted, 500u);
}

Operation admitted(uint64_t invoked, uint64_t responded, Lookup result, uint8_t attempt = 0) {
  return {.kind = Kind::admit,
          .invoked = invoked,
          .responded = responded,
          .attempt = attempt,
          .lookup = result};
}

bool is_fine(bool may_forget, const std::vector<Operation>& operations) {
  History history(may_forget);
  for (const Operation& op : operations) history.add(op);
  return history.is_linearizable();
}

// The judge itself.
TEST(LedgerHistory, WrongHistoriesAreFound) {
  const Operation sent{.kind = Kind::sent, .invoked = 10, .responded = 11, .done = true};
  const Operation ok{.kind = Kind::settle, .invoked = 20, .responded = 21, .done = true};
  const Operation again{.kind = Kind::settle, .invoked = 22, .responded = 25, .done = true};
  // Overlapping: in some order, one is fresh and the other a duplicate, but never both fresh.
  EXPECT_TRUE(
      is_fine(false, {admitted(0, 5, Lookup::duplicate_in_flight), admitted(1, 4, Lookup::fresh)}));
  EXPECT_FALSE(is_fine(false, {admitted(0, 5, Lookup::fresh), admitted(1, 4, Lookup::fresh)}));
  EXPECT_FALSE(is_fine(true, {admitted(0, 5, Lookup::fresh), admitted(1, 4, Lookup::fresh)}));
  // One after the other, the first one cannot be the duplicate.
  EXPECT_FALSE(
      is_fine(false, {admitted(0, 1, Lookup::duplicate_in_flight), admitted(2, 4, Lookup::fresh)}));
  // Answered once, and not forgotten without pressure.
  EXPECT_TRUE(is_fine(false, {admitted(0, 1, Lookup::fresh), sent, ok}));
  EXPECT_FALSE(is_fine(false, {admitted(0, 1, Lookup::fresh), sent, ok, again}));
  EXPECT_FALSE(
      is_fine(false, {admitted(0, 1, Lookup::fresh), sent, admitted(12, 13, Lookup::fresh)}));
  EXPECT_TRUE(
      is_fine(true, {admitted(0, 1, Lookup::fresh), sent, admitted(12, 13, Lookup::fresh)}));
  // A retry passes once, and only when it was sent.
  EXPECT_FALSE(
      is_fine(false, {admitted(0, 1, Lookup::fresh), admitted(2, 3, Lookup::retry, 1), sent}));
  EXPECT_FALSE(
      is_fine(false, {admitted(0, 1, Lookup::fresh), sent, admitted(12, 13, Lookup::retry, 1),
                      admitted(14, 15, Lookup::retry, 1)}));
}

}  // namespace
}  // namespace lf::ledger
