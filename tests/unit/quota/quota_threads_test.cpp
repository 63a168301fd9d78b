// SPDX-License-Identifier: Apache-2.0
// Several workers on the same windows (also run under ThreadSanitizer). Time moves only while all
// of them stand at a barrier, so that the time of every admission is known exactly; each phase
// begins with all of them racing to move the keys to a new step.
#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <map>
#include <thread>

#include "dataplane/core/fast_random.hpp"
#include "dataplane/quota/quota.hpp"
#include "tests/unit/quota/packets.hpp"

namespace lf::quota {
namespace {

using test::kMs;
using test::kSecond;

struct Admission {
  Key key;
  Step step;
  uint32_t count;
  uint32_t allowed;  // of them, not delayed
};

struct Case {
  uint32_t workers;
  uint32_t org_limit, intent_limit;
  uint32_t phases;
  uint32_t bursts_max;  // of a worker in a phase
};

class Workers {
 public:
  explicit Workers(const Case& c) : c_(c), table_(test::unlimited_table(2)) {
    windows_ = Windows::create({.orgs = 2, .rings = 8, .step_tsc = kSecond, .start = 0});
    table_.whole_below = 2;
    table_.org_limits[0] = c.org_limit;
    table_.intent_limits[0].by_intent[1] = c.intent_limit;
    table_.intent_limits[0].by_intent[2] = c.intent_limit;
    for (const Key k : {org_key(0), intent_key(0, 1), intent_key(0, 2)})
      EXPECT_TRUE(windows_->open(k, kFirstStep));
  }

  // By step: what was admitted of the organisation, of each intent, and how much of it at once.
  std::map<Key, std::map<Step, Admission>> run() {
    std::vector<std::vector<Admission>> logs(c_.workers);
    std::barrier phase(c_.workers, [this]() noexcept { advance(); });
    std::vector<std::thread> threads;
    for (uint32_t w = 0; w < c_.workers; ++w)
      threads.emplace_back([&, w] { work(w, phase, logs[w]); });
    for (auto& t : threads) t.join();
    std::map<Key, std::map<Step, Admission>> sum;
    for (const auto& log : logs)
      for (const Admission& a : log) {
        Admission& at = sum[a.key][a.step];
        at.count += a.count;
        at.allowed += a.allowed;
      }
    return sum;
  }

  uint32_t used(Key key) const { return windows_->used(key, windows_->step_at(now_)); }

 private:
  void advance() {
    ++phase_;
    // Mostly one step, now and then a jump over many of them.
    now_ += phase_ % 40 == 0 ? 70 * kSecond : (phase_ % 7) * 300 * kMs;
  }

  template <typename Barrier>
  void work(uint32_t w, Barrier& phase, std::vector<Admission>& log) {
    State state(1 << 14, 512, 6000 * kMs);
    test::PacketSource packets;
    auto burst = std::make_unique<Burst>();
    Selection live;
    FastRandom random(w + 1);
    for (uint32_t p = 0; p < c_.phases; ++p) {
      phase.arrive_and_wait();
      const uint32_t bursts = 1 + static_cast<uint32_t>(random.next()) % c_.bursts_max;
      for (uint32_t b = 0; b < bursts; ++b) {
        drain(state, *burst, live, packets);
        const uint32_t size = 1 + static_cast<uint32_t>(random.next()) % kBurstMax;
        for (uint32_t k = 0; k < size; ++k)
          packets.add(*burst, live, 0, static_cast<IntentIndex>(1 + random.next() % 2));
        state.scratch.singly = static_cast<uint16_t>(random.next() % 2);  // now so, now so
        quota::run(table_, *windows_, state, *burst, live, now_, 1);
        record(state, *burst, live, log);
        for (uint32_t i = 0; i < burst->count; ++i) parked_[w][i] = false;
        for (uint32_t d = 0; d < state.delayed_count; ++d)
          parked_[w][state.delayed[d].position] = true;
        for (uint32_t i = 0; i < burst->count; ++i)
          if (!parked_[w][i]) packets.give(burst->packets[i]);
        park(state, *burst);
      }
    }
  }

  void drain(State& state, Burst& burst, Selection& live, test::PacketSource& packets) {
    uint32_t n = 0;
    do {
      burst.count = live.count = 0;
      n = release(state, now_, burst, live);
      for (uint32_t i = 0; i < n; ++i) packets.give(burst.packets[i]);
    } while (n == kBurstMax);
    burst.count = live.count = 0;
  }

