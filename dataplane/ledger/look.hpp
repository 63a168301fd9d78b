// SPDX-License-Identifier: Apache-2.0
// One look at a bucket: which slot is filled next, which slots are about a command; and, where that
// slot holds something, what else there is. With AVX2, four loads see all eight slots; each 8-byte
// word in them is read at one moment, which is all that the ledger relies on (ledger.hpp).
#pragma once

#include <immintrin.h>

#include <array>
#include <atomic>
#include <cstdint>

#include "dataplane/ledger/bucket.hpp"
#include "dataplane/ledger/words.hpp"

namespace lf::ledger {

inline constexpr uint32_t kAllWays = (1u << kWays) - 1;

// A bit a way.
struct Front {
  uint32_t laps;
  uint32_t alike;  // may be about the command: the 30 bits of its hash in hi agree
};
struct Rest {
  uint32_t free;   // no entry, or older than the window
  uint32_t own;    // of the group
  uint32_t busy;   // its owner is at work on it: accepted, writing
  uint32_t aging;  // no entry, or so old that sweep() is at it, whose clock may be an epoch ahead
};

// hi of all slots, in which all is that is asked; and hi of way 0, read before all others.
#ifdef LF_WORDS_ONE_BY_ONE

struct View {
  uint64_t first;
  Word word[kWays];
};

template <bool kFirst = true>
View view_of(const Bucket& b) noexcept {
  View view;
  for (uint32_t w = 0; w < kWays; ++w)
    view.word[w] = {0, b.way(w).hi.load(std::memory_order_acquire)};
  view.first = view.word[0].hi;
  return view;
}

inline Front front_of(const View& view, uint64_t hash_in_hi) noexcept {
  Front front{};
  for (uint32_t w = 0; w < kWays; ++w) {
    const Word& word = view.word[w];
    front.laps |= word.lap() << w;
    front.alike |= uint32_t{(word.hi & kHashInHi) == hash_in_hi} << w;
  }
  return front;
}

inline Rest rest_of(const View& view, uint32_t group, uint32_t epoch) noexcept {
  Rest rest{};
  for (uint32_t w = 0; w < kWays; ++w) {
    const Word& word = view.word[w];
    const State state = word.state();
    rest.free |= uint32_t{!is_live(word, epoch)} << w;
    rest.own |= uint32_t{word.group() == group} << w;
    rest.busy |= uint32_t{state == State::accepted || state == State::writing} << w;
    rest.aging |= uint32_t{state == State::none || is_aging(word, epoch)} << w;
  }
  return rest;
}

#else

struct View {
  uint64_t first;
  __m256 first_four, last_four;  // hi of the slots at 0, 2, 1, 3 and at 4, 6, 5, 7
};

template <bool kFirst = true>  // whether that is asked for
View view_of(const Bucket& b) noexcept {
  View view;
  if (kFirst) view.first = b.way(0).hi.load(std::memory_order_acquire);
  std::atomic_signal_fence(std::memory_order_seq_cst);  // no read moves across
  const auto* pair = reinterpret_cast<const __m256i*>(&b);
  view.first_four = _mm256_castsi256_ps(
      _mm256_unpackhi_epi64(_mm256_load_si256(pair), _mm256_load_si256(pair + 1)));
  view.last_four = _mm256_castsi256_ps(
      _mm256_unpackhi_epi64(_mm256_load_si256(pair + 2), _mm256_load_si256(pair + 3)));
  std::atomic_signal_fence(std::memory_order_seq_cst);
  return view;
}

namespace detail {

inline uint32_t bits(__m256i x) noexcept {
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(x)));
}
inline __m256i all(uint32_t x) noexcept { return _mm256_set1_epi32(static_cast<int>(x)); }

// One half of each hi: 0x88 the lower ones, 0xdd the upper. Shuffled together they are in the order
// 0, 2, 4, 6, 1, 3, 5, 7: Bucket::way() counts in that order.
template <int kHalf>
__m256i halves(const View& view) noexcept {
  return _mm256_castps_si256(_mm256_shuffle_ps(view.first_four, view.last_four, kHalf));
}

// accepted and writing differ in one bit, and no other state agrees with them in the others.
constexpr uint32_t kBusy = static_cast<uint32_t>(State::accepted) << 1;
constexpr uint32_t kBusyMask = 0xe & ~(kBusy ^ static_cast<uint32_t>(State::writing) << 1);
static_assert(kBusyMask == 0b1010);

}  // namespace detail

inline Front front_of(const View& view, uint64_t hash_in_hi) noexcept {
  using namespace detail;
  const __m256i upper = halves<0xdd>(view);
  return {.laps = bits(upper),
          .alike = bits(_mm256_cmpeq_epi32(_mm256_and_si256(upper, all(kHashInHi >> 32)),
                                           all(static_cast<uint32_t>(hash_in_hi >> 32))))};
}

inline Rest rest_of(const View& view, uint32_t group, uint32_t epoch) noexcept {
  using namespace detail;
  const __m256i lower = halves<0x88>(view);
  // The epoch in the top byte: with ones below in what it is taken from, nothing is borrowed. Of
  // kWindowEpochs + 1 .. kEpochs - kAheadEpochs - 1 is old; shifted so that one signed comparison
  // tells. Aging begins two earlier.
  constexpr uint32_t kShift = kWindowEpochs + 1 + 128;
  constexpr uint32_t kOld = kEpochs - kAheadEpochs - kShift;
  const __m256i epochs = _mm256_slli_epi32(lower, 12);
  const __m256i age = _mm256_sub_epi32(all((epoch - kShift) << 24 | 0xffffff), epochs);
  const __m256i old = _mm256_cmpgt_epi32(all(kOld << 24), age);
  const __m256i aged = _mm256_sub_epi32(all((epoch - kShift + 2) << 24 | 0xffffff), epochs);
  const __m256i aging = _mm256_cmpgt_epi32(all((kOld + 2) << 24), aged);
  const __m256i none =
      _mm256_cmpeq_epi32(_mm256_and_si256(lower, all(0xe)), _mm256_setzero_si256());
  const __m256i busy = _mm256_cmpeq_epi32(_mm256_and_si256(lower, all(kBusyMask)), all(kBusy));
  return {.free = bits(_mm256_or_si256(old, none)),
          .own = bits(_mm256_cmpeq_epi32(_mm256_srli_epi32(lower, 20), all(group))),
          .busy = bits(busy),
          .aging = bits(_mm256_or_si256(aging, none))};
}

#endif

// Looks before giving up. Each that fails means that others got on, or that an entry was passed
// over, of which there are at most kWays.
inline constexpr uint32_t kLooksMax = 64;

// By lap bits: kTorn when they are of different moments; else which slot is filled next.
inline constexpr uint8_t kTorn = 0x80;
static constexpr auto kNext = [] {  // static: its address need not be looked up
  std::array<uint8_t, 1u << kWays> table{};
  table.fill(kTorn);
  for (uint32_t way = 0; way < kWays; ++way) {
    const uint32_t before = (1u << way) - 1;
    table[before] = static_cast<uint8_t>(Bucket::place(way) * sizeof(Slot));
    table[kAllWays & ~before] = table[before];
  }
  return table;
}();
// Whether that slot has been filled since the look: until then its lap is that of the last way, in
// every order of the bits that is not torn.
inline bool is_filled(uint32_t laps, const Word& next) noexcept {
  return laps >> (kWays - 1) != next.lap();
}
// The place of that slot. The table has its distance, so that this costs a mask.
constexpr uint32_t place_in(uint32_t next) noexcept { return next / sizeof(Slot) % kWays; }

}  // namespace lf::ledger
