// SPDX-License-Identifier: Apache-2.0
// What health-weighted forwarding costs: a packet's choice of node by number of nodes and way of
// balancing, beside the plain searches that the alias table replaces; and on the control thread a
// tick of the health engine and a table build. `ns` is per packet, `us` per call.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "control/forward/table_builder.hpp"
#include "control/health/engine.hpp"
#include "dataplane/choose/choose.hpp"
#include "dataplane/forward/alias.hpp"

namespace lf {
namespace {

constexpr uint32_t kBurst = 32;
constexpr uint64_t kTscHz = 2'000'000'000;
constexpr uint32_t kWorkers = 2;

// A service with `count` nodes of three different weights, all in service, and its table.
struct Service {
  config::Config config;
  forward::Slots slots;
  std::vector<forward::NextHop> hops;
  std::shared_ptr<const forward::Table> table;
  std::vector<std::unique_ptr<NodeStats[]>> stats;
  std::vector<const NodeStats*> workers;

  explicit Service(int64_t count, forward::Balance balance = forward::Balance::weighted_random) {
    config.services.resize(1);
    config.services[0].name = "orbit";
    config.services[0].balance = balance;
    for (int64_t i = 0; i < count; ++i) {
      config::Node n;
      n.name = "n" + std::to_string(i);
      n.id = static_cast<uint32_t>(i) + 1;
      n.address = {0, n.id};
      n.weight = static_cast<uint32_t>(100 + 100 * (i % 3));
      config.services[0].nodes.push_back(n);
    }
    if (!slots.sync(config)) std::abort();
    hops.resize(static_cast<size_t>(count));
    for (auto& h : hops) h.resolved = true;
    table =
        *forward::build_table({config, slots, hops, forward::fixed_plans(config, slots), kTscHz});
    for (uint32_t w = 0; w < kWorkers; ++w) {
      stats.push_back(std::make_unique<NodeStats[]>(kNodesMax));
      workers.push_back(stats.back().get());
    }
  }
};

void per_packet(benchmark::State& bench) {
  bench.counters["time_per_packet"] =
      benchmark::Counter(static_cast<double>(bench.iterations()) * kBurst,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void choose_bench(benchmark::State& bench, forward::Balance balance) {
  const Service service(bench.range(0), balance);
  auto live = std::make_unique<forward::NodeLive>();
  auto state = std::make_unique<choose::State>();
  choose::init(*state, service.workers.data(), kWorkers, 0, 1, kTscHz);
  auto burst = std::make_unique<Burst>();
  Selection all;
  for (uint32_t i = 0; i < kBurst; ++i) {
    burst->meta[i].service = 0;
    all.add(i);
  }
  Tsc now = kTscHz;
  for (auto _ : bench) {
    Selection selection = all;
    choose::run(*service.table, *live, *state, *burst, selection, now);
    benchmark::DoNotOptimize(burst->meta[kBurst - 1].node);
    now += 2000;  // a microsecond: bursts at full rate
  }
  per_packet(bench);
}

void weighted(benchmark::State& bench) {
  choose_bench(bench, forward::Balance::weighted_random);
}
void least_loaded(benchmark::State& bench) {
  choose_bench(bench, forward::Balance::least_loaded);
}
BENCHMARK(weighted)->Name("choose/weighted")->Arg(3)->Arg(100)->Arg(1000);
BENCHMARK(least_loaded)->Name("choose/least_loaded")->Arg(3)->Arg(100)->Arg(1000);

// Baselines: cumulative weights, searched; the choice alone, without breakers or metadata.
template <typename Search>
void cumulative_bench(benchmark::State& bench, Search search) {
  std::vector<uint32_t> sums;
  uint32_t sum = 0;
  for (int64_t i = 0; i < bench.range(0); ++i)
    sums.push_back(sum += static_cast<uint32_t>(100 + 100 * (i % 3)));
  FastRandom random(1);
  for (auto _ : bench)
    for (uint32_t k = 0; k < kBurst; ++k)
      benchmark::DoNotOptimize(
          search(sums, static_cast<uint32_t>(((random.next() >> 32) * sum) >> 32)));
  per_packet(bench);
}
void linear_search(benchmark::State& bench) {
  cumulative_bench(bench, [](const std::vector<uint32_t>& sums, uint32_t at) {
    size_t i = 0;
    while (sums[i] <= at) ++i;
    return i;
  });
}
void binary_search(benchmark::State& bench) {
  cumulative_bench(bench, [](const std::vector<uint32_t>& sums, uint32_t at) {
    return std::upper_bound(sums.begin(), sums.end(), at) - sums.begin();
  });
}
BENCHMARK(linear_search)->Name("baseline/linear")->Arg(3)->Arg(100)->Arg(1000);
BENCHMARK(binary_search)->Name("baseline/binary")->Arg(3)->Arg(100)->Arg(1000);

// The draw of the alias table alone, as the baselines are.
void alias_draw(benchmark::State& bench) {
  const Service service(bench.range(0));
  FastRandom random(1);
  const forward::Pool pool = service.table->services[0].primary;
  for (auto _ : bench)
    for (uint32_t k = 0; k < kBurst; ++k)
      benchmark::DoNotOptimize(forward::draw(service.table->columns.data(), pool, random.next()));
  per_packet(bench);
}
BENCHMARK(alias_draw)->Name("choose/draw")->Arg(3)->Arg(100)->Arg(1000);

// A tick of all nodes after so many milliseconds. 250, an interval: counts of two workers summed, a
// sample, a step, a plan; every fourth reads the latency histograms as well. 50, four in five of
// the daemon's ticks: a part of an interval, the counts alone.
void tick(benchmark::State& bench) {
  Service service(bench.range(0));
  const health::WorkerCounts counts(service.workers);
  auto live = std::make_unique<forward::NodeLive>();
  health::HealthEngine engine(1);
  health::Now now{1'000'000'000, 0};
  engine.configure(service.config, service.slots, counts, now);
  for (auto _ : bench) {
    bench.PauseTiming();
    for (auto& s : service.stats)
      for (int64_t n = 0; n < bench.range(0); ++n) {
        s[static_cast<size_t>(n)].sent.add(100);
        s[static_cast<size_t>(n)].ok.add(100);
        s[static_cast<size_t>(n)].latency_sum_us.add(static_cast<uint64_t>(30'000 + n % 5));
      }
    now.mono += bench.range(1) * 1'000'000;
    bench.ResumeTiming();
    benchmark::DoNotOptimize(engine.tick(now, counts, *live));
  }
}
BENCHMARK(tick)
    ->Name("health/tick")
    ->Unit(benchmark::kMicrosecond)
    ->ArgNames({"nodes", "ms"})
    ->ArgsProduct({{3, 1000}, {250, 50}});

void build(benchmark::State& bench) {
  const Service service(bench.range(0));
  const auto plans = forward::fixed_plans(service.config, service.slots);
  for (auto _ : bench)
    benchmark::DoNotOptimize(
        forward::build_table({service.config, service.slots, service.hops, plans, kTscHz}));
}
BENCHMARK(build)->Name("forward/build_table")->Unit(benchmark::kMicrosecond)->Arg(3)->Arg(1000);

}  // namespace
}  // namespace lf

BENCHMARK_MAIN();
