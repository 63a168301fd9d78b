// SPDX-License-Identifier: Apache-2.0
// What the client of a command is told about its quota, and in which units. Of use to the quota
// stage alone.
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

}  // namespace lf::quota
