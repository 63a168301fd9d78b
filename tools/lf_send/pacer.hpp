// SPDX-License-Identifier: Apache-2.0
// When the next commands are due. Time is an argument; lateness does not add up, since due times
// are counted from the start and not from the last send.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lf::send {

class Pacer {
 public:
  // rate 0: always due. count 0, duration 0: no limit.
  Pacer(double rate, uint64_t count, int64_t duration_ns, int64_t start_ns)
      : ns_per_command_(rate > 0 ? 1e9 / rate : 0),
        count_(count ? count : ~uint64_t{0}),
        start_(start_ns),
        end_(duration_ns > 0 ? start_ns + duration_ns : INT64_MAX) {}

  // How many may be sent at `now` that have not been.
  uint64_t due(int64_t now) const {
    if (now < start_ || sent_ >= count_ || over(now)) return 0;
    uint64_t until_now = count_;
    if (ns_per_command_ > 0) {
      const double n = static_cast<double>(now - start_) / ns_per_command_;
      until_now = std::min(count_, static_cast<uint64_t>(n) + 1);
    }
    return until_now > sent_ ? until_now - sent_ : 0;
  }
  void sent(uint64_t n) { sent_ += n; }
  uint64_t total_sent() const { return sent_; }

  // When the next one is due.
  int64_t next_ns() const {
    return start_ + static_cast<int64_t>(static_cast<double>(sent_) * ns_per_command_);
  }
  bool over(int64_t now) const { return sent_ >= count_ || now >= end_; }

 private:
  double ns_per_command_;
  uint64_t count_;
  int64_t start_, end_;
  uint64_t sent_ = 0;
};

}  // namespace lf::send
