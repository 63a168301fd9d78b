// SPDX-License-Identifier: Apache-2.0
// What breakers and replay cost: on workers, the look at a node's breaker, a trial token, keeping a
// packet; on the control thread, a tick of the board.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "control/resilience/board.hpp"
#include "control/resilience/replay_plan.hpp"
#include "dataplane/ledger/ledger.hpp"
#include "dataplane/replay/keep_pool.hpp"

namespace lf::resilience {
namespace {

using forward::BreakerFlag;
using forward::NodeLive;

NodeLive& live() {
  static const auto nodes = std::make_unique<NodeLive>();
  return *nodes;
}

// What every choice pays: the word of a closed breaker, over 64 nodes in turn.
void closed_breaker(benchmark::State& state) {
  uint32_t slot = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(live().breaker(static_cast<NodeSlot>(slot)).flag);
    slot = (slot + 7) & 63;
  }
}
BENCHMARK(closed_breaker);

// A trial token while there are plenty; with two threads both want the same word.
void take_trial(benchmark::State& state) {
  constexpr NodeSlot kSlot = 100;
  if (state.thread_index() == 0) live().set_breaker(kSlot, {BreakerFlag::half_open, 1, UINT32_MAX});
  for (auto _ : state)
    benchmark::DoNotOptimize(live().take_trial(kSlot, {BreakerFlag::half_open, 1, 3}));
}
BENCHMARK(take_trial)->Threads(1)->Threads(2)->UseRealTime();

void take_trial_none_left(benchmark::State& state) {
  constexpr NodeSlot kSlot = 101;
  const forward::BreakerWord word{BreakerFlag::half_open, 1, 0};
  live().set_breaker(kSlot, word);
  for (auto _ : state) benchmark::DoNotOptimize(live().take_trial(kSlot, word));
}
BENCHMARK(take_trial_none_left);

// nodes, workers, nodes with new results since the last tick.
void board_tick(benchmark::State& state) {
  const auto nodes = static_cast<uint32_t>(state.range(0));
  const auto workers = static_cast<uint32_t>(state.range(1));
  const auto busy = static_cast<uint32_t>(state.range(2));
  const auto words = std::make_unique<NodeLive>();
  std::vector<std::unique_ptr<NodeStats[]>> stats;
  std::vector<const NodeStats*> views;
  for (uint32_t w = 0; w < workers; ++w)
    views.push_back(stats.emplace_back(std::make_unique<NodeStats[]>(nodes)).get());
  BreakerBoard board(*words, views, 1);
  std::vector<BoardNode> list;
  for (uint32_t n = 0; n < nodes; ++n)
    list.push_back({"s", std::to_string(n), n, static_cast<NodeSlot>(n), 1, BreakerSettings{}});
  board.configure(list);
  MonoNs now = 0;
  for (auto _ : state) {
    state.PauseTiming();
    for (uint32_t n = 0; n < busy; ++n)
      for (auto& s : stats) count_outcomes(s[n].outcomes_in_epoch, 1, 1, 100, 0);
    state.ResumeTiming();
    now += 10'000'000;
    benchmark::DoNotOptimize(board.tick(now).size());
  }
}
BENCHMARK(board_tick)
    ->Args({1000, 1, 1000})
    ->Args({1000, 4, 0})
    ->Args({1000, 4, 1000})
    ->Args({4096, 8, 4096})
    ->Unit(benchmark::kMicrosecond);

// Plain memory as an mbuf; its references never run out.
struct Mbufs {
  explicit Mbufs(uint32_t count) : memory(count) {
    for (Place& p : memory) {
      auto* m = reinterpret_cast<rte_mbuf*>(p.bytes);
      m->priv_size = kMbufPrivateSize;
      m->nb_segs = 1;
      rte_mbuf_refcnt_set(m, 1000);
    }
  }
  struct Place {
    alignas(kCacheLine) uint8_t bytes[sizeof(rte_mbuf) + kMbufPrivateSize] = {};
  };
  rte_mbuf* at(uint32_t i) { return reinterpret_cast<rte_mbuf*>(memory[i].bytes); }
  std::vector<Place> memory;
};

// Keeping a packet in a pool of 8192 whose commands are answered after 2000 others were sent; the
// ledger has a million entries, which are visited at random. The packet is in the cache, as it is
// when it has just been rewritten. With 0: the same loop without keeping.
void keep(benchmark::State& state) {
  constexpr uint32_t kEntries = 1u << 20, kInFlight = 2000, kCommands = 1u << 14;
  struct Owed {
    std::vector<uint32_t> stamps = std::vector<uint32_t>(size_t{kEntries} * 16);  // a line each
    bool operator()(uint64_t ref, uint32_t stamp) const { return stamps[ref * 16] == stamp; }
    void prefetch(uint64_t ref) const { __builtin_prefetch(&stamps[ref * 16]); }
  };
  static Owed owed;
  static Mbufs mbufs(kCommands);
  replay::KeepPool pool(8192);
  uint32_t n = 0;
  uint64_t unkept = 0;
  const auto ref_of = [](uint32_t i) { return (uint64_t{i} * 2654435761u) & (kEntries - 1); };
  Meta meta;
  meta.deadline_us = UINT64_MAX;
  for (auto _ : state) {
    ++n;
    meta.node = static_cast<NodeSlot>(n % 3);
    meta.ledger_ref = ref_of(n);
    owed.stamps[meta.ledger_ref * 16] = n;
    if (n > kInFlight) owed.stamps[ref_of(n - kInFlight) * 16] = 0;
    rte_mbuf* m = mbufs.at(n & (kCommands - 1));
    benchmark::DoNotOptimize(rte_mbuf_refcnt_read(m));
    note_of(m).meta = meta;
    if (state.range(0) != 0) unkept += !pool.keep(m, meta, {}, n, 1, owed);
  }
  state.counters["unkept"] = static_cast<double>(unkept);
}
BENCHMARK(keep)->Arg(0)->Arg(1);

// What a loop pays while no breaker is open.
void no_orders(benchmark::State& state) {
  const auto orders = std::make_unique<replay::Orders>();
  for (auto _ : state) benchmark::DoNotOptimize(orders->active());
}
BENCHMARK(no_orders);

void build_plan(benchmark::State& state) {
  const std::vector<std::string> candidates{"west", "north"}, degraded{"west"};
  for (auto _ : state)
    benchmark::DoNotOptimize(build_replay_plan(1000, 10, "east", candidates, degraded));
}
BENCHMARK(build_plan);

}  // namespace
}  // namespace lf::resilience

BENCHMARK_MAIN();