  void record(const State& state, const Burst& burst, const Selection& live,
              std::vector<Admission>& log) {
    const Step step = windows_->step_at(now_);
    const auto add = [&](uint8_t i, uint32_t allowed) {
      for (const Key k : {org_key(0), intent_key(0, burst.meta[i].intent_index)})
        log.push_back({k, step, 1, allowed});
    };
    for (const uint8_t i : live) add(i, 1);
    for (uint32_t d = 0; d < state.delayed_count; ++d) add(state.delayed[d].position, 0);
  }

  Case c_;
  Table table_;
  std::unique_ptr<Windows> windows_;
  Tsc now_ = kSecond;  // changed by the barrier's completion only
  uint32_t phase_ = 0;
  bool parked_[kWorkersMax][kBurstMax] = {};
};

uint32_t most_in_a_window(const std::map<Step, Admission>& steps) {
  uint32_t most = 0;
  for (const auto& [end, unused] : steps) {
    uint32_t n = 0;
    for (auto it = steps.lower_bound(end - kWindowSteps); it != steps.end() && it->first <= end;
         ++it)
      n += it->second.count;
    most = std::max(most, n);
  }
  return most;
}

class QuotaWorkers : public ::testing::TestWithParam<uint32_t> {};

TEST_P(QuotaWorkers, NeverAdmitMoreThanTheLimitInAnyWindow) {
  const Case c{.workers = GetParam(),
               .org_limit = 2000,
               .intent_limit = 1500,
               .phases = 200,
               .bursts_max = 8};
  Workers workers(c);
  const auto sum = workers.run();
  EXPECT_LE(most_in_a_window(sum.at(org_key(0))), 1800u);
  EXPECT_LE(most_in_a_window(sum.at(intent_key(0, 1))), 1350u);
  EXPECT_LE(most_in_a_window(sum.at(intent_key(0, 2))), 1350u);
  EXPECT_GE(most_in_a_window(sum.at(org_key(0))), 1800u - 10u) << "0.5 % of the limit";
}

TEST_P(QuotaWorkers, TiersChangeWithinHalfAPercentOfTheLimit) {
  // Everything in one step: more offered than admitted, so the window fills from empty to full.
  const Case c{.workers = GetParam(),
               .org_limit = 20'000,
               .intent_limit = 15'000,
               .phases = 2,
               .bursts_max = 1'500};
  Workers workers(c);
  const auto sum = workers.run();
  uint32_t admitted = 0, allowed = 0;
  for (const auto& [step, a] : sum.at(org_key(0))) {
    admitted += a.count;
    allowed += a.allowed;
  }
  EXPECT_EQ(workers.used(org_key(0)), admitted);
  EXPECT_LE(admitted, 18'000u);
  EXPECT_GE(admitted, 18'000u - 100u);
  EXPECT_LE(allowed, 13'999u + 100u);
  EXPECT_GE(allowed, 13'999u - 100u);
}

TEST_P(QuotaWorkers, AQuotaBelowTheNumberOfWorkersIsUsedUp) {
  const Case c{.workers = GetParam(),
               .org_limit = kUncounted,
               .intent_limit = 1,
               .phases = 30,
               .bursts_max = 4};
  Workers workers(c);
  const auto sum = workers.run();
  EXPECT_EQ(most_in_a_window(sum.at(intent_key(0, 1))), 1u);
}

INSTANTIATE_TEST_SUITE_P(Workers, QuotaWorkers, ::testing::Values(2, 4, 8));

// All threads on one bare window, each moving it on as it likes: what is granted less what is
// given back is what the window counts, and never above the bound.
TEST(QuotaWindowsRace, CountsEveryGrantOnce) {
  const auto w = Windows::create({.orgs = 1, .rings = 1, .step_tsc = 1, .start = 0});
  ASSERT_TRUE(w->open(0, kFirstStep));
  constexpr uint32_t kThreads = 4, kBound = 5000;
  std::atomic<Step> now{kFirstStep};
  std::atomic<uint64_t> in_step[2048] = {};  // granted in each step; never taken back here
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      FastRandom random(t + 77);
      for (int i = 0; i < 20'000; ++i) {
        if (random.next() % 64 == 0) now.fetch_add(1, std::memory_order_relaxed);
        const Step at = now.load(std::memory_order_relaxed);
        const Reservation r =
            w->reserve(0, at, 1 + static_cast<uint32_t>(random.next()) % 32, kBound);
        in_step[(r.step - kFirstStep) % 2048].fetch_add(r.granted, std::memory_order_relaxed);
      }
    });
  for (auto& t : threads) t.join();
  const Step end = now.load();
  ASSERT_LT(end - kFirstStep, 2048u);
  uint64_t total = 0;
  for (Step s = kFirstStep; s <= end; ++s) {
    uint64_t n = 0;
    for (Step x = s < kFirstStep + kWindowSteps ? kFirstStep : s - kWindowSteps; x <= s; ++x)
      n += in_step[x - kFirstStep].load();
    EXPECT_LE(n, kBound) << "window of step " << s - kFirstStep;
    total += in_step[s - kFirstStep].load();
  }
  EXPECT_GT(total, kBound * 10u) << "the window moved on";
  uint64_t last = 0;
  for (Step x = end - kWindowSteps; x <= end; ++x) last += in_step[x - kFirstStep].load();
  EXPECT_EQ(w->used(0, end), last);
}

// A lone worker's plain stores beside control, which reads, and moves the key on when it changes
// owner: no count is lost, and readers never see more than there is.
TEST(QuotaWindowsRace, ALoneWorkerLosesNoCountToControl) {
  const auto w = Windows::create({.orgs = 1, .rings = 2, .step_tsc = 1, .start = 0, .alone = true});
  ASSERT_TRUE(w->open(0, kFirstStep) && w->open(1, kFirstStep));
  constexpr uint32_t kCommands = 200'000, kAll = kLimitMax;
  std::atomic<Step> now{kFirstStep};
  std::atomic<bool> done{false};
  std::thread control([&] {
    uint32_t round = 0;
    while (!done.load()) {
      EXPECT_LE(w->used(0, now.load()), kCommands);
      if (++round % 16 == 0) w->reset(0, now.load());
    }
    w->reset(0, now.load());
  });
  const auto count = [&](Step at) {
    const uint64_t era = w->era(at, 0);
    if (w->count_granted(0, 0, era)) return true;
    const uint32_t room = w->room(0, at, kAll, era), other = w->room(1, at, kAll, era);
    if (room == 0 || other == 0) return false;  // control has moved it between two looks
    w->grant(0, room, era);
    w->grant(1, other, era);
    return w->count_granted(0, 0, era);
  };
  uint32_t counted = 0;
  for (uint32_t i = 0; i < kCommands; ++i) {
    if (i % 64 == 0) now.fetch_add(1);
    counted += count(now.load());
  }
  done = true;
  control.join();
  EXPECT_GT(counted, kCommands / 2);
  EXPECT_EQ(w->used(0, now.load()), 0u) << "emptied last";
  for (uint32_t i = 0; i < 10; ++i) EXPECT_TRUE(count(now.load()));
  EXPECT_EQ(w->used(0, now.load()), 10u);
}

// Control opens windows of keys that a lone worker has commands of, and then hands out a table
// that limits them.
TEST(QuotaWindowsRace, AKeyIsOpenedWhileALoneWorkerIsUsingIt) {
  constexpr uint32_t kOrgs = 256, kKeys = kOrgs * kKeysPerOrg, kLimit = 50;
  const auto w = Windows::create({.orgs = kOrgs,
                                  .rings = kKeys,
                                  .step_tsc = 1,
                                  .start = 0,
                                  .alone = true});
  std::atomic<bool> started{false}, opened{false};
  std::thread control([&] {
    while (!started.load()) {
    }
    for (Key k = 0; k < kKeys; ++k) EXPECT_TRUE(w->open(k, kFirstStep));
    opened = true;
  });
  const auto count = [&](OrgIndex org, uint32_t table, const auto& room) {
    const uint64_t era = w->era(kFirstStep, table);
    const Key own = intent_key(org, 3), all = org_key(org);
    if (w->count_granted(org, 3, era)) return true;
    const uint32_t own_room = room(own, era), all_room = room(all, era);
    if (own_room == 0 || all_room == 0) return false;
    w->grant(own, own_room, era);
    w->grant(all, all_room, era);
    return w->count_granted(org, 3, era);
  };
  while (!opened.load()) {
    for (OrgIndex o = 0; o < kOrgs; ++o)
      count(o, 1, [&](Key key, uint64_t) { return w->room_uncounted(key); });
    started = true;
  }
  control.join();
  for (OrgIndex o = 0; o < kOrgs; ++o) {
    uint32_t counted = 0;
    while (count(o, 2, [&](Key key, uint64_t era) { return w->room(key, kFirstStep, kLimit, era); }))
      ++counted;
    ASSERT_LE(counted, kLimit) << o;
    ASSERT_EQ(w->used(org_key(o), kFirstStep), kLimit) << o;
    ASSERT_EQ(w->used(intent_key(o, 3), kFirstStep), kLimit) << o;
  }
}

}  // namespace
}  // namespace lf::quota
