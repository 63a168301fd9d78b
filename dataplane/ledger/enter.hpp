// SPDX-License-Identifier: Apache-2.0
// How a lone worker's commands get into the ledger: nobody else enters any, so that one look holds
// until the entry is made. In a header, so that who asks can make each command where it is entered
// and keep the answer where it belongs. Of use to admit.cpp and the dedup stage alone.
#pragma once

#include <bit>

#include "dataplane/ledger/admit_plan.hpp"

namespace lf::ledger {

// What kNext says, taken as it is: it has the distance of the slot in its lower bits.
inline Slot& slot_at(Bucket& b, uint32_t next) noexcept {
  return *reinterpret_cast<Slot*>(reinterpret_cast<char*>(b.slot) + (next & ~uint32_t{kTorn}));
}
inline FlightRecord& flight_at(Bucket& b, uint32_t next) noexcept {
  constexpr size_t kTimes = sizeof(FlightRecord) / sizeof(Slot);
  return *reinterpret_cast<FlightRecord*>(reinterpret_cast<char*>(b.flight) +
                                          kTimes * (next & ~uint32_t{kTorn}));
}

constexpr uint32_t rotated(uint32_t ways, uint32_t first) noexcept {
  return (ways | ways << kWays) >> first & kAllWays;
}

// Enters a command in a bucket full of live entries: over the one at `first`, which is next, or
// when the share rule protects that, over its organisation's own oldest one, after those before it
// were passed over. Returns its entry; 0: nothing was changed, because there is more to it.
[[gnu::always_inline]] inline Ref Ledger::enter_over_live(const Command& command, Bucket& b,
                                                          const View& view, uint32_t first,
                                                          uint32_t epoch, Tally& tally) noexcept {
  const Rest rest = rest_of(view, command.group(), epoch);
  uint32_t way = first;
  if (rest.aging != 0) [[unlikely]]
    return 0;
  if (static_cast<uint32_t>(std::popcount(rest.own)) >= share_ways_) {
    const uint32_t own = rotated(rest.own, first);
    const uint32_t allowed = own & ~rotated(rest.busy, first);
    if (allowed == 0) [[unlikely]]
      return 0;
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
    return 0;
  }
  const uint32_t place = Bucket::place(way % kWays);
  Slot& slot = b.slot[place];
  const Word victim{0, slot.hi.load(std::memory_order_relaxed)};
  __builtin_prefetch(&b.flight[place], 1);
  slot.set({command.hash.lo, new_hi(command, epoch, victim)});
  ++tally.evicted_early;
  tally.evicted_epochs += age_of(victim, epoch);
  return ref_of(command.hash, place);
}

// One round, as mostly no swap keeps what follows waiting. Mostly the next slot is empty, and
// nothing else need be known.
template <typename CommandAt, typename Entered>
[[gnu::always_inline]] inline uint32_t Ledger::enter_alone(uint32_t count, uint32_t epoch,
                                                           Tally& tally, CommandAt&& command_at,
                                                           Entered&& entered) noexcept {
  const uint32_t over_live = tally.evicted_early;
  uint32_t k = 0;
  for (; k < count; ++k) {
    Command command;
    if (!command_at(k, command)) [[unlikely]]
      break;
    Bucket& b = bucket(command.hash);
    const View view = view_of(b);
    const Front front = front_of(view, command.entry & kHashInHi);
    const uint32_t next = kNext[front.laps];
    Slot& slot = slot_at(b, next);
    __builtin_prefetch(&flight_at(b, next), 1);  // record_sent() will write it
    const Word victim{0, slot.hi.load(std::memory_order_acquire)};
    if ((front.alike | (next & kTorn)) != 0) [[unlikely]]
      break;
    if ((victim.hi & kStateInHi) == 0) [[likely]] {
      slot.set({command.hash.lo, new_hi(command, epoch, victim)});
      entered(k, ref_of(command.hash, slot));
      continue;
    }
    const Ref ref = enter_over_live(command, b, view, Bucket::way_at(place_in(next)), epoch, tally);
    if (ref == 0) [[unlikely]]
      break;
    entered(k, ref);
  }
  tally.fresh += k;
  tally.occupied += k - (tally.evicted_early - over_live);
  return k;
}

template <typename CommandAt, typename Entered>
[[gnu::always_inline]] inline uint32_t Ledger::admit_front(uint32_t count, Tsc now, Counts& counts,
                                                           CommandAt&& command_at,
                                                           Entered&& entered) noexcept {
  if (!lone_worker_) return 0;
  Tally tally;
  const uint32_t k = enter_alone(count, epoch_of(now), tally, command_at, entered);
  tally.add_to(counts);
  return k;
}

}  // namespace lf::ledger
