// SPDX-License-Identifier: Apache-2.0
#include "dataplane/core/wall_clock.hpp"

namespace lf {

void WallClock::set(Tsc now, uint64_t unix_us, uint64_t tsc_hz) noexcept {
  const uint32_t s = sequence_.load(std::memory_order_relaxed);
  sequence_.store(s + 1, std::memory_order_relaxed);
  // Release and acquire on the values keep them between the two accesses of the sequence; fences
  // would do as well, but ThreadSanitizer does not know them.
  tsc_.store(now, std::memory_order_release);
  unix_us_.store(unix_us, std::memory_order_release);
  us_per_tick_q32_.store((uint64_t{1'000'000} << 32) / tsc_hz, std::memory_order_release);
  sequence_.store(s + 2, std::memory_order_release);
}

uint64_t WallClock::unix_us(Tsc now) const noexcept {
  for (;;) {
    const uint32_t before = sequence_.load(std::memory_order_acquire);
    const uint64_t tsc = tsc_.load(std::memory_order_acquire);
    const uint64_t us = unix_us_.load(std::memory_order_acquire);
    const uint64_t rate = us_per_tick_q32_.load(std::memory_order_acquire);
    if ((before & 1) != 0 || sequence_.load(std::memory_order_relaxed) != before) continue;
    // A worker's TSC may be a little behind the one that control read: count backwards then.
    const auto ticks = static_cast<int64_t>(now - tsc);
    const auto passed = static_cast<int64_t>((static_cast<Int128>(ticks) * rate) >> 32);
    return us + static_cast<uint64_t>(passed);
  }
}

}  // namespace lf
