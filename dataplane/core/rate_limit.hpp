// SPDX-License-Identifier: Apache-2.0
// A token bucket in ticks: so many events a second with a burst on top. One owner, no atomics;
// time is an argument. Used by workers for what they send without having been asked.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/core/types.hpp"

namespace lf {

class RateLimit {
 public:
  // Starts with a full bucket.
  RateLimit(uint32_t per_second, uint32_t burst, uint64_t tsc_hz) noexcept
      : ticks_each_(std::max<uint64_t>(tsc_hz / std::max(per_second, 1u), 1)),
        credit_max_(ticks_each_ * burst),
        credit_(credit_max_) {}

  bool take(Tsc now) noexcept {
    if (now > last_) {
      credit_ += std::min(now - last_, credit_max_ - credit_);
      last_ = now;
    }
    if (credit_ < ticks_each_) return false;
    credit_ -= ticks_each_;
    return true;
  }

 private:
  uint64_t ticks_each_;
  uint64_t credit_max_;
  uint64_t credit_;  // ticks; one event costs ticks_each_
  Tsc last_ = 0;
};

}  // namespace lf
