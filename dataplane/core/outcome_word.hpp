// SPDX-License-Identifier: Apache-2.0
// NodeStats::outcomes_in_epoch, unpacked: what one worker saw become of the commands that it or
// another worker sent to a node within the breaker's present epoch. The match stage and the
// time-out wheel write it on their worker, the breaker board reads it on the control thread and
// takes differences. Both counts wrap at 24 bits; the board looks many times before they can.
#pragma once

#include <atomic>
#include <cstdint>

namespace lf {

struct OutcomeWord {
  static constexpr uint32_t kMask = 0xffffff;

  uint16_t epoch = 0;
  uint32_t ok = 0, failed = 0;

  constexpr uint64_t pack() const noexcept {
    return uint64_t{epoch} << 48 | uint64_t{ok & kMask} << 24 | (failed & kMask);
  }
  static constexpr OutcomeWord unpack(uint64_t word) noexcept {
    return {static_cast<uint16_t>(word >> 48), static_cast<uint32_t>(word >> 24) & kMask,
            static_cast<uint32_t>(word) & kMask};
  }
};

// Counts results of commands sent in `sent_epoch`, while the node's breaker is in `live_epoch`:
// those of an earlier epoch are left out. Thread: the worker that owns `word`, alone.
inline void count_outcomes(std::atomic<uint64_t>& word, uint16_t live_epoch, uint16_t sent_epoch,
                           uint32_t ok, uint32_t failed) noexcept {
  if (sent_epoch != live_epoch) return;
  OutcomeWord w = OutcomeWord::unpack(word.load(std::memory_order_relaxed));
  if (w.epoch != sent_epoch) w = {sent_epoch, 0, 0};
  w.ok += ok;
  w.failed += failed;
  word.store(w.pack(), std::memory_order_relaxed);
}

}  // namespace lf
