// SPDX-License-Identifier: Apache-2.0
// The ledger against a plain model, command by command: everything it says, what it forgets and in
// which order, what it counts. All commands fall into one bucket, so that it is always under
// pressure; a second property has as many commands as the table is large, and a plain std::map.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "dataplane/ledger/ledger.hpp"
#include "tests/support/property.hpp"
#include "tests/unit/ledger/test_ledger.hpp"

namespace lf::ledger {
namespace {

using test::flight_to;
using test::small;
using test::TestLedger;

constexpr Tsc kEpoch = 100;
constexpr Tsc kWindow = kWindowEpochs * kEpoch;

using Key = std::pair<uint32_t, uint64_t>;  // organisation, id

struct Entry {
  Key key;
  State state = State::none;  // none: a free place
  uint8_t attempt = 0;
  lcp::Status status = lcp::Status::ok;
  Tsc stamped = 0;
  NodeSlot node = kNoNode;
  uint32_t sent = 0;  // stamp of the transmission

  bool live(Tsc now) const {
    return state != State::none && now / kEpoch - stamped / kEpoch <= kWindowEpochs;
  }
};

// One bucket: places in the order of their age, the oldest first.
struct Model {
  std::deque<Entry> ring = std::deque<Entry>(kWays);
  uint32_t share = kWays / 2;
  uint64_t evicted = 0, share_evictions = 0, passed_over = 0;

  Entry* find(const Key& key, Tsc now) {
    for (Entry& e : ring)
      if (e.key == key && e.live(now)) return &e;
    return nullptr;
  }

  std::optional<Lookup> enter(const Key& key, uint8_t attempt, Tsc now) {
    for (Entry& e : ring)
      if (e.key == key) e.state = State::none;  // older than the window: find() came before
    bool shielded_once = false;
    for (uint32_t k = 0; k < 64; ++k) {
      const Entry oldest = ring.front();
      const bool live = oldest.live(now);
      uint32_t free = 0, own = 0;
      for (const Entry& e : ring) {
        free += !e.live(now);
        own += e.key.first == key.first;
      }
      const bool shielded = live && free == 0 && oldest.key.first != key.first && own >= share;
      ring.pop_front();
      if (live && (oldest.state == State::accepted || free != 0 || shielded)) {
        shielded_once |= shielded;
        ++passed_over;
        ring.push_back(oldest);
        continue;
      }
      evicted += live;
      share_evictions += live && shielded_once;
      ring.push_back({key, State::accepted, attempt, {}, now, kNoNode, 0});
      return Lookup::fresh;
    }
    return Lookup::full;
  }

  Admission admit(const Key& key, uint8_t attempt, Tsc now) {
    Admission a;
    Entry* e = find(key, now);
    if (e == nullptr) {
      a.result = *enter(key, attempt, now);
    } else if (e->state == State::answered) {
      a.result = Lookup::duplicate_answered;
      a.status = e->status;
    } else if (attempt <= e->attempt) {
      a.result = Lookup::duplicate_in_flight;
    } else if (e->state == State::accepted || e->state == State::parked) {
      a.result = Lookup::unsent;
    } else {
      e->attempt = attempt;
      a.result = Lookup::retry;
      a.node = e->node;
    }
    return a;
  }
};

struct Trial {
  explicit Trial(bool lone_worker) : ledger(small(kWindow, 0.5, lone_worker)) {}

  TestLedger ledger;
  Model model;
  std::map<Key, Ref> refs;  // of the last admission of each command
  Tsc now = 1000 * kEpoch;
  std::vector<Key> keys;

  void admit(const Key& key, uint8_t attempt) {
    const Admission got = ledger.admit(key.first, key.second, attempt, now);
    const Admission want = model.admit(key, attempt, now);
    RC_ASSERT(got.result == want.result);
    if (want.result == Lookup::duplicate_answered) RC_ASSERT(got.status == want.status);
    if (want.result == Lookup::retry) RC_ASSERT(got.node == want.node);
    RC_ASSERT((got.ref != 0) == (want.result != Lookup::full));
    if (got.ref != 0) refs[key] = got.ref;
  }

  // Entries that a ref still stands for, however old.
  Entry* behind(const Key& key) {
    for (Entry& e : model.ring)
      if (e.key == key && e.state != State::none) return &e;
    return nullptr;
  }

