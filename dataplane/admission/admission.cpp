// SPDX-License-Identifier: Apache-2.0
#include "dataplane/admission/admission.hpp"

#include <algorithm>
#include <charconv>

#include "dataplane/core/hold_end.hpp"
#include "dataplane/lcp/header.hpp"

namespace lf::admission {
namespace {

constexpr uint32_t kDegradedPercent = 85;

Reason reason_of(uint64_t waiting, uint64_t limit) noexcept {
  using Wide = Int128;
  if (waiting >= limit) return Reason::hard_limit;
  return Wide{waiting} * 100 >= Wide{limit} * kDegradedPercent ? Reason::degraded : Reason::nominal;
}

// To the nearest number with 4 decimals, judged by the exact value of the double.
double round4(double value) noexcept {
  char text[64];  // a ratio of 64-bit integers has at most 20 digits before the point
  const auto end = std::to_chars(text, text + sizeof(text), value, std::chars_format::fixed, 4);
  double rounded = value;
  std::from_chars(text, end.ptr, rounded);
  return rounded;
}

bool can_shed(const Meta& m) noexcept {
  return m.kind == Kind::command && !was_held(m.origin);
}

// Who goes first: 0 duplicates, 1 unauthenticated, 2.. by severity.
constexpr uint32_t kRanks = 2 + lcp::kSeverityMax;
uint32_t rank_of(const Meta& m, bool duplicate) noexcept {
  if (duplicate) return 0;
  if (!m.authenticated) return 1;
  return 2 + std::clamp<uint32_t>(m.severity, lcp::kSeverityMin, lcp::kSeverityMax) - 1;
}

}  // namespace

Decision admission_control(int64_t backlog, int64_t inflight, int64_t hard_limit) noexcept {
  const uint64_t waiting = static_cast<uint64_t>(std::max<int64_t>(backlog, 0)) +
                           static_cast<uint64_t>(std::max<int64_t>(inflight, 0));
  const auto limit = static_cast<uint64_t>(std::max<int64_t>(hard_limit, 1));
  const Reason reason = reason_of(waiting, limit);
  return {reason != Reason::hard_limit, reason,
          round4(static_cast<double>(waiting) / static_cast<double>(limit))};
}

Reason level(const Table& table, const Load& load) noexcept {
  if (!table.enabled) return Reason::nominal;
  return reason_of(load.in_flight + load.rx_backlog + load.delayed,
                   std::max<uint64_t>(table.hard_limit, 1));
}

uint64_t room(const Table& table, const Load& load) noexcept {
  if (!table.enabled) return UINT64_MAX;
  const uint64_t waiting = load.in_flight + load.rx_backlog + load.delayed;
  const uint64_t limit = std::max<uint64_t>(table.hard_limit, 1);
  return limit > waiting ? limit - waiting : 0;
}

void run(const Table& table, const Load& load, uint64_t duplicates, Burst& burst,
         Selection& live) noexcept {
  uint64_t left = room(table, load);
  if (left >= live.count) return;

  uint32_t of_rank[kRanks] = {};
  for (const uint8_t i : live) {
    const Meta& m = burst.meta[i];
    if (can_shed(m)) ++of_rank[rank_of(m, (duplicates >> i & 1) != 0)];
  }
  // How many of each rank stay: the highest first.
  uint32_t stay[kRanks] = {};
  for (uint32_t r = kRanks; r-- > 0;) {
    stay[r] = static_cast<uint32_t>(std::min<uint64_t>(of_rank[r], left));
    left -= stay[r];
  }
  for (const uint8_t i : live) {
    Meta& m = burst.meta[i];
    if (!can_shed(m)) continue;
    uint32_t& places = stay[rank_of(m, (duplicates >> i & 1) != 0)];
    if (places > 0) {
      --places;
      continue;
    }
    m.reply_status = lcp::Status::busy;
    m.throttle_ms = kRetryAfterMs;
    burst.decide(i, Verdict::shed);
  }
  keep_undecided(burst, live);
}

}  // namespace lf::admission
