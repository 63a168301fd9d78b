// SPDX-License-Identifier: Apache-2.0
// One look at a bucket: which slot is filled next, and which slots are about a command. With AVX2,
// four loads see all eight slots; each 8-byte word in them is read at one moment, which is all that
// the ledger relies on (ledger.hpp).
#pragma once

#include <immintrin.h>

#include <array>
#include <atomic>
#include <cstdint>

#include "dataplane/ledger/bucket.hpp"
#include "dataplane/ledger/words.hpp"

namespace lf::ledger {

inline constexpr uint32_t kAllWays = (1u << kWays) - 1;

// What is looked for.
struct Sought {
  uint64_t hash_in_hi;
  uint32_t group;
  uint32_t epoch;  // now
};

// A bit a way.
struct Look {
  uint64_t first;  // hi of way 0, read before all others
  uint32_t laps;
  uint32_t alike;  // may be about the command: the 30 bits of its hash in hi agree
  uint32_t free;   // no entry, or older than the window
  uint32_t own;    // of the group
};

#ifdef LF_WORDS_ONE_BY_ONE

inline Look look_at(const Bucket& b, const Sought& sought) noexcept {
  Look look{};
  for (uint32_t w = 0; w < kWays; ++w) {
    const Word word{0, b.way(w).hi.load(std::memory_order_acquire)};
    if (w == 0) look.first = word.hi;
    look.laps |= word.lap() << w;
    look.alike |= uint32_t{(word.hi & kHashInHi) == sought.hash_in_hi} << w;
    look.free |= uint32_t{!is_live(word, sought.epoch)} << w;
    look.own |= uint32_t{word.group() == sought.group} << w;
  }
  return look;
}

#else

// All that is asked of a slot is in its hi, so two vectors do: the upper halves of the eight, and
// the lower. Shuffling them together puts slots into the order 0, 2, 4, 6, 1, 3, 5, 7: Bucket::way()
// counts in that order.
inline Look look_at(const Bucket& b, const Sought& sought) noexcept {
  const auto bits = [](__m256i x) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(x)));
  };
  const auto all = [](uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); };
  Look look;
  look.first = b.way(0).hi.load(std::memory_order_acquire);
  std::atomic_signal_fence(std::memory_order_seq_cst);  // no read moves across
  const auto* pair = reinterpret_cast<const __m256i*>(&b);
  const __m256 a = _mm256_castsi256_ps(
      _mm256_unpackhi_epi64(_mm256_load_si256(pair), _mm256_load_si256(pair + 1)));
  const __m256 c = _mm256_castsi256_ps(
      _mm256_unpackhi_epi64(_mm256_load_si256(pair + 2), _mm256_load_si256(pair + 3)));
  std::atomic_signal_fence(std::memory_order_seq_cst);
  const __m256i upper = _mm256_castps_si256(_mm256_shuffle_ps(a, c, 0xdd));
  const __m256i lower = _mm256_castps_si256(_mm256_shuffle_ps(a, c, 0x88));
  look.laps = bits(upper);
  look.alike =
      bits(_mm256_cmpeq_epi32(_mm256_and_si256(upper, all(kHashInHi >> 32)),
                              all(static_cast<uint32_t>(sought.hash_in_hi >> 32))));
  // The epoch in the top byte: with ones below in what it is taken from, nothing is borrowed. Of
  // kWindowEpochs + 1 .. kEpochs - kAheadEpochs - 1 is old; shifted so that one signed comparison
  // tells.
  constexpr uint32_t kShift = kWindowEpochs + 1 + 128;
  constexpr uint32_t kOld = kEpochs - kAheadEpochs - kShift;
  const __m256i age = _mm256_sub_epi32(all((sought.epoch - kShift) << 24 | 0xffffff),
                                       _mm256_slli_epi32(lower, 12));
  const __m256i old = _mm256_cmpgt_epi32(all(kOld << 24), age);
  const __m256i none =
      _mm256_cmpeq_epi32(_mm256_and_si256(lower, all(0xe)), _mm256_setzero_si256());
  look.free = bits(_mm256_or_si256(old, none));
  look.own = bits(_mm256_cmpeq_epi32(_mm256_srli_epi32(lower, 20), all(sought.group)));
  return look;
}

#endif

inline constexpr uint8_t kTorn = 0x80;

// Looks before giving up. Each that fails means that others got on, or that an entry was passed
// over, of which there are at most kWays.
inline constexpr uint32_t kLooksMax = 64;

// By lap bits: the way that is filled next, or kTorn when the bits are of different moments.
inline constexpr auto kNextWay = [] {
  std::array<uint8_t, 1u << kWays> table{};
  table.fill(kTorn);
  for (uint32_t way = 0; way < kWays; ++way) {
    const uint32_t before = (1u << way) - 1;
    table[before] = static_cast<uint8_t>(way);
    table[kAllWays & ~before] = static_cast<uint8_t>(way);
  }
  return table;
}();

}  // namespace lf::ledger
