// SPDX-License-Identifier: Apache-2.0
// What a closed breaker remembers: its last failures, and the calls of its window in steps. Both
// are values of fixed size without a clock; times come in as arguments and never go back (the
// breaker sees to that). Part of the breaker, on the control thread.
#pragma once

#include <array>
#include <cstdint>

namespace lf::resilience {

using BreakerNs = uint64_t;  // a breaker's own time: differences count, wrapping does not hurt

// When the last failures were. Exact while fewer than kEntries are asked for; a step > 0 puts
// failures less than that apart under the time of the first of them.
class RecentFailures {
 public:
  static constexpr uint32_t kEntries = 64;

  void clear() { *this = {}; }
  void add(BreakerNs now, uint64_t failures, BreakerNs step);
  // Failures younger than `window`.
  uint64_t within(BreakerNs now, BreakerNs window);

 private:
  struct Entry {
    BreakerNs at = 0;
    uint64_t failures = 0;
  };
  void drop_oldest();

  std::array<Entry, kEntries> entries_{};  // a ring
  uint32_t first_ = 0, size_ = 0;
  uint64_t total_ = 0;
};

struct CallCounts {
  uint64_t calls = 0, failed = 0, slow = 0;
};

// Calls of the last `window`, kept in kSteps steps: the oldest step is left out whole, so between
// 59/60 of the window and all of it count.
class CallWindow {
 public:
  static constexpr uint32_t kSteps = 60;

  void clear() { *this = {}; }
  void add(BreakerNs now, BreakerNs window, const CallCounts& counts);
  const CallCounts& total() const { return total_; }

 private:
  void slide_to(BreakerNs now, BreakerNs step);

  std::array<CallCounts, kSteps> steps_{};
  CallCounts total_;
  BreakerNs head_start_ = 0;  // when the step at head_ began
  uint32_t head_ = 0;
  bool started_ = false;
};

}  // namespace lf::resilience
