// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "control/base/latency_quantile.hpp"
#include "control/metrics/stats_view.hpp"

namespace lf::metrics {

std::vector<StageRow> stage_rows(std::span<const StageTimes* const> workers, uint64_t tsc_hz) {
  const double ns_per_tick = 1e9 / static_cast<double>(tsc_hz);
  std::vector<StageRow> rows;
  for (uint32_t s = 0; s < kStages; ++s) {
    StageRow row{.name = kStageNames[s]};
    std::array<uint64_t, kLatencyBuckets> buckets{};
    uint64_t ticks = 0;
    for (const StageTimes* worker : workers) {
      const StageTimes::Times& t = worker->stage[s];
      row.bursts += t.bursts.read();
      row.packets += t.packets.read();
      ticks += t.ticks.read();
      for (uint32_t b = 0; b < kLatencyBuckets; ++b) buckets[b] += t.bucket[b].read();
    }
    if (row.bursts == 0 || row.packets == 0) continue;
    row.ns_per_packet = static_cast<double>(ticks) * ns_per_tick / static_cast<double>(row.packets);
    const auto quantile = [&](double q) {
      return latency_quantile(std::span<const uint64_t, kLatencyBuckets>(buckets), q) * ns_per_tick;
    };
    row.burst_ns_p50 = quantile(0.5);
    row.burst_ns_p90 = quantile(0.9);
    row.burst_ns_p99 = quantile(0.99);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace lf::metrics
