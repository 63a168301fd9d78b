// SPDX-License-Identifier: Apache-2.0
// How a worker without traffic backs off: first it only pauses the CPU, then it naps, each nap
// twice as long as the one before up to a bound, or waits for a receive interrupt where every port
// has them. One packet ends it. Pure: the worker asks what to do next and does it.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lf {

struct IdleSettings {
  bool backoff = true;
  uint32_t spin_polls = 256;    // empty polls before the first nap
  uint32_t sleep_us_max = 200;  // longest nap
  bool interrupts = false;      // every receive queue can wake the worker
};

class Idle {
 public:
  struct Step {
    enum class Action : uint8_t { poll, pause, nap } action;
    uint32_t nap_us = 0;
  };

  explicit Idle(const IdleSettings& settings) noexcept : settings_(settings) {}

  void saw_traffic() noexcept { empty_ = 0; }

  // After a poll that found nothing.
  Step next() noexcept {
    if (!settings_.backoff) return {Step::Action::poll};
    if (empty_ < settings_.spin_polls) {
      ++empty_;
      return {Step::Action::pause};
    }
    const uint32_t naps = std::min(empty_ - settings_.spin_polls, 16u);
    if (naps < 16) ++empty_;
    return {Step::Action::nap,
            static_cast<uint32_t>(std::min<uint64_t>(uint64_t{5} << naps, settings_.sleep_us_max))};
  }

  bool interrupts() const noexcept { return settings_.interrupts; }

 private:
  IdleSettings settings_;
  uint32_t empty_ = 0;
};

}  // namespace lf
