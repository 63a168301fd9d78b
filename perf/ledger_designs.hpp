// SPDX-License-Identifier: Apache-2.0
// The layout that the ledger might have had, kept so that ledger_bench can measure both side by
// side (docs/decisions/0001-ledger-layout.md): a bucket's eight slots are words of eight bytes in
// one cache line, with 30 bits of the hash; the whole id lies elsewhere, written once a slot is had
// and read only when 30 bits agree. The ring, the share rule and the ages are the ledger's. A
// worker that meets a word whose id is being written waits: that is not lock-free.
#pragma once

#include <immintrin.h>

#include <atomic>
#include <bit>
#include <cstdint>

#include "dataplane/ledger/ledger.hpp"
#include "dataplane/ledger/look.hpp"

namespace lf::ledger::designs {

enum class Ids : uint8_t {
  beside,     // two lines behind the words: 88 bytes an entry
  in_flight,  // in the flight's line, which would have to lose 16 of its 64 bytes
};

template <Ids kIds>
class Tags {
  static constexpr size_t kIdLines = kIds == Ids::beside ? 2 : 0;
  struct Id {
    std::atomic<uint64_t> lo, hi;
  };
  struct alignas(kCacheLine) Bucket {
    std::atomic<uint64_t> word[kWays];
    char lines[kIdLines + kWays][kCacheLine];

    char* flight(uint32_t place) noexcept { return lines[kIdLines + place]; }
    Id& id(uint32_t place) noexcept {
      return *reinterpret_cast<Id*>(kIds == Ids::beside ? lines[0] + place * sizeof(Id)
                                                        : flight(place));
    }
  };
  static constexpr auto kEntering = static_cast<State>(7);  // its id is being written

 public:
  static constexpr size_t kBytesPerEntry = sizeof(Bucket) / kWays;

  Tags(const Settings& s, void* memory) noexcept
      : buckets_(static_cast<Bucket*>(memory)),
        mask_(s.entries / kWays - 1),
        epoch_tsc_(s.window_tsc / kWindowEpochs),
        share_ways_(static_cast<uint32_t>(s.org_share * kWays)),
        hasher_(s.secret) {}

  const Hasher& hasher() const noexcept { return hasher_; }
  void prefetch(const Hash& h) const noexcept { __builtin_prefetch(&buckets_[h.hi & mask_], 1); }

  uint32_t admit(const Command* commands, uint32_t count, Tsc now, Counts& counts,
                 Admission* out) noexcept {
    const auto epoch = static_cast<uint32_t>(now / epoch_tsc_) & (kEpochs - 1);
    Plan plans[kBurstMax];
    uint32_t fresh = 0, evicted = 0;
    for (uint32_t k = 0; k < count; ++k) look_up(commands[k], epoch, plans[k]);
    for (uint32_t k = 0; k < count; ++k) {
      Plan& plan = plans[k];
      bool entered = (plan.alike | plan.unsteady | plan.barred) == 0 && enter(commands[k], plan);
      if (!entered) [[unlikely]]
        entered = admit_slowly(commands[k], epoch, plan, out[k]);
      if (!entered) continue;
      out[k].ref = plan.ref;
      out[k].result = Lookup::fresh;
      ++fresh;
      evicted += plan.live;
    }
    counts.fresh.add(fresh);
    counts.evicted_early.add(evicted);
    return fresh;
  }

  void park(Ref ref) noexcept {
    auto& word = buckets_[(ref & (kEntriesMax - 1)) / kWays].word[ref % kWays];
    uint64_t seen = word.load(std::memory_order_acquire);
    while ((seen & kHashInHi) == (ref & kHashInHi) && Word{0, seen}.state() == State::accepted &&
           !word.compare_exchange_weak(seen, Word{0, seen}.with_state(State::parked).hi)) {
    }
  }

 private:
  struct Plan {
    Bucket* bucket;
    uint64_t expected, desired;
    Ref ref;
    uint32_t place, alike, unsteady, barred, live;
  };

  // Words lie in the order in which the shuffle finds them.
  static constexpr uint32_t place_of(uint32_t way) noexcept {
    return (way & 1) | (way << 1 & 4) | (way >> 1 & 2);
  }