  void send(const Key& key, NodeSlot node, bool again) {
    if (refs.count(key) == 0) return;
    Entry* e = behind(key);
    bool recorded = false;
    NodeSlot left = kNoNode;
    const bool entered_now =
        e != nullptr && e->state == State::accepted && e->stamped / kEpoch == now / kEpoch;
    if (e != nullptr && e->state != State::answered && !(again && e->state == State::accepted)) {
      recorded = true;
      if (e->state == State::in_flight) left = e->node;
      e->state = State::in_flight;
      e->node = node;
      e->stamped = now;
      e->sent = stamp_of(now << 8);
    }
    const Flight f = flight_to(node, now << 8);
    if (!again && *rc::gen::arbitrary<bool>()) {
      const uint32_t epoch = ledger->epoch_of(now);
      const bool fresh = ledger->is_alone() ? ledger->record_fresh<true>(refs[key], f, epoch)
                                            : ledger->record_fresh<false>(refs[key], f, epoch);
      RC_ASSERT(fresh == entered_now);
      if (fresh) return;
    }
    const Sent sent = ledger->record_sent(refs[key], f, again, now, ledger.counts);
    RC_ASSERT(sent.recorded == recorded);
    RC_ASSERT(sent.left == left);
  }

  void answer(const Key& key, lcp::Status status) {
    const Found found = ledger.find(key.first, key.second, now);
    Entry* e = model.find(key, now);
    RC_ASSERT((found.ref != 0) == (e != nullptr));
    if (e == nullptr) return;
    RC_ASSERT(found.state() == e->state);
    if (!found.has_flight()) return;
    RC_ASSERT(found.flight.node == e->node);
    const Settled want = e->state == State::timed_out ? Settled::late : Settled::answered;
    RC_ASSERT(ledger->settle(found, status, ledger->epoch_of(now)) == want);
    e->state = State::answered;
    e->status = status;
    e->attempt = static_cast<uint8_t>(status);
    e->stamped = now;
  }

  void give_back(const Key& key) {
    if (refs.count(key) == 0) return;
    ledger->release(refs[key], ledger.counts);
    Entry* e = behind(key);
    if (e != nullptr && (e->state == State::accepted || e->state == State::parked))
      e->state = State::none;
  }

  void give_back_retry(const Key& key, uint8_t attempt) {
    if (refs.count(key) == 0) return;
    ledger->release_retry(refs[key], attempt);
    Entry* e = behind(key);
    if (e == nullptr || e->state == State::answered || attempt == 0 || e->attempt != attempt)
      return;
    e->attempt = static_cast<uint8_t>(attempt - 1);
  }

  void park(const Key& key) {
    if (refs.count(key) == 0) return;
    ledger->park(refs[key]);
    Entry* e = behind(key);
    if (e != nullptr && e->state == State::accepted) e->state = State::parked;
  }

  void time_out(const Key& key, bool right_stamp) {
    if (refs.count(key) == 0) return;
    Entry* e = behind(key);
    const uint32_t stamp = e == nullptr ? 0 : e->sent + (right_stamp ? 0 : 1);
    const bool want = e != nullptr && e->state == State::in_flight && right_stamp;
    RC_ASSERT(ledger->mark_timed_out(refs[key], stamp) == want);
    if (want) e->state = State::timed_out;
  }

  void withdraw(const Key& key, bool right_stamp) {
    if (refs.count(key) == 0) return;
    Entry* e = behind(key);
    const uint32_t stamp = e == nullptr ? 0 : e->sent + (right_stamp ? 0 : 1);
    const bool waits =
        e != nullptr && (e->state == State::in_flight || e->state == State::timed_out);
    const Withdrawn got = ledger->withdraw(refs[key], stamp);
    RC_ASSERT(got.owned == (waits && right_stamp));
    const bool left = got.owned && e->state == State::in_flight;
    RC_ASSERT(got.left == (left ? e->node : kNoNode));
    if (got.owned) e->state = State::accepted;
  }

  void pass_time(Tsc ticks) {
    now += ticks;
    if (ticks > kWindow / 4) {
      for (Entry& e : model.ring)
        if (!e.live(now)) e.state = State::none;
      ledger->sweep(0, ledger->buckets(), now);
    }
  }

