// SPDX-License-Identifier: Apache-2.0
// Exponential backoff in exact integers: base, base, 2·base, 4·base, ... up to the cap.
// Called by the quota stage (delay tier) and the replay engine on workers, and by the replay
// planner on the control thread. Pure; total over all inputs: products that do not fit saturate.
#pragma once

#include <cstdint>
#include <limits>

#include "dataplane/core/types.hpp"

namespace lf {

inline constexpr int64_t kBackoffBaseMs = 80;
inline constexpr int64_t kBackoffCapMs = 5000;

// attempt <= 0: base, even above the cap; else min(base * 2^(attempt - 1), cap).
constexpr int64_t retry_backoff(int64_t attempt, int64_t base_ms = kBackoffBaseMs,
                                int64_t cap_ms = kBackoffCapMs) noexcept {
  if (attempt <= 0) return base_ms;
  // 2^63 takes every base but 0 past the int64 range, and any int64 times it fits 128 bits.
  const int64_t doublings = attempt - 1 < 63 ? attempt - 1 : 63;
  const Int128 product = Int128{base_ms} * (Int128{1} << doublings);
  if (product >= cap_ms) return cap_ms;
  constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
  return product < kLowest ? kLowest : static_cast<int64_t>(product);
}

}  // namespace lf
