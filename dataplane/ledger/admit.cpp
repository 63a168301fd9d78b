// SPDX-License-Identifier: Apache-2.0
// How a command gets into the ledger; why it does so once is said in ledger.hpp.
#include <algorithm>
#include <bit>

#include "dataplane/ledger/enter.hpp"

namespace lf::ledger {
namespace {

// Whether sweep(), whose clock may be an epoch ahead, may be at work on a slot. That takes a swap,
// so that an entry that goes is counted once.
bool is_sweepable(const Word& w, uint32_t epoch) noexcept {
  return w.state() != State::none && age_of(w, epoch) + 1 >= kWindowEpochs;
}

}  // namespace

// False: the slot is no longer as it was. Of a lone worker's, sweep() alone can say so.
inline bool Ledger::change(Slot& slot, const Word& from, const Word& to, uint32_t epoch) noexcept {
  if (!lone_worker_ || is_sweepable(from, epoch)) return slot.replace(from, to);
  slot.set(to);
  return true;
}

void Ledger::look_up(const Command& command, uint32_t epoch, Plan& plan) noexcept {
  Bucket& b = bucket(command.hash);
  const View view = view_of(b);
  const Front front = front_of(view, command.entry & kHashInHi);
  const uint32_t next = kNext[front.laps];
  const uint32_t place = place_in(next);
  __builtin_prefetch(&b.flight[place], 1);  // record_sent() will write it
  plan.slot = &b.slot[place];
  const Word victim{plan.slot->lo.load(std::memory_order_acquire),
                    plan.slot->hi.load(std::memory_order_acquire)};
  plan.place = static_cast<uint8_t>(place);
  plan.ref = ref_of(command.hash, place);
  plan.expected_lo = victim.lo;
  plan.expected_hi = victim.hi;
  plan.desired_hi = new_hi(command, epoch, victim);
  plan.alike = front.alike;
  plan.unsteady = (next & kTorn) | uint32_t{is_filled(front.laps, victim)} |
                  (b.way(0).hi.load(std::memory_order_acquire) != view.first);
  const State state = victim.state();
  plan.barred = state == State::writing;
  plan.shielded = false;
  plan.live_age = 0;
  const uint32_t age = age_of(victim, epoch);
  if (state == State::none || age > kWindowEpochs) return;
  const Rest rest = rest_of(view, command.group(), epoch);
  const bool full = rest.free == 0;
  plan.own = static_cast<uint8_t>(rest.own);
  plan.shielded = full && static_cast<uint32_t>(std::popcount(rest.own)) >= share_ways_ &&
                  victim.group() != command.group();
  plan.barred |= uint32_t{state == State::accepted} | uint32_t{!full} | uint32_t{plan.shielded};
  plan.live_age = static_cast<uint8_t>(age + 1);
}

template <bool kAlone>
void Ledger::admit_in_turn(const Command* commands, uint32_t count, uint32_t epoch, Tally& tally,
                           Admission* out) noexcept {
  for (;;) {
    const uint32_t entered = enter<kAlone>(
        count, epoch, tally,
        [commands](uint32_t k, Command& command) {
          command = commands[k];
          return true;
        },
        [out](uint32_t k, Ref ref) {
          out[k].ref = ref;
          out[k].result = Lookup::fresh;
        });
    if (entered == count) return;
    admit_slowly(commands[entered], epoch, tally, out[entered]);
    commands += entered + 1;
    out += entered + 1;
    count -= entered + 1;
  }
}

uint32_t Ledger::admit(const Command* commands, uint32_t count, Tsc now, Counts& counts,
                       Admission* out) noexcept {
  const uint32_t epoch = epoch_of(now);
  Tally tally;
  if (lone_worker_)
    admit_in_turn<true>(commands, count, epoch, tally, out);
  else
    admit_in_turn<false>(commands, count, epoch, tally, out);
  tally.add_to(counts);
  return tally.fresh;
}

// What the short way leaves.
void Ledger::admit_slowly(const Command& command, uint32_t epoch, Tally& tally,
                          Admission& out) noexcept {
  Plan plan;
  bool share_met = false;
  out.ref = 0;
  out.result = Lookup::full;
  for (uint32_t looks = 0; looks < kLooksMax; ++looks) {
    look_up(command, epoch, plan);
    if (plan.unsteady != 0) continue;
    bool changed = false;
    for (uint32_t left = plan.alike; left != 0 && !changed; left &= left - 1) {
      changed = !admit_known(command, std::countr_zero(left), epoch, out);
      if (out.ref != 0) return;
    }
    if (changed) continue;
    const Word expected = plan.expected();
    if (plan.shielded) {
      share_met = true;
      const uint32_t passed = enter_over_own(command, epoch, kLooksMax - looks, plan, tally);
      if (plan.slot != nullptr) {
        out.ref = plan.ref;
        out.result = Lookup::fresh;
        tally.entered(plan);
        ++tally.share_evictions;
        return;
      }
      looks += std::max(passed, 1u) - 1;
    } else if (plan.barred != 0) {
      tally.passed_over += plan.slot->replace(expected, expected.entered_anew());
    } else if (plan.slot->replace(expected, {command.hash.lo, plan.desired_hi})) {
      out.ref = plan.ref;
      out.result = Lookup::fresh;
      tally.entered(plan);
      tally.share_evictions += share_met && plan.live_age != 0;
      return;
    } else {
      ++tally.contended;
    }
  }
  ++tally.full;
}

// For an organisation at its share, in a bucket full of live entries: passes over those that it may
// not overwrite, at most `most`, up to its own oldest one, which it replaces; `plan` is then what it
// did. All are read before the first swap, which says that nothing was entered since the look; each
// of the others says the same of the slots behind it. Returns how many were passed over; plan.slot
// is null unless the command is entered.
uint32_t Ledger::enter_over_own(const Command& command, uint32_t epoch, uint32_t most, Plan& plan,
                                Tally& tally) noexcept {
  Bucket& b = bucket(command.hash);
  const uint32_t first = Bucket::way_at(plan.place);
  const uint32_t own = plan.own;
  plan.slot = nullptr;
  Word seen[kWays];
  uint32_t last = 0;
  for (; last < kWays; ++last) {
    const uint32_t way = (first + last) % kWays;
    const Word word = last == 0 ? plan.expected() : b.way(way).load();
    seen[last] = word;
    const bool worked_on = word.state() == State::writing || word.state() == State::accepted;
    if ((own >> way & 1) != 0 && !worked_on) break;
  }
  for (uint32_t k = 0; k < last; ++k) {
    if (k == most || !change(b.way((first + k) % kWays), seen[k], seen[k].entered_anew(), epoch))
      return k;
    ++tally.passed_over;
  }
  if (last == kWays) return last;
  const uint32_t way = (first + last) % kWays;
  const Word victim = seen[last];
  if (!is_live(victim, epoch) || victim.group() != command.group()) return last;
  Slot& slot = b.way(way);
  if (!change(slot, victim, {command.hash.lo, new_hi(command, epoch, victim)}, epoch)) return last;
  __builtin_prefetch(&b.flight[Bucket::place(way)], 1);  // record_sent() will write it
  plan.slot = &slot;
  plan.ref = ref_of(command.hash, Bucket::place(way));
  plan.live_age = static_cast<uint8_t>(age_of(victim, epoch) + 1);
  return last;
}

// Decides about a command that a slot is about: sets out.ref if the entry is live. False: the slot
// has changed meanwhile, look again. (Another command, equal in 30 bits of its hash, is no change.)
bool Ledger::admit_known(const Command& command, uint32_t way, uint32_t epoch,
                         Admission& out) noexcept {
  Slot& s = bucket(command.hash).way(way);
  const Word word = s.load();
  if ((word.hi & kHashInHi) != hash_in_hi(command.hash)) return false;
  if (word.lo != command.hash.lo) return true;
  const State state = word.state();
  if (state == State::none) return true;
  if (!is_live(word, epoch)) {
    s.replace(word, word.with_state(State::none));
    return false;
  }
  const Ref ref = ref_of(command.hash, Bucket::place(way));
  if (state == State::answered) {
    out.result = Lookup::duplicate_answered;
    out.status = static_cast<lcp::Status>(word.status());
  } else if (command.attempt() <= word.attempt()) {
    out.result = Lookup::duplicate_in_flight;
  } else if (state == State::accepted || state == State::parked) {
    out.result = Lookup::unsent;
  } else {
    const NodeSlot node = state == State::writing ? kNoNode : flight(ref).node();
    if (!s.replace(word, word.with_byte(command.attempt()))) return false;
    out.result = Lookup::retry;
    out.node = node;
  }
  out.ref = ref;
  return true;
}

}  // namespace lf::ledger
