// SPDX-License-Identifier: Apache-2.0
// What clients are told of their quotas about commands that others refused.
#include <algorithm>

#include "dataplane/quota/left.hpp"
#include "dataplane/quota/quota.hpp"

namespace lf::quota {
namespace {

// What is left of a key in this step.
uint32_t left_of(const Windows& w, Key key, const Bounds& bounds, Step step) noexcept {
  return left_after(bounds, bounds.limit == kUnlimited ? 0 : w.used(key, step));
}

}  // namespace

void tell(const Table& table, const Windows& windows, Burst& burst, const Selection& refused,
          Tsc now) noexcept {
  const Step step = windows.step_at(now);
  for (const uint8_t i : refused) {
    Meta& m = burst.meta[i];
    if ((m.flags & lcp::kFlagWantsReply) == 0 || m.org >= table.org_limits.size()) continue;
    m.quota_remaining = kNoRemaining;
    m.reset_seconds = 0;
    const auto look = [&](Key key, Limit limit) {
      const Bounds bounds = bounds_of(table, limit);
      const uint32_t left = left_of(windows, key, bounds, step);
      m.quota_remaining = std::min(m.quota_remaining, left);
      if (left != 0) return;
      const Tsc room = bounds.admit_max == 0
                           ? now + kWindowSeconds * windows.step_tsc()
                           : windows.begin_of(windows.room_at(key, step, bounds.admit_max - 1));
      const uint64_t us = to_us(table, room > now ? room - now : 0);
      m.reset_seconds = std::max(m.reset_seconds, ceil_div(us, 1'000'000));
      m.throttle_ms = std::max(m.throttle_ms, ceil_div(us, 1000));
    };
    look(org_key(m.org), table.org_limits[m.org]);
    look(intent_key(m.org, m.intent_index), table.intent_limits[m.org].by_intent[m.intent_index]);
  }
}

void tell_left(const Table& table, const Windows& windows, const State& state, Burst& burst,
               const Selection& admitted) noexcept {
  const Step step = windows.step_at(state.clock.last());
  for (const uint8_t i : admitted) {
    Meta& m = burst.meta[i];
    if ((m.flags & lcp::kFlagWantsReply) == 0 || !costs_quota(table, m)) continue;
    const auto left = [&](Key key, Limit limit) {
      return left_of(windows, key, bounds_of(table, limit), step);
    };
    const Limit own = table.intent_limits[m.org].by_intent[m.intent_index];
    m.quota_remaining = std::min(left(org_key(m.org), table.org_limits[m.org]),
                                 left(intent_key(m.org, m.intent_index), own));
  }
}

}  // namespace lf::quota
