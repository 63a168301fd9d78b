// SPDX-License-Identifier: Apache-2.0
// Unix time for workers without a system call: control writes a pair (TSC, Unix time) every tick
// under a sequence lock, a worker adds the ticks that have passed since.
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/core/types.hpp"

namespace lf {

class WallClock {
 public:
  // Thread: control. tsc_hz > 0.
  void set(Tsc now, uint64_t unix_us, uint64_t tsc_hz) noexcept;

  // Thread: any. Microseconds of Unix time at `now`; 0 before the first set().
  uint64_t unix_us(Tsc now) const noexcept;

 private:
  std::atomic<uint32_t> sequence_{0};
  std::atomic<uint64_t> tsc_{0};
  std::atomic<uint64_t> unix_us_{0};
  std::atomic<uint64_t> us_per_tick_q32_{0};  // microseconds per tick, 32 fractional bits
};

}  // namespace lf
