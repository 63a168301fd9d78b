// SPDX-License-Identifier: Apache-2.0
// One worker against an exact model: per key a deque of the steps in which commands were admitted,
// fractions compared as fractions, and the delayed packets in a list. Bursts of mixed keys, jumps
// of the clock in both directions, limits that change, deadlines, a wheel that fills.
#include <gtest/gtest.h>

#include <deque>
#include <list>
#include <map>
#include <optional>

#include "dataplane/quota/quota.hpp"
#include "tests/support/property.hpp"
#include "tests/unit/quota/packets.hpp"

namespace lf::quota {
namespace {

using test::kMs;
using test::kSecond;
using test::kUnixStart;

constexpr uint32_t kOrgs = 2, kIntents = 2;
constexpr uint32_t kWheel = 40;
constexpr Tsc kSlot = 512;  // a power of two: the wheel takes it as it is

struct Outcome {
  Verdict verdict = Verdict::none;
  std::optional<Tsc> due;  // delayed until
  uint32_t remaining = UINT32_MAX;
  uint32_t reset_s = 0;
};

class Model {
 public:
  std::map<Key, Limit> limits;  // absent: none
  uint32_t whole_below = 2;

  void go_to(Tsc now, uint64_t unix_us) {
    time_ = std::max(time_, now);
    unix_us_ = unix_us;
    waiting_.remove_if([&](Tsc due) { return (due + kSlot - 1) / kSlot <= time_ / kSlot; });
    released_ = time_ / kSlot * kSlot;
  }

  Outcome command(OrgIndex org, IntentIndex intent, uint64_t deadline_us) {
    const Key own = intent_key(org, intent), all = org_key(org);
    Outcome out;
    for (const Key k : {own, all})
      if (limits.contains(k) && (limits[k] & ~kHard) == 0) return {Verdict::quota_zero, {}, 0, 60};
    bool full = false;
    uint64_t n = 0;
    for (const Key k : {own, all}) {
      if (!limits.contains(k)) continue;
      const uint64_t limit = limits[k] & ~kHard;
      const uint64_t count = in_window(k, step()) + 1;
      const bool whole = limit < whole_below;
      const bool reject = whole ? count > limit : 10 * count > 9 * limit;
      full = full || reject;
      if (reject) {
        out.reset_s = std::max<uint32_t>(out.reset_s, reset_s(k, whole ? limit : 9 * limit / 10));
        continue;
      }
      out.remaining = std::min<uint64_t>(out.remaining, (whole ? limit : 9 * limit / 10) - count);
      if (!whole && (limits[k] & kHard) == 0 && 10 * count >= 7 * limit)
        n = std::max(n, std::min<uint64_t>(6, 1 + (30 * count - 21 * limit) / limit));
    }
    if (full) return {Verdict::quota_rejected, {}, 0, out.reset_s};
    const Key order = limits.contains(own) ? own : all;
    if (n > 0 || last_due_[order] > released_) {
      const Tsc delay = n > 0 ? static_cast<Tsc>(retry_backoff(static_cast<int64_t>(n))) * kMs : 0;
      const Tsc due = std::max(time_ + delay, last_due_[order]);
      if (unix_us_ + (due - time_) > deadline_us) return {Verdict::delay_past_deadline, {}, 0, 0};
      if (waiting_.size() >= kWheel) return {Verdict::delay_full, {}, 0, 0};
      waiting_.push_back(due);
      if (limits.contains(order)) last_due_[order] = due;
      out.due = due;
    }
    for (const Key k : {own, all})
      if (limits.contains(k)) admitted_[k].push_back(step());
    return out;
  }

  uint32_t used(Key k) const { return in_window(k, step()); }
  // What may still be admitted.
  uint32_t left(Key k) const {
    const uint64_t limit = limits.at(k) & ~kHard;
    const uint64_t admit_max = limit < whole_below ? limit : 9 * limit / 10;
    return admit_max > used(k) ? static_cast<uint32_t>(admit_max - used(k)) : 0;
  }

