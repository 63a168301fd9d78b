// SPDX-License-Identifier: Apache-2.0
// What the quota stage costs a packet: one key, a thousand and 600,000 live keys, one hot key on
// two workers, an organisation far over its limit; and the window alone beside the designs that
// lost. Times are per packet. A burst has 32 packets, and time goes on by 80 ns for each of them,
// so that keys move to new steps as often as they would at 12.5 million packets a second.
#include <benchmark/benchmark.h>

#include <time.h>

#include <memory>
#include <vector>

#include "dataplane/core/fast_random.hpp"
#include "dataplane/quota/quota.hpp"
#include "perf/quota_designs.hpp"

namespace lf::quota {
namespace {

constexpr uint32_t kBurst = 32;
constexpr Tsc kPacketTsc = 80;  // one tick is a nanosecond here
constexpr Tsc kSecond = 1'000'000'000;
constexpr uint32_t kPatterns = 1 << 20;  // packets before the traffic repeats
constexpr uint32_t kIntents = 6;

Table table_of(uint32_t orgs, Limit limit) {
  Table t;
  t.us_per_tick_q32 = (uint64_t{1} << 32) / 1000;
  for (uint32_t n = 1; n <= kDelaySteps; ++n) t.delay_tsc[n] = 80'000'000ull << (n - 1);
  IntentLimits limits;
  for (uint32_t i = 0; i < kIntentsMax; ++i)
    limits.by_intent[i] = i >= 1 && i <= kIntents ? limit : kUncounted;
  t.org_limits.assign(orgs, limit);
  t.intent_limits.assign(orgs, limits);
  return t;
}

struct Traffic {
  // Half the keys' worth of organisations with six intents each, in random order.
  Traffic(uint32_t keys, uint64_t seed) : orgs(std::max(keys / kIntents, 1u)), packets(kPatterns) {
    FastRandom random(seed);
    for (auto& p : packets) {
      const auto key = static_cast<uint32_t>(random.next() % keys);
      p = {key / kIntents, static_cast<IntentIndex>(1 + key % kIntents)};
    }
  }
  struct Packet {
    OrgIndex org;
    IntentIndex intent;
  };
  uint32_t orgs;
  std::vector<Packet> packets;
};

struct Rig {
  Rig(uint32_t keys, Limit limit, bool alone)
      : traffic(keys, 1), table(table_of(traffic.orgs, limit)) {
    windows = Windows::create({.orgs = traffic.orgs,
                               .rings = traffic.orgs * (kIntents + 1),
                               .step_tsc = kSecond,
                               .start = 0,
                               .alone = alone});
    for (OrgIndex o = 0; limit != kUncounted && o < traffic.orgs; ++o) {
      windows->open(org_key(o), kFirstStep);
      for (uint32_t i = 1; i <= kIntents; ++i)
        windows->open(intent_key(o, static_cast<IntentIndex>(i)), kFirstStep);
    }
  }
  Traffic traffic;
  Table table;
  std::unique_ptr<Windows> windows;
};

struct Worker {
  State state{4096, 1'000'000, 6 * kSecond};
  Burst burst;
  Selection live;
  uint32_t next = 0;

  void fill(const Traffic& traffic) {
    live.count = 0;
    for (uint32_t i = 0; i < kBurst; ++i) {
      const auto& p = traffic.packets[next++ % kPatterns];
      Meta& m = burst.meta[i];
      m.org = p.org;
      m.intent_index = p.intent;
      m.verdict = Verdict::none;
      live.add(i);
    }
    burst.count = kBurst;
  }
};

// A thread's own processor time: other programs on the machine disturb it less than the clock.
class PacketCost {
 public:
  explicit PacketCost(benchmark::State& bench) : bench_(bench), start_(cpu_ns()) {}
  ~PacketCost() {
    const auto packets = static_cast<double>(bench_.iterations()) * kBurst;
    bench_.counters["time_per_packet"] =
        benchmark::Counter((cpu_ns() - start_) * 1e-9 / packets, benchmark::Counter::kAvgThreads);
  }