  void look_up(const Command& c, uint32_t epoch, Plan& plan) noexcept {
    const auto bits = [](__m256i x) {
      return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(x)));
    };
    const auto all = [](uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); };
    Bucket& b = buckets_[c.hash.hi & mask_];
    const uint64_t first = b.word[0].load(std::memory_order_acquire);
    const auto* half = reinterpret_cast<const __m256*>(&b.word);
    const __m256 low = half[0], high = half[1];
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const __m256i upper = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0xdd));
    const __m256i lower = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0x88));
    const uint64_t hash_bits = hash_in_hi(c.hash);
    const uint32_t laps = bits(upper);
    plan.alike = bits(_mm256_cmpeq_epi32(_mm256_and_si256(upper, all(kHashInHi >> 32)),
                                         all(static_cast<uint32_t>(hash_bits >> 32))));
    constexpr uint32_t kShift = kWindowEpochs + 1 + 128;  // as in ledger/look.hpp
    const __m256i age = _mm256_sub_epi32(all((epoch - kShift) << 24 | 0xffffff),
                                         _mm256_slli_epi32(lower, 12));
    const __m256i old = _mm256_cmpgt_epi32(all((kEpochs - kAheadEpochs - kShift) << 24), age);
    const __m256i none =
        _mm256_cmpeq_epi32(_mm256_and_si256(lower, all(0xe)), _mm256_setzero_si256());
    const uint32_t full = bits(_mm256_or_si256(old, none)) == 0;
    const uint32_t own = bits(_mm256_cmpeq_epi32(_mm256_srli_epi32(lower, 20), all(c.group())));

    const uint32_t torn = kNext[laps] & kTorn;
    const uint32_t way = ledger::Bucket::way_at(place_in(kNext[laps]));
    plan.bucket = &b;
    plan.place = place_of(way);
    __builtin_prefetch(b.flight(plan.place), 1);
    if (kIds == Ids::beside) __builtin_prefetch(&b.id(plan.place), 1);
    const Word victim{0, b.word[plan.place].load(std::memory_order_acquire)};
    plan.expected = victim.hi;
    plan.desired = (victim.entered_anew().hi & kLapInHi) | hash_bits | uint64_t{c.group()} << 20 |
                   uint64_t{epoch} << 12 | uint64_t{c.attempt()} << 4 |
                   static_cast<uint64_t>(kEntering) << 1;
    plan.ref = hash_bits | (c.hash.hi & mask_) * kWays | plan.place;
    plan.unsteady = torn | ((laps >> way ^ victim.lap()) & 1) |
                    (b.word[0].load(std::memory_order_acquire) != first);
    const State state = victim.state();
    plan.live = uint32_t{state != State::none} & uint32_t{age_of(victim, epoch) <= kWindowEpochs};
    const uint32_t at_share = static_cast<uint32_t>(std::popcount(own)) >= share_ways_;
    plan.barred = (uint32_t{state == State::accepted} & plan.live) |
                  uint32_t{state == State::writing} | uint32_t{state == kEntering} |
                  (plan.live & (full ^ 1)) |
                  (plan.live & full & at_share & uint32_t{victim.group() != c.group()});
  }

  bool enter(const Command& c, const Plan& plan) noexcept {
    auto& word = plan.bucket->word[plan.place];
    uint64_t expected = plan.expected;
    if (!word.compare_exchange_strong(expected, plan.desired)) return false;
    Id& id = plan.bucket->id(plan.place);
    id.lo.store(c.hash.lo, std::memory_order_relaxed);
    id.hi.store(c.hash.hi, std::memory_order_relaxed);
    // Nobody else changes a word whose id is being written.
    word.store(Word{0, plan.desired}.with_state(State::accepted).hi, std::memory_order_release);
    return true;
  }

  // True: entered.
  bool admit_slowly(const Command& c, uint32_t epoch, Plan& plan, Admission& out) noexcept {
    out.ref = 0;
    out.result = Lookup::full;
    for (uint32_t looks = 0; looks < 64; ++looks) {
      look_up(c, epoch, plan);
      if (plan.unsteady != 0) continue;
      for (uint32_t left = plan.alike; left != 0; left &= left - 1)
        if (is_known(c, place_of(static_cast<uint32_t>(std::countr_zero(left))), plan, out))
          return false;
      auto& word = plan.bucket->word[plan.place];
      uint64_t expected = plan.expected;
      if (plan.barred != 0)
        word.compare_exchange_strong(expected, Word{0, expected}.entered_anew().hi);
      else if (enter(c, plan))
        return true;
    }
    return false;
  }

  bool is_known(const Command& c, uint32_t place, const Plan& plan, Admission& out) noexcept {
    auto& word = plan.bucket->word[place];
    for (;;) {
      const Word seen{0, word.load(std::memory_order_acquire)};
      if ((seen.hi & kHashInHi) != hash_in_hi(c.hash) || seen.state() == State::none) return false;
      if (seen.state() == kEntering) continue;
      const Id& id = plan.bucket->id(place);
      const bool same = id.lo.load(std::memory_order_acquire) == c.hash.lo &&
                        id.hi.load(std::memory_order_acquire) == c.hash.hi;
      if (word.load(std::memory_order_relaxed) != seen.hi) continue;
      if (!same) return false;
      out.result = seen.state() == State::answered ? Lookup::duplicate_answered
                                                   : Lookup::duplicate_in_flight;
      out.ref = hash_in_hi(c.hash) | (c.hash.hi & mask_) * kWays | place;
      return true;
    }
  }

  Bucket* buckets_;
  uint64_t mask_;
  Tsc epoch_tsc_;
  uint32_t share_ways_;
  Hasher hasher_;
};

}  // namespace lf::ledger::designs