 private:
  Step step() const { return kFirstStep + static_cast<Step>(time_ / kSecond); }
  uint32_t in_window(Key k, Step at) const {
    const auto it = admitted_.find(k);
    if (it == admitted_.end()) return 0;
    return static_cast<uint32_t>(
        std::count_if(it->second.begin(), it->second.end(), [&](Step s) { return s + 60 >= at; }));
  }
  uint32_t reset_s(Key k, uint64_t admit_max) const {
    Step at = step() + 1;
    while (in_window(k, at) + 1 > admit_max) ++at;
    const Tsc begin = Tsc{at - kFirstStep} * kSecond;
    return static_cast<uint32_t>((begin - time_ + kSecond - 1) / kSecond);
  }

  Tsc time_ = 0, released_ = 0;
  uint64_t unix_us_ = 0;
  std::map<Key, std::deque<Step>> admitted_;
  std::map<Key, Tsc> last_due_;
  std::list<Tsc> waiting_;
};

struct Rig {
  explicit Rig(bool alone)
      : windows(Windows::create(
            {.orgs = kOrgs, .rings = 16, .step_tsc = kSecond, .start = 0, .alone = alone})) {}

  Table table = test::unlimited_table(kOrgs);
  std::unique_ptr<Windows> windows;
  State state{kWheel, kSlot, 6000 * kMs};
  test::PacketSource packets;
  Burst burst;
  Selection live;
  Model model;

  void set(Key key, std::optional<Limit> limit, Step now) {
    Limit& place = is_org_key(key) ? table.org_limits[org_of(key)]
                                   : table.intent_limits[org_of(key)].by_intent[intent_of(key)];
    place = limit.value_or(kUncounted);
    ++table.number;
    if (limit) {
      model.limits[key] = *limit;
      RC_ASSERT(windows->open(key, now));
    } else {
      model.limits.erase(key);
    }
  }

