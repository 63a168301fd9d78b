// SPDX-License-Identifier: Apache-2.0
// A look for one command in its bucket, and the end of its flight. In a header, so that what is
// found stays in registers.
#pragma once

#include <bit>
#include <cstdint>

#include "dataplane/ledger/ledger.hpp"
#include "dataplane/ledger/look.hpp"

namespace lf::ledger {

[[gnu::always_inline]] inline Entry Ledger::look_for(const Hash& hash,
                                                     uint32_t epoch) const noexcept {
  const Bucket& b = bucket(hash);
  for (uint32_t left = front_of(view_of<false>(b), hash_in_hi(hash)).alike; left != 0;
       left &= left - 1) {
    const uint32_t place = Bucket::place(static_cast<uint32_t>(std::countr_zero(left)));
    const Word word = b.slot[place].load();
    if (!ledger::is_about(word, hash) || !is_live(word, epoch)) continue;
    __builtin_prefetch(&b.flight[place]);
    return {ref_of(hash, place), word};
  }
  return {};
}

[[gnu::always_inline]] inline Settled Ledger::settle(const Entry& found, lcp::Status status,
                                                     uint32_t epoch) noexcept {
  if (!found.has_flight()) [[unlikely]]
    return Settled::changed;
  const Word word = found.word.answered(static_cast<uint8_t>(status), epoch);
  Slot& s = slot(found.ref);
  if (lone_worker_ && !is_aging(found.word, epoch)) [[likely]] {
    // Only this thread changes it: earlier in this burst, or not at all.
    if (s.hi.load(std::memory_order_relaxed) != found.word.hi) [[unlikely]]
      return Settled::changed;
    s.hi.store(word.hi, std::memory_order_release);
  } else if (!s.replace(found.word, word)) [[unlikely]] {
    return Settled::changed;
  }
  return found.state() == State::timed_out ? Settled::late : Settled::answered;
}

}  // namespace lf::ledger
