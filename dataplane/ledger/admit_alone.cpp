// SPDX-License-Identifier: Apache-2.0
// How a lone worker's commands get into the ledger: nobody else enters any, so that one look holds
// until the entry is made. What is not decided here goes the way that all workers go, admit.cpp.
#include <bit>

#include "dataplane/ledger/admit_plan.hpp"

namespace lf::ledger {
namespace {

constexpr uint32_t rotated(uint32_t ways, uint32_t first) noexcept {
  return (ways | ways << kWays) >> first & kAllWays;
}

}  // namespace

// Enters a command in a bucket full of live entries: over the one at `first`, which is next, or
// when the share rule protects that, over its organisation's own oldest one, after those before it
// were passed over. False: nothing was changed, because there is more to it.
[[gnu::always_inline]] inline bool Ledger::enter_over_live(const Command& command, Bucket& b,
                                                           const View& view, uint32_t first,
                                                           uint32_t epoch, Tally& tally,
                                                           Admission& out) noexcept {
  const Rest rest = rest_of(view, command.group(), epoch);
  uint32_t way = first;
  if (rest.aging != 0) [[unlikely]]
    return false;
  if (static_cast<uint32_t>(std::popcount(rest.own)) >= share_ways_) {
    const uint32_t own = rotated(rest.own, first);
    const uint32_t allowed = own & ~rotated(rest.busy, first);
    if (allowed == 0) [[unlikely]]
      return false;
    const auto passed = static_cast<uint32_t>(std::countr_zero(allowed));
    for (; way != first + passed; ++way) {
      auto& hi = b.way(way % kWays).hi;
      hi.store(Word{0, hi.load(std::memory_order_relaxed)}.entered_anew().hi,
               std::memory_order_release);
    }
    tally.passed_over += passed;
    const uint32_t before = (allowed ^ (allowed - 1)) >> 1;
    tally.share_evictions += (~own & before) != 0;
  } else if ((rest.busy >> way & 1) != 0) {
    return false;
  }
  const uint32_t place = Bucket::place(way % kWays);
  Slot& slot = b.slot[place];
  const Word victim{0, slot.hi.load(std::memory_order_relaxed)};
  __builtin_prefetch(&b.flight[place], 1);
  slot.set({command.hash.lo, new_hi(command, epoch, victim)});
  out.ref = ref_of(command.hash, place, command.hash.lo);
  out.result = Lookup::fresh;
  ++tally.fresh;
  ++tally.evicted_early;
  tally.evicted_epochs += age_of(victim, epoch);
  return true;
}

// One round, as mostly no swap keeps what follows waiting. Mostly the next slot is empty, and
// nothing else need be known.
void Ledger::admit_alone(const Command* commands, uint32_t count, uint32_t epoch, Tally& tally,
                         Admission* out) noexcept {
  uint32_t others = 0;
  for (uint32_t k = 0; k < count; ++k) {
    const Command& command = commands[k];
    Bucket& b = bucket(command.hash);
    const View view = view_of(b);
    const Front front = front_of(view, command.entry & kHashInHi);
    const uint32_t next = kNext[front.laps];
    const uint32_t place = place_in(next);
    __builtin_prefetch(&b.flight[place], 1);  // record_sent() will write it
    Slot& slot = b.slot[place];
    const Word victim{0, slot.hi.load(std::memory_order_acquire)};
    const bool simple = (front.alike | (next & kTorn)) == 0;
    if (simple && (victim.hi & kStateInHi) == 0) [[likely]] {
      slot.set({command.hash.lo, new_hi(command, epoch, victim)});
      out[k].ref = ref_of(command.hash, place, command.hash.lo);
      out[k].result = Lookup::fresh;
      continue;
    }
    ++others;
    if (simple && enter_over_live(command, b, view, Bucket::way_at(place), epoch, tally, out[k]))
      continue;
    Plan plan;
    look_up(command, epoch, plan);
    admit_slowly(command, epoch, plan, tally, out[k]);
  }
  tally.fresh += count - others;
  tally.occupied += count - others;
}

}  // namespace lf::ledger
