// SPDX-License-Identifier: Apache-2.0
// The only way control-side code learns the time. Pure functions take `now` as an argument; what
// must ask for itself gets a Clock. Tests drive a ManualClock and never sleep.
#pragma once

#include <cstdint>

namespace lf {

// Monotonic time since an arbitrary start; what all intervals are measured in.
using MonoNs = int64_t;
// Unix time in microseconds; for deadlines, audit records and people. May step.
using UnixUs = int64_t;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonoNs mono_ns() const = 0;
  virtual UnixUs unix_us() const = 0;
};

class SystemClock final : public Clock {
 public:
  MonoNs mono_ns() const override;
  UnixUs unix_us() const override;
};

class ManualClock final : public Clock {
 public:
  MonoNs mono_ns() const override { return mono_ns_; }
  UnixUs unix_us() const override { return unix_us_; }
  void advance_ms(int64_t ms) {
    mono_ns_ += ms * 1'000'000;
    unix_us_ += ms * 1'000;
  }
  void step_wall_us(int64_t us) { unix_us_ += us; }

 private:
  MonoNs mono_ns_ = 1'000'000'000;
  UnixUs unix_us_ = 1'767'225'600'000'000;  // 2026-01-01T00:00:00Z
};

}  // namespace lf
