// SPDX-License-Identifier: Apache-2.0
// What looking up operators and targets costs the worker, by the number of operators. The ids are
// spread over the whole table, so with a million of them each look-up misses the caches.
#include <benchmark/benchmark.h>

#include <memory>
#include <random>

#include "control/identity/build.hpp"
#include "dataplane/identity/identity.hpp"

namespace lf::identity {
namespace {

constexpr uint32_t kBurst = 32, kBursts = 256;

void look_up(benchmark::State& state) {
  const auto count = static_cast<uint32_t>(state.range(0));
  std::vector<OperatorEntry> operators;
  std::vector<TargetEntry> targets;
  for (uint32_t i = 0; i < count; ++i) operators.push_back({i + 1, i & 63, 3, 2, 0, false, {1}});
  for (uint32_t i = 0; i < 10'000; ++i) targets.push_back({i, 1000, 0, false});
  const Table table{build_operators(operators, {{1, 0}}), build_targets(targets)};
  std::mt19937 random(5);
  std::unique_ptr<Burst[]> bursts(new Burst[kBursts]);
  Selection all;
  for (uint32_t i = 0; i < kBurst; ++i) all.add(i);
  for (uint32_t b = 0; b < kBursts; ++b)
    for (uint32_t i = 0; i < kBurst; ++i) {
      bursts[b].meta[i].org = 0;
      bursts[b].meta[i].operator_id = 1 + static_cast<uint32_t>(random() % count);
      bursts[b].meta[i].target_id = static_cast<uint32_t>(random() % 10'000);
    }
  uint64_t n = 0;
  for (auto _ : state) run(table, bursts[n++ % kBursts], all, 1'767'225'600'000'000);
  state.counters["time_per_packet"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kBurst,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// A change by operator.set: a copy of the table.
void change(benchmark::State& state) {
  std::vector<OperatorEntry> operators;
  for (uint32_t i = 0; i < static_cast<uint32_t>(state.range(0)); ++i)
    operators.push_back({i + 1, i & 63, 3, 2, 0, true, {}});
  const auto table = build_operators(operators, {});
  for (auto _ : state) benchmark::DoNotOptimize(with_operators(*table, {operators[7]}, {}));
}

BENCHMARK(look_up)->Name("identity.look_up")->Arg(1000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(change)->Name("identity.change")->Arg(1'000'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace lf::identity

BENCHMARK_MAIN();
