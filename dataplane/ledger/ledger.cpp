// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ledger/ledger.hpp"

#include <algorithm>
#include <bit>

#include "dataplane/ledger/find.hpp"
#include "dataplane/ledger/look.hpp"

namespace lf::ledger {

Ledger::Ledger(const Settings& settings, void* memory) noexcept
    : buckets_(static_cast<Bucket*>(memory)),
      buckets_mask_(std::bit_ceil(std::clamp(settings.entries, kEntriesMin, kEntriesMax)) / kWays -
                    1),
      epoch_tsc_(std::max<Tsc>(settings.window_tsc / kWindowEpochs, 1)),
      share_ways_(std::clamp(static_cast<uint32_t>(settings.org_share * kWays), 1u, kWays)),
      lone_worker_(settings.lone_worker),
      hasher_(settings.secret) {}

// Makes the caller the owner of an entry's flight. False: not to be had.
bool Ledger::own(Slot& s, Ref ref, bool again, Sent& sent) noexcept {
  for (uint32_t looks = 0; looks < kLooksMax; ++looks) {
    const Word word = s.load();
    if (!is_about(word, ref)) return false;
    const State state = word.state();
    if (state == State::accepted) return !again;
    if (state == State::writing || state == State::answered) return false;
    const NodeSlot node = state == State::in_flight ? flight(ref).node() : kNoNode;
    if (s.replace(word, word.with_state(State::writing))) {
      sent.left = node;
      return true;
    }
  }
  return false;
}

Sent Ledger::record_sent(Ref ref, const FlightWords& f, bool again, Tsc now,
                         Counts& counts) noexcept {
  Sent sent;
  if (own(slot(ref), ref, again, sent)) {
    flight(ref).store(f);
    return finish_sent(ref, now, sent, counts);
  }
  counts.unrecorded.add(1);
  return sent;
}

// The owner has written the flight. Others can raise the attempt and flip the lap meanwhile,
// nothing else.
Sent Ledger::finish_sent(Ref ref, Tsc now, Sent sent, Counts& counts) noexcept {
  Slot& s = slot(ref);
  for (uint32_t looks = 0; looks < kLooksMax; ++looks) {
    const Word word = s.load();
    if (!is_about(word, ref)) break;
    if (s.replace(word, word.sent(epoch_of(now)))) {
      sent.recorded = true;
      return sent;
    }
  }
  counts.unrecorded.add(1);
  return sent;
}

void Ledger::release(Ref ref, Counts& counts) noexcept {
  Slot& s = slot(ref);
  for (uint32_t looks = 0; looks < kLooksMax; ++looks) {
    const Word word = s.load();
    if (!is_about(word, ref)) return;
    if (word.state() != State::accepted && word.state() != State::parked) return;
    if (s.replace(word, word.given_back(__rdtsc()))) return counts.vacated.add(1);
  }
}

void Ledger::release_retry(Ref ref, uint8_t attempt) noexcept {
  Slot& s = slot(ref);
  for (uint32_t looks = 0; looks < kLooksMax; ++looks) {
    const Word word = s.load();
    if (!is_about(word, ref) || word.attempt() != attempt || attempt == 0) return;
    if (word.state() == State::answered) return;
    if (s.replace(word, word.with_byte(static_cast<uint8_t>(attempt - 1)))) return;
  }
}

void Ledger::park(Ref ref) noexcept {
  Slot& s = slot(ref);
  for (uint32_t looks = 0; looks < kLooksMax; ++looks) {
    const Word word = s.load();
    if (!is_about(word, ref) || word.state() != State::accepted) return;
    if (s.replace(word, word.with_state(State::parked))) return;
  }
}

void Ledger::find(const Hash* hashes, uint32_t count, Tsc now, Found* out) const noexcept {
  const uint32_t epoch = epoch_of(now);
  for (uint32_t k = 0; k < count; ++k) static_cast<Entry&>(out[k]) = look_for(hashes[k], epoch);
  for (uint32_t k = 0; k < count; ++k) {
    Found& found = out[k];
    for (uint32_t looks = 0; found.has_flight() && looks < kLooksMax; ++looks) {
      found.flight = flight(found.ref).load();
      if (is_still(found)) break;
      static_cast<Entry&>(found) = look_for(hashes[k], epoch);
    }
  }
}

bool Ledger::is_owed(Ref ref, uint32_t stamp) const noexcept {
  const Word word = slot(ref).load();
  const bool owed = word.state() == State::in_flight || word.state() == State::timed_out;
  return owed && is_about(word, ref) && flight(ref).stamp() == stamp;
}

// Between the look at the word and the swap the flight can be another one only if the word's turn
// has changed, and then the swap fails.
Withdrawn Ledger::withdraw(Ref ref, uint32_t stamp) noexcept {
  Slot& s = slot(ref);
  for (uint32_t looks = 0; looks < kLooksMax; ++looks) {
    const Word word = s.load();
    const State state = word.state();
    if (!is_about(word, ref) || (state != State::in_flight && state != State::timed_out)) break;
    if (flight(ref).stamp() != stamp) break;
    const NodeSlot node = state == State::in_flight ? flight(ref).node() : kNoNode;
    if (s.replace(word, word.with_state(State::accepted))) return {true, node};
  }
  return {};
}

bool Ledger::mark_timed_out(Ref ref, uint32_t stamp) noexcept {
  return end_flight(ref, stamp, State::timed_out);
}

bool Ledger::take_back(Ref ref, uint32_t stamp, bool again, Counts& counts) noexcept {
  if (!end_flight(ref, stamp, again ? State::timed_out : State::none)) return false;
  if (!again) counts.vacated.add(1);
  return true;
}

// From in flight, for that very transmission.
bool Ledger::end_flight(Ref ref, uint32_t stamp, State to) noexcept {
  Slot& s = slot(ref);
  for (uint32_t looks = 0; looks < kLooksMax; ++looks) {
    const Word word = s.load();
    if (!is_about(word, ref) || word.state() != State::in_flight) return false;
    if (flight(ref).stamp() != stamp) return false;
    const Word ended =
        to == State::none ? word.given_back(__rdtsc()) : word.with_state(to);
    if (s.replace(word, ended)) return true;
  }
  return false;
}

Swept Ledger::sweep(uint64_t first_bucket, uint64_t buckets, Tsc now) noexcept {
  const uint32_t epoch = epoch_of(now);
  Swept swept;
  for (uint64_t k = 0; k < buckets; ++k) {
    Bucket& b = buckets_[(first_bucket + k) & buckets_mask_];
    for (Slot& s : b.slot) sweep_one(s, epoch, swept);
    if ((kNext[front_of(view_of(b), 0).laps] & kTorn) != 0) [[unlikely]]
      swept.repaired += repair(b);
  }
  swept.slots = buckets * kWays;
  return swept;
}

void Ledger::sweep_one(Slot& s, uint32_t epoch, Swept& swept) noexcept {
  const Word word = s.load();
  const State state = word.state();
  if (state == State::none) return;
  if (!is_live(word, epoch) && state != State::writing) {
    swept.expired += s.replace(word, word.with_state(State::none));
    return;
  }
  swept.in_flight += state == State::in_flight;
  swept.timed_out += state == State::timed_out;
  swept.answered += state == State::answered;
  swept.unsent += state == State::accepted || state == State::parked;
}

// Lap bits that name no next slot while nobody fills one: a worker was held up between its look and
// its swap for four laps of a ring, in which its slot was passed over each time. Workers find no
// slot in such a bucket. The first change of the bits stays, what follows is entered anew.
bool Ledger::repair(Bucket& b) noexcept {
  Word seen[kWays];
  uint32_t laps = 0;
  for (uint32_t w = 0; w < kWays; ++w) {
    seen[w] = b.way(w).load();
    laps |= seen[w].lap() << w;
  }
  if ((kNext[laps] & kTorn) == 0) return false;
  for (uint32_t w = 0; w < kWays; ++w)
    if (!(b.way(w).load() == seen[w])) return false;  // they were of different moments
  uint32_t next = 1;
  while (next < kWays && seen[next].lap() == seen[0].lap()) ++next;
  bool repaired = false;
  for (uint32_t w = next + 1; w < kWays; ++w)
    if (seen[w].lap() == seen[0].lap())
      repaired |= b.way(w).replace(seen[w], seen[w].entered_anew());
  return repaired;
}

bool Ledger::restore(uint64_t bucket, const Word& saved) noexcept {
  Bucket& b = buckets_[bucket & buckets_mask_];
  if (saved.state() != State::answered) return false;
  const Front front = front_of(view_of(b), saved.hi & kHashInHi);
  for (uint32_t left = front.alike; left != 0; left &= left - 1)
    if (b.way(static_cast<uint32_t>(std::countr_zero(left))).load().lo == saved.lo) return false;
  Slot& slot = b.slot[place_in(kNext[front.laps])];
  const Word oldest = slot.load();
  return slot.replace(oldest,
                      {saved.lo, (saved.hi & ~kLapInHi) | (oldest.entered_anew().hi & kLapInHi)});
}

}  // namespace lf::ledger
