// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ledger/timeouts.hpp"

#include "dataplane/core/outcome_word.hpp"

namespace lf::ledger {
namespace {

constexpr uint64_t kSlotsPerSecond = 2000;  // half a millisecond
constexpr uint32_t kSlots = 4096;           // two seconds in one revolution
constexpr uint32_t kRoundsMax = 64;         // of kBurstMax: what one call may do

}  // namespace

Timeouts::Timeouts(uint32_t capacity, uint64_t tsc_hz)
    : wheel_(capacity, tsc_hz / kSlotsPerSecond, kSlots), tsc_hz_(tsc_hz) {}

bool Timeouts::watch(Ref ref, Tsc sent, Tsc timeout_tsc, NodeSlot node,
                     uint16_t breaker_epoch) noexcept {
  return wheel_.insert({ref, timeout_tsc, stamp_of(sent), node, breaker_epoch}, sent + timeout_tsc);
}

uint32_t Timeouts::expire(Ledger& ledger, const forward::NodeLive& live, NodeStats* nodes,
                          Tsc now) noexcept {
  uint32_t counted = 0;
  Watched due[kBurstMax];
  for (uint32_t round = 0; round < kRoundsMax; ++round) {
    const uint32_t n = wheel_.expire(now, due, kBurstMax);
    for (uint32_t i = 0; i < n; ++i) {
      ledger.prefetch(due[i].ref);
      ledger.prefetch_flight(due[i].ref);
    }
    for (uint32_t i = 0; i < n; ++i) {
      const Watched& w = due[i];
      if (!ledger.mark_timed_out(w.ref, w.stamp)) continue;
      NodeStats& node = nodes[w.node];
      node.timeouts.add(1);
      node.latency_sum_us.add(w.timeout_tsc * 1'000'000 / tsc_hz_);
      count_outcomes(node.outcomes_in_epoch, live.breaker(w.node).epoch, w.breaker_epoch, 0, 1);
      ++counted;
    }
    if (n < kBurstMax) break;
  }
  return counted;
}

}  // namespace lf::ledger
