// SPDX-License-Identifier: Apache-2.0
// When frames are due, open loop: the schedule does not wait for answers. A generator that was kept
// from running must not make up for it by a burst that no queue can hold, so what is late by more
// than the allowed time slips: it is counted and never sent. Pure; time in TSC ticks is an
// argument.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lf::gen {

class Pace {
 public:
  // rate 0: always due. At least `burst` frames may be caught up with, however short the time is.
  Pace(double rate, double hz, uint64_t start, uint64_t catch_up_ticks, uint32_t burst)
      : ticks_per_frame_(rate > 0 ? hz / rate : 0), start_(start) {
    if (rate <= 0) return;
    behind_max_ =
        std::max(uint64_t{burst},
                 static_cast<uint64_t>(static_cast<double>(catch_up_ticks) / ticks_per_frame_));
  }

  // How many are to be sent now, at most `most`.
  uint32_t due(uint64_t now, uint32_t most) {
    if (ticks_per_frame_ == 0) return most;
    const auto planned =
        static_cast<uint64_t>(static_cast<double>(now - start_) / ticks_per_frame_) + 1;
    uint64_t behind = planned - taken_;
    if (behind > behind_max_) {
      slipped_ += behind - behind_max_;
      taken_ += behind - behind_max_;
      behind = behind_max_;
    }
    const auto n = static_cast<uint32_t>(std::min<uint64_t>(behind, most));
    taken_ += n;
    return n;
  }
  uint64_t slipped() const { return slipped_; }

 private:
  double ticks_per_frame_;
  uint64_t start_;
  uint64_t behind_max_ = 0;
  uint64_t taken_ = 0;  // sent or slipped
  uint64_t slipped_ = 0;
};

}  // namespace lf::gen
