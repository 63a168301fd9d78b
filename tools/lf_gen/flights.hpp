// SPDX-License-Identifier: Apache-2.0
// What is on its way: when each frame was sent, by its number, and where it has been seen since. A
// ring of fixed size: what comes back after so many others were sent is told apart no more.
#pragma once

#include <cstdint>
#include <vector>

namespace lf::gen {

enum class Point : uint8_t { node, client };

enum class Seen : uint8_t {
  first,
  again,    // at this point
  unknown,  // never sent, or too long ago
};

class Flights {
 public:
  explicit Flights(uint32_t slots_log2 = 20) : mask_((1u << slots_log2) - 1), slots_(mask_ + 1) {}

  void sent(uint64_t number, uint64_t now) { slots_[number & mask_] = {now, (number + 1) << 2}; }

  // On Seen::first, `sent_at` is when it left.
  Seen seen(uint64_t number, Point point, uint64_t& sent_at) {
    Slot& slot = slots_[number & mask_];
    if (slot.state >> 2 != number + 1) return Seen::unknown;
    const uint64_t bit = point == Point::node ? 1 : 2;
    if ((slot.state & bit) != 0) return Seen::again;
    slot.state |= bit;
    sent_at = slot.sent_at;
    return Seen::first;
  }

 private:
  struct Slot {
    uint64_t sent_at = 0;
    uint64_t state = 0;  // number + 1, then a bit for each point; 0: empty
  };
  uint64_t mask_;
  std::vector<Slot> slots_;
};

}  // namespace lf::gen
