// SPDX-License-Identifier: Apache-2.0
// What the files that get commands into the ledger share: admit.cpp, enter.hpp.
#pragma once

#include <cstdint>

#include "dataplane/ledger/ledger.hpp"
#include "dataplane/ledger/look.hpp"

namespace lf::ledger {

// What the hi of all new entries of a burst have in common; and the lap, which is flipped.
constexpr uint64_t fresh_bits(uint32_t epoch) noexcept {
  return uint64_t{epoch} << 12 | static_cast<uint64_t>(State::accepted) << 1 | uint64_t{1} << 63;
}
// hi of a new entry over `victim`.
inline uint64_t new_hi(const Command& c, uint32_t epoch, const Word& victim) noexcept {
  return c.entry ^ victim.turned_lap() ^ fresh_bits(epoch);
}

// What one look at a command's bucket leads to.
struct Ledger::Plan {
  Slot* slot;  // that is next
  Ref ref;     // of the command, if it is entered there
  uint64_t expected_lo, expected_hi;
  uint64_t desired_hi;
  uint32_t alike;     // ways that may be about the command
  uint32_t unsteady;  // not 0: what was read is of different moments
  uint32_t barred;    // not 0: what is in the slot may not be overwritten by this command,
  bool shielded;      // because the share rule protects it
  uint8_t live_age;   // 0: overwrites nothing live; else age + 1
  uint8_t place;      // of the slot
  uint8_t own;        // when shielded: ways of the command's group

  Word expected() const noexcept { return {expected_lo, expected_hi}; }
};

// A burst's counts: added up here, written once.
struct Ledger::Tally {
  uint32_t fresh = 0, full = 0, occupied = 0, evicted_early = 0, evicted_epochs = 0;
  uint32_t share_evictions = 0, passed_over = 0, contended = 0;

  void entered(const Plan& plan) noexcept {
    ++fresh;
    if (plan.live_age == 0) {
      occupied += plan.expected().state() == State::none;
      return;
    }
    ++evicted_early;
    evicted_epochs += plan.live_age - 1u;
  }
  void add_to(Counts& counts) const noexcept {
    counts.fresh.add(fresh);
    counts.occupied.add(occupied);
    counts.evicted_early.add(evicted_early);
    counts.evicted_epochs.add(evicted_epochs);
    if ((full | share_evictions | passed_over | contended) == 0) return;
    counts.full.add(full);
    counts.share_evictions.add(share_evictions);
    counts.passed_over.add(passed_over);
    counts.contended.add(contended);
  }
};

}  // namespace lf::ledger
