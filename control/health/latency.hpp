// SPDX-License-Identifier: Apache-2.0
// A node's latency for its score: the mean of each interval, smoothed so that it rises within two
// intervals and falls over seconds. A node that slowed down gets its traffic back step by step
// and not all at once, which would only slow it down again. Pure; time is an argument.
#pragma once

#include <cmath>
#include <optional>

#include "control/base/clock.hpp"

namespace lf::health {

class LatencyEstimate {
 public:
  // An interval's mean. The first one counts as it is.
  void add(MonoNs now, double ms) {
    if (!ms_ || now <= at_) {
      if (!ms_) ms_ = ms;
      at_ = now;
      return;
    }
    const double tau_s = ms > *ms_ ? kRiseS : kFallS;
    const double passed_s = static_cast<double>(now - at_) * 1e-9;
    *ms_ += (1 - std::exp(-passed_s / tau_s)) * (ms - *ms_);
    at_ = now;
  }
  std::optional<double> ms() const { return ms_; }
  MonoNs measured_at() const { return at_; }

 private:
  static constexpr double kRiseS = 0.2, kFallS = 5;
  std::optional<double> ms_;
  MonoNs at_ = 0;
};

}  // namespace lf::health
