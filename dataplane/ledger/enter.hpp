// SPDX-License-Identifier: Apache-2.0
// The short way into the ledger, one look and one change: the change is a swap that says that what
// the look saw still holds (ledger.hpp), or a lone worker's store, as nobody else enters any. In a
// header, so that who asks can make each command where it is entered and keep the answer where it
// belongs. Of use to admit.cpp and the dedup stage alone.
#pragma once

#include <bit>
#include <cstddef>

#include "dataplane/ledger/admit_plan.hpp"

namespace lf::ledger {

// What kNext says when it is not torn: the distance of the slot.
inline Slot& slot_at(Bucket& b, uint32_t next) noexcept {
  return *reinterpret_cast<Slot*>(reinterpret_cast<char*>(b.slot) + next);
}
inline FlightRecord& flight_at(Bucket& b, uint32_t next) noexcept {
  constexpr size_t kTimes = sizeof(FlightRecord) / sizeof(Slot);
  return *reinterpret_cast<FlightRecord*>(reinterpret_cast<char*>(b.flight) + kTimes * next);
}

constexpr uint32_t rotated(uint32_t ways, uint32_t first) noexcept {
  return (ways | ways << kWays) >> first & kAllWays;
}

// Of a lone worker: enters a command in a bucket full of live entries, over the one at `first`,
// which is next, or when the share rule protects that, over its organisation's own oldest one,
// after those before it were passed over. Returns its entry; 0: nothing was changed, because there
// is more to it.
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

// Of several workers: enters a command over what `slot` holds, which is next, where it simply may.
[[gnu::always_inline]] inline Ref Ledger::enter_over_other(const Command& command,
                                                           const View& view, Slot& slot,
                                                           const Word& victim, uint32_t epoch,
                                                           Tally& tally) noexcept {
  const State state = victim.state();
  const uint32_t age = age_of(victim, epoch);
  const bool live = age <= kWindowEpochs;
  if (state == State::writing) return 0;
  if (live) {
    const Rest rest = rest_of(view, command.group(), epoch);
    if (rest.free != 0 || state == State::accepted) return 0;
    if (static_cast<uint32_t>(std::popcount(rest.own)) >= share_ways_ &&
        victim.group() != command.group())
      return 0;
  }
  if (!slot.replace(victim, {command.hash.lo, new_hi(command, epoch, victim)})) {
    ++tally.contended;
    return 0;
  }
  tally.evicted_early += live;
  tally.evicted_epochs += live ? age : 0;
  return ref_of(command.hash, slot);
}

// Mostly the next slot is empty, and nothing else need be known.
template <bool kAlone, typename CommandAt, typename Entered>
[[gnu::always_inline]] inline uint32_t Ledger::enter(uint32_t count, uint32_t epoch, Tally& tally,
                                                     CommandAt&& command_at,
                                                     Entered&& entered) noexcept {
  size_t k = 0;  // as wide as an address: no second count beside it
  uint32_t over_others = 0;
  uint64_t fresh = fresh_bits(epoch);
  asm("" : "+r"(fresh));  // put together once
  for (; k < count; ++k) {
    Command command;
    if (!command_at(k, command)) [[unlikely]]
      break;
    Bucket& b = bucket(command.hash);
    const View view = view_of<!kAlone>(b);
    const Front front = front_of(view, command.entry & kHashInHi);
    const uint32_t next = kNext[front.laps];
    if ((front.alike | (next & kTorn)) != 0) [[unlikely]]
      break;
    Slot& slot = slot_at(b, next);
    __builtin_prefetch(&flight_at(b, next), 1);  // record_sent() will write it
    const Word victim{kAlone ? 0 : slot.lo.load(std::memory_order_acquire),
                      slot.hi.load(std::memory_order_acquire)};
    if (!kAlone && (is_filled(front.laps, victim) ||
                    b.way(0).hi.load(std::memory_order_acquire) != view.first)) [[unlikely]]
      break;
    if ((victim.hi & kStateInHi) != 0) [[unlikely]] {
      const Ref ref =
          kAlone ? enter_over_live(command, b, view, Bucket::way_at(place_in(next)), epoch, tally)
                 : enter_over_other(command, view, slot, victim, epoch, tally);
      if (ref == 0) [[unlikely]]
        break;
      ++over_others;
      entered(k, ref);
      continue;
    }
    const Word word{command.hash.lo, command.entry ^ victim.turned_lap() ^ fresh};
    if (kAlone) {
      // Not set(): until hi is there, this is an empty slot for whoever reads it.
      slot.lo.store(word.lo, std::memory_order_release);
      slot.hi.store(word.hi, std::memory_order_release);
    } else if (!slot.replace(victim, word)) [[unlikely]] {
      ++tally.contended;
      break;
    }
    entered(k, ref_of(command.hash, slot));
  }
  const auto made = static_cast<uint32_t>(k);
  tally.fresh += made;
  tally.occupied += made - over_others;
  return made;
}

template <bool kAlone, typename CommandAt, typename Entered>
[[gnu::always_inline]] inline uint32_t Ledger::admit_front(uint32_t count, Tsc now, Counts& counts,
                                                           CommandAt&& command_at,
                                                           Entered&& entered) noexcept {
  Tally tally;
  const uint32_t k = enter<kAlone>(count, epoch_of(now), tally, command_at, entered);
  tally.add_to(counts);
  return k;
}

}  // namespace lf::ledger
