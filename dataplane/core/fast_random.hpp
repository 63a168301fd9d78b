// SPDX-License-Identifier: Apache-2.0
// Random numbers for choices on a worker: one multiplication a number, no shared state. Each
// worker owns one, seeded by control. Not for anything that an attacker must not guess.
#pragma once

#include <cstdint>

namespace lf {

class FastRandom {
 public:
  explicit FastRandom(uint64_t seed = 0) noexcept : state_(seed) {}

  // A Weyl sequence, mixed by a full multiplication (the "wyrand" construction).
  uint64_t next() noexcept {
    __extension__ typedef unsigned __int128 Wide;
    state_ += 0xa0761d6478bd642full;
    const Wide product = Wide{state_} * (state_ ^ 0xe7037ed1a0b428dbull);
    return static_cast<uint64_t>(product >> 64) ^ static_cast<uint64_t>(product);
  }

 private:
  uint64_t state_;
};

}  // namespace lf
