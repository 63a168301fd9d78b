// SPDX-License-Identifier: Apache-2.0
// Quantiles of a histogram in the buckets of latency_bucket(), in the unit that was counted.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "dataplane/core/worker_stats.hpp"

namespace lf {

// Interpolated within the bucket; 0 when nothing was counted. q in [0, 1]. Counts may be fractions.
template <typename Count>
double latency_quantile(std::span<const Count, kLatencyBuckets> counts, double q) {
  double total = 0;
  for (const Count n : counts) total += static_cast<double>(n);
  if (total <= 0) return 0;
  double wanted = std::clamp(q, 0.0, 1.0) * total;
  uint32_t last = 0;
  for (uint32_t b = 0; b < kLatencyBuckets; ++b) {
    const auto n = static_cast<double>(counts[b]);
    if (n <= 0) continue;
    last = b;
    if (wanted > n) {
      wanted -= n;
      continue;
    }
    const auto floor = static_cast<double>(latency_bucket_floor_us(b));
    const auto next = static_cast<double>(latency_bucket_floor_us(b + 1));
    return floor + (next - floor) * (wanted / n);
  }
  return static_cast<double>(latency_bucket_floor_us(last + 1));  // rounding ate the rest
}

}  // namespace lf
