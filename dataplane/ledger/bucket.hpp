// SPDX-License-Identifier: Apache-2.0
// A bucket of the ledger: eight slots, two adjacent cache lines that one look reads, and behind
// them the slots' flights, a line each. Slots and flights lie together so that a command costs one
// TLB miss, not two.
#pragma once

#include <cstdint>

#include "dataplane/core/types.hpp"
#include "dataplane/ledger/flight.hpp"
#include "dataplane/ledger/slot.hpp"

namespace lf::ledger {

struct alignas(2 * kCacheLine) Bucket {
  Slot slot[kWays];
  FlightRecord flight[kWays];  // of the slot at the same place

  // The ring's order. Not the memory's, for ledger/look.hpp's sake.
  static constexpr uint32_t place(uint32_t way) noexcept {
    return (way << 1 & (kWays - 2)) | way >> 2;
  }
  static constexpr uint32_t way_at(uint32_t place) noexcept {
    return place >> 1 | (place << 2 & (kWays - 1));
  }
  Slot& way(uint32_t w) noexcept { return slot[place(w)]; }
  const Slot& way(uint32_t w) const noexcept { return slot[place(w)]; }
};
static_assert(sizeof(Bucket) == 640);

}  // namespace lf::ledger
