// SPDX-License-Identifier: Apache-2.0
// One look at a bucket: which slot is filled next, and which slots are about a command. With AVX2,
// four loads see all eight slots; each 8-byte word in them is read at one moment, which is all that
// the ledger relies on (ledger.hpp). Under ThreadSanitizer, which can't know that, words are read
// one by one as atomics. The worker side's only code of which there are two versions.
#pragma once

#include <immintrin.h>

#include <array>
#include <atomic>
#include <cstdint>

#include "dataplane/ledger/bucket.hpp"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LF_WORDS_ONE_BY_ONE
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define LF_WORDS_ONE_BY_ONE
#endif

namespace lf::ledger {

inline constexpr uint32_t kAllWays = (1u << kWays) - 1;

// A bit a way.
struct Look {
  uint64_t first = 0;  // hi of way 0, read before all others
  uint32_t laps = 0;
  uint32_t same = 0;  // about the command
  uint32_t free = 0;  // no entry, or older than the window
};

#ifdef LF_WORDS_ONE_BY_ONE

inline Look look_at(const Bucket& b, const Hash& hash, uint32_t epoch) noexcept {
  Look look;
  for (uint32_t w = 0; w < kWays; ++w) {
    const uint64_t hi = b.way(w).hi.load(std::memory_order_acquire);
    const uint64_t lo = b.way(w).lo.load(std::memory_order_acquire);
    if (w == 0) look.first = hi;
    look.laps |= static_cast<uint32_t>(hi >> 63) << w;
    look.same |= static_cast<uint32_t>(is_about({lo, hi}, hash)) << w;
    look.free |= static_cast<uint32_t>(!is_live({lo, hi}, epoch)) << w;
  }
  return look;
}

#else

// unpackhi of two pairs of slots gives slots 0, 2, 1, 3: Bucket::way() counts in that order.
inline Look look_at(const Bucket& b, const Hash& hash, uint32_t epoch) noexcept {
  const auto top_bits = [](__m256i x, __m256i y) {
    return static_cast<uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(x)) |
                                 _mm256_movemask_pd(_mm256_castsi256_pd(y)) << 4);
  };
  const auto equal = [](__m256i x, __m256i y) { return _mm256_cmpeq_epi64(x, y); };
  std::atomic_signal_fence(std::memory_order_seq_cst);  // no read moves across
  const auto* pair = reinterpret_cast<const __m256i*>(&b);
  const __m256i s01 = _mm256_load_si256(pair);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  const __m256i s23 = _mm256_load_si256(pair + 1);
  const __m256i s45 = _mm256_load_si256(pair + 2), s67 = _mm256_load_si256(pair + 3);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  const __m256i want_lo = _mm256_set1_epi64x(static_cast<int64_t>(hash.lo));
  const __m256i want_hi = _mm256_set1_epi64x(static_cast<int64_t>(hash_in_hi(hash)));
  const __m256i mask = _mm256_set1_epi64x(static_cast<int64_t>(kHashInHi));
  const __m256i hi_a = _mm256_unpackhi_epi64(s01, s23), hi_b = _mm256_unpackhi_epi64(s45, s67);
  const __m256i lo_a = _mm256_unpacklo_epi64(s01, s23), lo_b = _mm256_unpacklo_epi64(s45, s67);
  const __m256i same_a =
      _mm256_and_si256(equal(lo_a, want_lo), equal(_mm256_and_si256(hi_a, mask), want_hi));
  const __m256i same_b =
      _mm256_and_si256(equal(lo_b, want_lo), equal(_mm256_and_si256(hi_b, mask), want_hi));
  const __m256i now = _mm256_set1_epi64x(epoch), byte = _mm256_set1_epi64x(kEpochs - 1);
  const __m256i window = _mm256_set1_epi64x(kWindowEpochs);
  const __m256i ahead = _mm256_set1_epi64x(kEpochs - kAheadEpochs);
  const __m256i state = _mm256_set1_epi64x(0xe);
  const auto unused = [&](__m256i hi) {
    const __m256i age = _mm256_and_si256(_mm256_sub_epi64(now, _mm256_srli_epi64(hi, 12)), byte);
    const __m256i old =
        _mm256_and_si256(_mm256_cmpgt_epi64(age, window), _mm256_cmpgt_epi64(ahead, age));
    return _mm256_or_si256(old, equal(_mm256_and_si256(hi, state), _mm256_setzero_si256()));
  };
  return {static_cast<uint64_t>(_mm256_extract_epi64(s01, 1)), top_bits(hi_a, hi_b), top_bits(same_a, same_b), top_bits(unused(hi_a), unused(hi_b))};
}

#endif

inline constexpr uint8_t kTorn = 0x80;

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
