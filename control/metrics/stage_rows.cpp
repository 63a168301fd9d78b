// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "control/metrics/stats_view.hpp"

namespace lf::metrics {
namespace {

constexpr const char* kNames[] = {
#define LF_STAGE(name) #name,
    LF_STAGES(LF_STAGE)
#undef LF_STAGE
};

using Buckets = std::array<uint64_t, kLatencyBuckets>;

// Ticks below which a share `q` of the bursts lies; linear inside a bucket.
double quantile(const Buckets& buckets, uint64_t bursts, double q) {
  double wanted = q * static_cast<double>(bursts);
  for (uint32_t b = 0; b < kLatencyBuckets; ++b) {
    const auto n = static_cast<double>(buckets[b]);
    if (n < wanted || n == 0) {
      wanted -= n;
      continue;
    }
    const auto floor = static_cast<double>(latency_bucket_floor_us(b));
    return floor + (static_cast<double>(latency_bucket_floor_us(b + 1)) - floor) * wanted / n;
  }
  return static_cast<double>(latency_bucket_floor_us(kLatencyBuckets - 1));
}

}  // namespace

std::vector<StageRow> stage_rows(std::span<const StageTimes* const> workers, uint64_t tsc_hz) {
  const double ns_per_tick = 1e9 / static_cast<double>(tsc_hz);
  std::vector<StageRow> rows;
  for (uint32_t s = 0; s < kStages; ++s) {
    StageRow row{.name = kNames[s]};
    Buckets buckets{};
    uint64_t ticks = 0, in_buckets = 0;
    for (const StageTimes* worker : workers) {
      const StageTimes::Times& t = worker->stage[s];
      row.bursts += t.bursts.read();
      row.packets += t.packets.read();
      ticks += t.ticks.read();
      for (uint32_t b = 0; b < kLatencyBuckets; ++b) {
        buckets[b] += t.bucket[b].read();
        in_buckets += t.bucket[b].read();
      }
    }
    if (row.bursts == 0 || row.packets == 0) continue;
    row.ns_per_packet = static_cast<double>(ticks) * ns_per_tick / static_cast<double>(row.packets);
    row.burst_ns_p50 = quantile(buckets, in_buckets, 0.5) * ns_per_tick;
    row.burst_ns_p90 = quantile(buckets, in_buckets, 0.9) * ns_per_tick;
    row.burst_ns_p99 = quantile(buckets, in_buckets, 0.99) * ns_per_tick;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace lf::metrics
