// SPDX-License-Identifier: Apache-2.0
// Which commands cost quota, what is left of it, and in which units clients are told. Of use to the
// quota stage alone.
#pragma once

#include "dataplane/core/burst.hpp"
#include "dataplane/quota/table.hpp"

namespace lf::quota {

inline constexpr uint32_t kNoRemaining = 0xffffffff;  // no limit applies
inline constexpr uint32_t kWindowSeconds = 60;

inline uint64_t to_us(const Table& t, Tsc ticks) noexcept {
  return static_cast<uint64_t>((static_cast<Int128>(ticks) * t.us_per_tick_q32) >> 32);
}

inline uint32_t ceil_div(uint64_t us, uint32_t by) noexcept {
  return static_cast<uint32_t>((us + by - 1) / by);
}

inline bool costs_quota(const Table& t, const Meta& m) noexcept {
  return !m.is_retry && m.org < t.org_limits.size();
}

// What is left of a key of which so many are used.
inline uint32_t left_after(const Bounds& bounds, uint32_t used) noexcept {
  if (bounds.limit == kUnlimited) return kNoRemaining;
  return bounds.admit_max > used ? bounds.admit_max - used : 0;
}

}  // namespace lf::quota
