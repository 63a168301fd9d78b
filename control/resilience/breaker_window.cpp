// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/breaker_window.hpp"

namespace lf::resilience {

void RecentFailures::drop_oldest() {
  total_ -= entries_[first_].failures;
  first_ = (first_ + 1) % kEntries;
  --size_;
}

void RecentFailures::add(BreakerNs now, uint64_t failures, BreakerNs step) {
  if (failures == 0) return;
  total_ += failures;
  if (size_ > 0) {
    Entry& last = entries_[(first_ + size_ - 1) % kEntries];
    if (now - last.at <= step) {
      last.failures += failures;
      return;
    }
  }
  if (size_ == kEntries) drop_oldest();
  entries_[(first_ + size_++) % kEntries] = {now, failures};
}

uint64_t RecentFailures::within(BreakerNs now, BreakerNs window) {
  while (size_ > 0 && now - entries_[first_].at >= window) drop_oldest();
  return total_;
}

void CallWindow::slide_to(BreakerNs now, BreakerNs step) {
  if (!started_ || now - head_start_ >= step * kSteps) {
    clear();
    started_ = true;
    head_start_ = now;
  }
  for (; now - head_start_ >= step; head_start_ += step) {
    head_ = (head_ + 1) % kSteps;
    total_.calls -= steps_[head_].calls;
    total_.failed -= steps_[head_].failed;
    total_.slow -= steps_[head_].slow;
    steps_[head_] = {};
  }
}

void CallWindow::add(BreakerNs now, BreakerNs window, const CallCounts& counts) {
  const BreakerNs step = window / kSteps + (window < kSteps);
  slide_to(now, step);
  CallCounts& head = steps_[head_];
  for (CallCounts* c : {&head, &total_}) {
    c->calls += counts.calls;
    c->failed += counts.failed;
    c->slow += counts.slow;
  }
}

}  // namespace lf::resilience
