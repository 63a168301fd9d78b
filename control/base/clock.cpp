// SPDX-License-Identifier: Apache-2.0
#include "control/base/clock.hpp"

#include <chrono>

namespace lf {

MonoNs SystemClock::mono_ns() const {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

UnixUs SystemClock::unix_us() const {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace lf
