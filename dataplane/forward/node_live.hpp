// SPDX-License-Identifier: Apache-2.0
// What workers must know about a node sooner than the next forwarding table: its breaker. One word
// a node, shared by all workers, read for each choice, so a trip is honoured in the same burst.
// Writer of a word: control, at a breaker's transition. Workers only take trial tokens from it,
// with a compare-and-swap over the whole word: a token of an earlier epoch can't be taken, and of
// the N tokens that control put in, exactly N are taken, over all workers together.
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/core/types.hpp"

namespace lf::forward {

enum class BreakerFlag : uint8_t { closed, open, half_open };

// A breaker's word, unpacked. `epoch` counts the breaker's transitions; it tags the commands sent
// meanwhile, so that an answer to an earlier one does not count.
struct BreakerWord {
  BreakerFlag flag = BreakerFlag::closed;
  uint16_t epoch = 0;
  uint32_t trials = 0;  // tokens left; only half-open has any
  bool operator==(const BreakerWord&) const = default;
};

class NodeLive {
 public:
  // Thread: any. slot < kNodesMax.
  BreakerWord breaker(NodeSlot slot) const noexcept {
    return unpack(words_[slot].load(std::memory_order_acquire));
  }

  // Thread: worker. The usual case in three instructions: with all other bits 0 the word of a closed
  // breaker is its epoch.
  bool is_closed(NodeSlot slot, uint16_t& epoch) const noexcept {
    const uint64_t word = words_[slot].load(std::memory_order_acquire);
    epoch = static_cast<uint16_t>(word);
    return word <= 0xffff;
  }

  // Thread: control, at each transition, with an epoch that differs from the one before.
  void set_breaker(NodeSlot slot, BreakerWord word) noexcept {
    words_[slot].store(pack(word), std::memory_order_release);
  }

  // Thread: worker. Takes one trial token while the node is half-open in the epoch of `seen`.
  // Lock-free: a failed exchange means that another worker took one or control moved on.
  bool take_trial(NodeSlot slot, BreakerWord seen) noexcept {
    uint64_t word = pack(seen);
    for (;;) {
      const BreakerWord w = unpack(word);
      if (w.flag != BreakerFlag::half_open || w.epoch != seen.epoch || w.trials == 0) return false;
      if (words_[slot].compare_exchange_weak(word, word - kTrial, std::memory_order_acq_rel,
                                             std::memory_order_acquire))
        return true;
    }
  }

  // Commands on the books as in flight that no counter will ever settle, as control found out from
  // counts older than the time-out. Writer: control. Reader: workers, for least-loaded.
  void set_lost(NodeSlot slot, int64_t commands) noexcept {
    lost_[slot].store(commands, std::memory_order_relaxed);
  }
  int64_t lost(NodeSlot slot) const noexcept { return lost_[slot].load(std::memory_order_relaxed); }

 private:
  // [trials:32][0:8][flag:8][epoch:16]
  static constexpr uint64_t kTrial = uint64_t{1} << 32;
  static constexpr uint64_t pack(BreakerWord w) noexcept {
    if (w.flag == BreakerFlag::closed) return w.epoch;  // see is_closed()
    return w.trials * kTrial | static_cast<uint64_t>(w.flag) << 16 | w.epoch;
  }
  static constexpr BreakerWord unpack(uint64_t word) noexcept {
    return {static_cast<BreakerFlag>(word >> 16 & 0xff), static_cast<uint16_t>(word),
            static_cast<uint32_t>(word >> 32)};
  }

  // Eight nodes share a line: words change a few times a minute at most, and are read all the time.
  alignas(kCacheLine) std::atomic<uint64_t> words_[kNodesMax] = {};
  alignas(kCacheLine) std::atomic<int64_t> lost_[kNodesMax] = {};
};

}  // namespace lf::forward