 private:
  static double cpu_ns() {
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
  }
  benchmark::State& bench_;
  double start_;
};

// What the loop around the stage costs; to be taken off the figures below.
void BM_fill_only(benchmark::State& bench) {
  const Traffic traffic(1000, 1);
  const auto worker = std::make_unique<Worker>();
  const PacketCost cost(bench);
  for (auto _ : bench) {
    worker->fill(traffic);
    benchmark::DoNotOptimize(worker->live);
    benchmark::ClobberMemory();
  }
}

// alone: as the only worker; otherwise as one of several, with locked operations.
void stage(benchmark::State& bench, uint32_t keys, Limit limit, bool alone) {
  static std::unique_ptr<Rig> rig;
  if (bench.thread_index() == 0) rig = std::make_unique<Rig>(keys, limit, alone);
  const auto worker = std::make_unique<Worker>();
  worker->next = static_cast<uint32_t>(bench.thread_index()) * 7919;
  Tsc now = kSecond;
  const auto burst = [&] {
    worker->fill(rig->traffic);
    now += kBurst * kPacketTsc;
    const Expect expect(rig->table, *rig->windows);
    for (const uint8_t i : worker->live) expect(worker->burst.meta[i]);
    run(rig->table, *rig->windows, worker->state, worker->burst, worker->live, now, 1);
    benchmark::ClobberMemory();
  };
  if (bench.thread_index() == 0)
    for (uint32_t i = 0; i < 4 * keys / kBurst; ++i) burst();  // every key has been seen
  {
    bool first = true;
    std::unique_ptr<PacketCost> cost;
    for (auto _ : bench) {
      if (first) cost = std::make_unique<PacketCost>(bench);  // all threads have set up
      first = false;
      burst();
    }
  }
  bench.counters["rejected"] = benchmark::Counter(
      static_cast<double>(kBurst - worker->live.count - worker->state.delayed_count),
      benchmark::Counter::kAvgThreads);
}

void BM_stage(benchmark::State& bench) {
  stage(bench, static_cast<uint32_t>(bench.range(0)), kLimitMax, true);
}
void BM_stage_shared(benchmark::State& bench) {
  stage(bench, static_cast<uint32_t>(bench.range(0)), kLimitMax, false);
}
void BM_stage_no_limits(benchmark::State& bench) {
  stage(bench, static_cast<uint32_t>(bench.range(0)), kUncounted, true);
}
void BM_stage_all_rejected(benchmark::State& bench) {
  stage(bench, static_cast<uint32_t>(bench.range(0)), 2, true);
}

// The window alone, one command a time on random keys, prefetched a burst ahead as in the stage.
template <typename Prefetch, typename Reserve>
void windows_alone(benchmark::State& bench, uint32_t keys, Prefetch&& prefetch, Reserve&& reserve) {
  FastRandom random(static_cast<uint64_t>(bench.thread_index()) + 1);
  Tsc now = kSecond;
  uint32_t key[kBurst];
  const auto burst = [&] {
    for (uint32_t& k : key) prefetch(k = static_cast<uint32_t>(random.next() % keys));
    now += kBurst * kPacketTsc;
    const auto step = static_cast<Step>(kFirstStep + now / kSecond);
    for (const uint32_t k : key) benchmark::DoNotOptimize(reserve(k, step));
  };
  if (bench.thread_index() == 0)
    for (uint32_t i = 0; i < 4 * keys / kBurst; ++i) burst();
  bool first = true;
  std::unique_ptr<PacketCost> cost;
  for (auto _ : bench) {
    if (first) cost = std::make_unique<PacketCost>(bench);
    first = false;
    burst();
  }
}

void BM_window_one_cas(benchmark::State& bench) {
  const auto keys = static_cast<uint32_t>(bench.range(0));
  static std::unique_ptr<Windows> w;
  if (bench.thread_index() == 0) {
    w = Windows::create(
        {.orgs = keys / kKeysPerOrg + 1, .rings = keys, .step_tsc = kSecond, .start = 0});
    for (Key k = 0; k < keys; ++k) w->open(k, kFirstStep);
  }
  windows_alone(
      bench, keys, [&](Key k) { w->prefetch(k); },
      [&](Key k, Step s) { return w->reserve(k, s, 1, kLimitMax).granted; });
}

void BM_window_two_counters(benchmark::State& bench) {
  const auto keys = static_cast<uint32_t>(bench.range(0));
  static std::unique_ptr<designs::TwoCounters> w;
  if (bench.thread_index() == 0) w = std::make_unique<designs::TwoCounters>(keys);
  windows_alone(
      bench, keys, [&](Key k) { w->prefetch(k); },
      [&](Key k, Step s) { return w->reserve(k, s, 1, kLimitMax); });
}

void BM_window_leases(benchmark::State& bench) {
  const auto keys = static_cast<uint32_t>(bench.range(0));
  static std::unique_ptr<designs::Leases> w;
  if (bench.thread_index() == 0) {
    w = std::make_unique<designs::Leases>(keys, 2, kLimitMax);
    for (uint32_t k = 0; k < keys; ++k) w->tick(k, kFirstStep, 1u << 29);
  }
  const auto worker = static_cast<uint32_t>(bench.thread_index());
  windows_alone(
      bench, keys, [&](Key k) { w->prefetch(worker, k); },
      [&](Key k, Step) { return w->reserve(worker, k, 1); });
}

// What leases cost control: one tick of one key, all keys of a tick one after the other.
void BM_leases_tick_of_a_key(benchmark::State& bench) {
  const auto keys = static_cast<uint32_t>(bench.range(0)), workers = 8u;
  designs::Leases w(keys, workers, 1'000'000);
  uint32_t k = 0;
  for (auto _ : bench) {
    w.tick(k, kFirstStep, 10);
    k = k + 1 < keys ? k + 1 : 0;
  }
}

// How much of a small limit is used up when all traffic comes to one of eight workers at twice the
// limit, and leases are granted every 10 ms by demand: per cent of what the bound admits.
void BM_leases_used_of_the_bound(benchmark::State& bench) {
  const auto bound = static_cast<uint32_t>(bench.range(0));
  double used = 0;
  for (auto _ : bench) {
    designs::Leases w(1, 8, bound);
    uint32_t admitted = 0, offered = 0;
    for (uint32_t ms = 0; ms < 60'000; ++ms) {
      if (ms % 1000 == 0) w.begin_step(0, kFirstStep + ms / 1000);
      // Every worker may be the next one to see the key: each holds at least one command's lease.
      if (ms % 10 == 0) w.tick(0, kFirstStep + ms / 1000, std::max(bound / 3000, 1u));
      for (; offered * 60'000ull < ms * 2ull * bound; ++offered) admitted += w.reserve(0, 0, 1);
    }
    used = 100.0 * admitted / bound;
  }
  bench.counters["used_percent"] = used;
}

// The figure that perf/bench.py keeps: a thousand live keys, an organisation and an intent limit on
// every packet.
void check(benchmark::State& bench) {
  stage(bench, 1000, kLimitMax, true);
}

// A second of the traffic's time, so that every key moves to a new step as often as it would.
constexpr int64_t kOneSecond = kSecond / (kBurst * kPacketTsc);

BENCHMARK(check)->Name("quota.check")->Iterations(kOneSecond);
BENCHMARK(BM_fill_only);
BENCHMARK(BM_stage)->Arg(1)->Arg(1000)->Arg(600'000)->Iterations(kOneSecond);
BENCHMARK(BM_stage_shared)->Arg(1)->Arg(1000)->Arg(600'000)->Iterations(kOneSecond);
BENCHMARK(BM_stage_shared)->Arg(1)->Arg(600'000)->Threads(2)->Iterations(kOneSecond)->UseRealTime();
BENCHMARK(BM_stage_no_limits)->Arg(1)->Arg(600'000)->Iterations(kOneSecond);
BENCHMARK(BM_stage_all_rejected)->Arg(1)->Arg(600'000)->Iterations(kOneSecond);
BENCHMARK(BM_window_one_cas)->Arg(1)->Arg(700'000)->Iterations(kOneSecond);
BENCHMARK(BM_window_two_counters)->Arg(1)->Arg(700'000)->Iterations(kOneSecond);
BENCHMARK(BM_window_leases)->Arg(1)->Arg(700'000)->Iterations(kOneSecond);
BENCHMARK(BM_window_one_cas)->Arg(1)->Threads(2)->Iterations(kOneSecond)->UseRealTime();
BENCHMARK(BM_window_two_counters)->Arg(1)->Threads(2)->Iterations(kOneSecond)->UseRealTime();
BENCHMARK(BM_window_leases)->Arg(1)->Threads(2)->Iterations(kOneSecond)->UseRealTime();
BENCHMARK(BM_leases_tick_of_a_key)->Arg(1000)->Arg(700'000);
BENCHMARK(BM_leases_used_of_the_bound)->Arg(60)->Arg(600)->Arg(60'000)->Iterations(1);

}  // namespace
}  // namespace lf::quota

BENCHMARK_MAIN();
