// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ledger/timeouts.hpp"

#include "dataplane/core/outcome_word.hpp"

namespace lf::ledger {
namespace {

constexpr uint64_t kSlotsPerSecond = 4000;
constexpr uint32_t kSlots = 1024;        // a revolution is a quarter of a second
constexpr uint32_t kBatch = 32;          // looked at together, for the caches' sake
constexpr uint32_t kBatchesPerLoop = 8;  // more than a loop can send

}  // namespace

Timeouts::Timeouts(uint32_t capacity, uint64_t tsc_hz)
    : wheel_(capacity, tsc_hz / kSlotsPerSecond, kSlots),
      us_per_tick_q32_(((uint64_t{1'000'000} << 32) + tsc_hz - 1) / tsc_hz) {}

uint32_t Timeouts::expire(Ledger& ledger, const forward::NodeLive& live, NodeStats* nodes,
                          Tsc now) noexcept {
  uint32_t timed_out = 0;
  for (uint32_t batch = 0; batch < kBatchesPerLoop; ++batch) {
    Watched due[kBatch];
    const uint32_t count = wheel_.expire(now, due, kBatch);
    for (uint32_t k = 0; k < count; ++k) ledger.prefetch(due[k].ref);
    for (uint32_t k = 0; k < count; ++k) {
      const Watched& w = due[k];
      if (!ledger.mark_timed_out(w.ref, w.stamp)) continue;
      ++timed_out;
      NodeStats& stats = nodes[w.node];
      const uint64_t waited = uint64_t{stamp_of(now) - w.stamp} << 8;
      const auto waited_us = static_cast<uint64_t>((Int128{us_per_tick_q32_} * waited) >> 32);
      stats.timeouts.add(1);
      stats.latency_sum_us.add(waited_us);
      stats.latency[latency_bucket(waited_us)].add(1);
      count_outcomes(stats.outcomes_in_epoch, live.breaker(w.node).epoch, w.breaker_epoch, 0, 1);
    }
    if (count < kBatch) break;
  }
  return timed_out;
}

}  // namespace lf::ledger
