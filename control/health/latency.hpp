// SPDX-License-Identifier: Apache-2.0
// A node's latency for its score. An interval's latency is the mean without its worst part: when a
// process pauses, ours or a node's, all that waited for it is answered in one part, which says
// nothing about how the node is. What lasts is in every part. Intervals are smoothed so that the
// latency rises within two of them and falls over seconds: a node that slowed down gets its traffic
// back step by step and not all at once, which would only slow it down again. The first few
// intervals are a guess, of which the best one counts. Pure; time is an argument.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

#include "control/base/clock.hpp"

namespace lf::health {

inline constexpr int kLatencyParts = 5;  // of an interval

class IntervalLatency {
 public:
  // What was answered in the next part of the interval.
  void add(uint64_t answers, uint64_t sum_us) {
    if (answers == 0) return;
    const Part part{answers, sum_us};
    if (part.mean_us() > worst_.mean_us()) worst_ = part;
    total_.answers += answers;
    total_.sum_us += sum_us;
    ++parts_;
  }
  // The interval's latency, in milliseconds; nothing when nothing was answered. The next begins.
  std::optional<double> take_ms() {
    std::optional<double> ms;
    if (parts_ >= kPartsMin)
      ms = Part{total_.answers - worst_.answers, total_.sum_us - worst_.sum_us}.mean_us() / 1000;
    else if (parts_ > 0)
      ms = total_.mean_us() / 1000;
    *this = {};
    return ms;
  }

 private:
  static constexpr int kPartsMin = 3;  // with fewer none can be spared
  struct Part {
    uint64_t answers = 0, sum_us = 0;
    double mean_us() const {
      return answers == 0 ? 0 : static_cast<double>(sum_us) / static_cast<double>(answers);
    }
  };
  Part total_, worst_;
  int parts_ = 0;
};

class LatencyEstimate {
 public:
  // An interval's latency, or a probe's. The first one counts as it is.
  void add(MonoNs now, double ms) {
    if (guesses_ < kGuesses) {
      ++guesses_;
      ms_ = ms_ ? std::min(*ms_, ms) : ms;
    } else if (now > at_) {
      const double tau_s = ms > *ms_ ? kRiseS : kFallS;
      const double passed_s = static_cast<double>(now - at_) * 1e-9;
      *ms_ += (1 - std::exp(-passed_s / tau_s)) * (ms - *ms_);
    }
    at_ = now;
  }
  // What comes next is measured in another way, and counts alone.
  void restart() {
    ms_.reset();
    guesses_ = 0;
  }

  std::optional<double> ms() const { return ms_; }
  MonoNs measured_at() const { return at_; }

 private:
  static constexpr double kRiseS = 0.2, kFallS = 5;
  static constexpr int kGuesses = 3;
  std::optional<double> ms_;
  int guesses_ = 0;  // intervals so far, of the first few
  MonoNs at_ = 0;
};

}  // namespace lf::health
