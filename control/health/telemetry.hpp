// SPDX-License-Identifier: Apache-2.0
// From counts to a node's health: one sample an interval, a sliding window of samples, an
// exponentially weighted moving average over the window. Pure, time is an argument; used by the
// health engine on the control thread. docs/health.md has the formulas.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "control/base/clock.hpp"

namespace lf::health {

// What became of commands or probes in an interval.
struct Outcomes {
  uint64_t successes = 0, failures = 0, timeouts = 0;

  uint64_t total() const { return successes + failures + timeouts; }
  Outcomes& operator+=(const Outcomes& o) {
    successes += o.successes;
    failures += o.failures;
    timeouts += o.timeouts;
    return *this;
  }
};

// The interval's sample in [0, 1]: the share of successes, of commands where there are at least
// `min_samples` of them (and one), else of probes; half of it while the node calls itself
// degraded. Nothing when there was neither.
std::optional<double> sample(const Outcomes& commands, const Outcomes& probes, bool degraded,
                             uint64_t min_samples);

// Samples of the last `window_ns`, and the average over them: it starts with the oldest sample in
// the window as it is. What has left the window leaves the average with the next sample; while
// there is none, the health stays what it was.
class HealthWindow {
 public:
  // capacity: most samples that a window can hold; the oldest goes when more are added.
  HealthWindow(MonoNs window_ns, size_t capacity, double alpha);

  void add(MonoNs now, double value);
  void clear();

  std::optional<double> health() const { return health_; }  // nothing before the first sample
  // Health now - health at the window's start, which is when its oldest sample came.
  double trend(MonoNs now) const;
  size_t size() const { return size_; }
  std::optional<MonoNs> newest() const;

 private:
  struct Entry {
    MonoNs at = 0;
    float value = 0;
    float health = 0;  // average as it was with this sample
  };
  const Entry& at(size_t k) const { return ring_[(first_ + k) % ring_.size()]; }
  void drop_oldest();

  MonoNs window_ns_;
  double alpha_;
  std::vector<Entry> ring_;
  size_t first_ = 0, size_ = 0;
  std::optional<double> health_;
};

}  // namespace lf::health