  void release_all(Tsc now) {
    uint32_t n = 0;
    do {
      burst.count = live.count = 0;
      n = release(state, now, burst, live);
      for (uint32_t k = 0; k < n; ++k) packets.give(burst.packets[k]);
    } while (n == kBurstMax);
    burst.count = live.count = 0;
  }
};

void compare(const Rig& rig, const std::vector<Outcome>& expected) {
  uint32_t delayed = 0, went_on = 0;
  // Packets that go on are told what is left after the burst.
  std::map<Key, uint32_t> left;
  for (uint32_t i = 0; i < rig.burst.count; ++i) {
    const Meta& m = rig.burst.meta[i];
    for (const Key k : {intent_key(m.org, m.intent_index), org_key(m.org)})
      if (rig.model.limits.contains(k)) left[k] = rig.model.left(k);
  }
  for (uint32_t i = 0; i < rig.burst.count; ++i) {
    const Outcome& e = expected[i];
    const Meta& m = rig.burst.meta[i];
    RC_ASSERT(m.verdict == e.verdict);
    if (e.verdict == Verdict::none && (e.due || m.is_retry)) {
      RC_ASSERT(m.quota_remaining == e.remaining);
    } else if (e.verdict == Verdict::none) {
      uint32_t after = UINT32_MAX;
      for (const Key k : {intent_key(m.org, m.intent_index), org_key(m.org)})
        if (left.contains(k)) after = std::min(after, left[k]);
      RC_ASSERT(m.quota_remaining == after);
    }
    if (e.verdict == Verdict::quota_rejected || e.verdict == Verdict::quota_zero)
      RC_ASSERT(m.reset_seconds == e.reset_s);
    if (e.verdict != Verdict::none) continue;
    if (e.due) {
      RC_ASSERT(delayed < rig.state.delayed_count);
      RC_ASSERT(uint32_t{rig.state.delayed[delayed].position} == i);
      RC_ASSERT(rig.state.delayed[delayed].due == *e.due);
      ++delayed;
    } else {
      RC_ASSERT(went_on < rig.live.count);
      RC_ASSERT(uint32_t{rig.live.index[went_on]} == i);
      ++went_on;
    }
  }
  RC_ASSERT(delayed == rig.state.delayed_count);
  RC_ASSERT(went_on == rig.live.count);
}

Limit any_limit() {
  const Limit size =
      *rc::gen::oneOf(rc::gen::inRange<Limit>(0, 12), rc::gen::inRange<Limit>(10, 300));
  return size | (*rc::gen::inRange(0, 4) == 0 ? kHard : 0);
}

void decides_as_the_model(bool alone) {
  test::check_property(400, [alone] {
    Rig rig(alone);
    rig.table.whole_below = rig.model.whole_below = *rc::gen::inRange(2u, 6u);
    Tsc now = 5 * kSecond;  // what the TSC says
    Tsc steady = now;       // what a time that never goes back makes of it
    const auto keys = std::vector<Key>{org_key(0),       org_key(1),       intent_key(0, 0),
                                       intent_key(0, 1), intent_key(1, 0), intent_key(1, 1)};
    for (const Key k : keys)
      if (*rc::gen::inRange(0, 3) > 0) rig.set(k, any_limit(), kFirstStep);
    rig.release_all(now);
    const int rounds = *rc::gen::inRange(5, 60);
    for (int round = 0; round < rounds; ++round) {
      const auto move = *rc::gen::weightedOneOf<int64_t>(
          {{6, rc::gen::inRange<int64_t>(0, 900 * kMs)},
           {3, rc::gen::inRange<int64_t>(0, 20 * kSecond)},
           {1, rc::gen::inRange<int64_t>(0, 300 * kSecond)},
           {1, rc::gen::inRange<int64_t>(-int64_t{100 * kSecond}, 0)}});
      const Tsc before = now;
      now = static_cast<Tsc>(std::max<int64_t>(static_cast<int64_t>(now) + move, 1));
      steady += now > before ? now - before : 0;
      rig.model.go_to(steady, kUnixStart + now);
      rig.release_all(now);
      if (*rc::gen::inRange(0, 10) == 0) {
        const Key k = *rc::gen::elementOf(keys);
        // A key that had a limit keeps its window; the model forgets nothing either.
        rig.set(k, any_limit(), rig.windows->step_at(steady));
      }
      std::vector<Outcome> expected;
      const int size = *rc::gen::inRange(1, static_cast<int>(kBurstMax) + 1);
      for (int k = 0; k < size; ++k) {
        const auto org = *rc::gen::inRange<OrgIndex>(0, kOrgs);
        const auto intent = static_cast<IntentIndex>(*rc::gen::inRange<int>(0, kIntents));
        const uint64_t deadline =
            *rc::gen::inRange(0, 4) == 0
                ? kUnixStart + now + *rc::gen::inRange<uint64_t>(0, 3000) * kMs
                : UINT64_MAX;
        Meta& m = rig.packets.add(rig.burst, rig.live, org, intent, deadline);
        if (*rc::gen::inRange(0, 20) == 0) {
          m.is_retry = true;
          m.quota_remaining = UINT32_MAX;
          expected.push_back({});
        } else {
          expected.push_back(rig.model.command(org, intent, deadline));
        }
      }
      // Several workers': whether commands are counted one by one changes no decision.
      rig.state.scratch.singly = static_cast<uint16_t>(*rc::gen::inRange(0, 2));
      run(rig.table, *rig.windows, rig.state, rig.burst, rig.live, now, kUnixStart + now);
      tell_left(rig.table, *rig.windows, rig.state, rig.burst, rig.live);
      compare(rig, expected);
      for (const Key k : keys)
        if (rig.windows->is_open(k))
          RC_ASSERT(rig.windows->used(k, rig.windows->step_at(steady)) == rig.model.used(k));
      for (uint32_t i = 0; i < rig.burst.count; ++i) {
        bool waits = false;
        for (uint32_t d = 0; d < rig.state.delayed_count; ++d)
          waits = waits || rig.state.delayed[d].position == i;
        if (!waits) rig.packets.give(rig.burst.packets[i]);
      }
      park(rig.state, rig.burst);
    }
  });
}

TEST(QuotaProperty, OneWorkerDecidesAsTheModelDoes) {
  decides_as_the_model(true);
}

TEST(QuotaProperty, OneOfSeveralDecidesAsTheModelDoesWhileTheOthersRest) {
  decides_as_the_model(false);
}

}  // namespace
}  // namespace lf::quota