  void step() {
    const Key key = *rc::gen::elementOf(keys);
    switch (*rc::gen::inRange(0, 17)) {
      case 0:
        return give_back(key);
      case 1:
        return park(key);
      case 2:
      case 3:
        return answer(key, static_cast<lcp::Status>(*rc::gen::inRange(0, 12)));
      case 4:
      case 5:
      case 6:
        return send(key, *rc::gen::inRange<NodeSlot>(0, 9),
                    *rc::gen::weightedElement<bool>({{3, false}, {1, true}}));
      case 7:
        return time_out(key, *rc::gen::weightedElement<bool>({{3, true}, {1, false}}));
      case 8:
        return pass_time(*rc::gen::inRange<Tsc>(0, 2 * kEpoch));
      case 9:
        return pass_time(
            *rc::gen::weightedOneOf<Tsc>({{3, rc::gen::inRange<Tsc>(0, 20 * kEpoch)},
                                          {1, rc::gen::inRange<Tsc>(0, 150 * kEpoch)}}));
      case 10:
        return give_back_retry(key, *rc::gen::inRange<uint8_t>(0, 4));
      case 11:
        return withdraw(key, *rc::gen::weightedElement<bool>({{3, true}, {1, false}}));
      default:
        return admit(key, *rc::gen::inRange<uint8_t>(0, 4));
    }
  }
};

TEST(LedgerProperty, AgreesWithThePlainModel) {
  const TestLedger names(small(kWindow));
  std::vector<Key> keys;
  for (const uint32_t org : {1u, 2u, 3u})
    for (const uint64_t id : names.ids_of_bucket(org, 0, 6)) keys.emplace_back(org, id);
  lf::test::check_property(1500, [&keys] {
    Trial run(*rc::gen::arbitrary<bool>());
    run.keys.assign(keys.begin(), keys.begin() + *rc::gen::inRange<long>(2, 19));
    const int steps = *rc::gen::inRange(1, 120);
    for (int s = 0; s < steps; ++s) run.step();
    for (const Key& key : run.keys) run.answer(key, lcp::Status::ok);
    RC_ASSERT(run.ledger.counts.evicted_early.read() == run.model.evicted);
    RC_ASSERT(run.ledger.counts.share_evictions.read() == run.model.share_evictions);
    RC_ASSERT(run.ledger.counts.passed_over.read() == run.model.passed_over);
    RC_CLASSIFY(run.model.evicted > 0, "evictions");
    RC_CLASSIFY(run.model.share_evictions > 0, "share");
  });
}

// Far fewer commands than places, so nothing may go early: then the ledger is a std::map.
TEST(LedgerProperty, WithRoomForAllIsAMap) {
  lf::test::check_property(200, [] {
    TestLedger ledger(small(kWindow, 0.5, *rc::gen::arbitrary<bool>()));
    std::map<Key, uint8_t> seen;  // highest attempt that passed
    std::map<Key, Ref> refs;
    for (int burst = 0; burst < 20; ++burst) {
      const uint32_t count = *rc::gen::inRange(1u, 65u);
      Command commands[64];
      Key keys[64];
      Admission got[64];
      for (uint32_t k = 0; k < count; ++k) {
        keys[k] = {*rc::gen::inRange(1u, 4u), *rc::gen::inRange<uint64_t>(0, 40)};
        commands[k] = {ledger.hash(keys[k].first, keys[k].second),
                       static_cast<uint16_t>(keys[k].first), *rc::gen::inRange<uint8_t>(0, 5)};
      }
      ledger->admit(commands, count, 1000 * kEpoch, ledger.counts, got);
      std::map<Key, Ref> sent;
      for (uint32_t k = 0; k < count; ++k) {
        const auto known = seen.find(keys[k]);
        if (known == seen.end()) {
          RC_ASSERT(got[k].result == Lookup::fresh);
          sent[keys[k]] = got[k].ref;
          seen[keys[k]] = commands[k].attempt();
        } else if (commands[k].attempt() <= known->second) {
          RC_ASSERT(got[k].result == Lookup::duplicate_in_flight);
        } else if (sent.count(keys[k]) != 0 && refs.count(keys[k]) == 0) {
          RC_ASSERT(got[k].result == Lookup::unsent);
        } else {
          RC_ASSERT(got[k].result == Lookup::retry);
          RC_ASSERT(got[k].node == keys[k].second);
          known->second = commands[k].attempt();
        }
      }
      for (const auto& [key, ref] : sent) {
        const Flight f = flight_to(static_cast<NodeSlot>(key.second), 0);
        RC_ASSERT(ledger->record_sent(ref, f, false, 1000 * kEpoch, ledger.counts).recorded);
        refs[key] = ref;
      }
    }
    RC_ASSERT(ledger.counts.evicted_early.read() == 0u);
  });
}

}  // namespace
}  // namespace lf::ledger
