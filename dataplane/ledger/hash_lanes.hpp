// SPDX-License-Identifier: Apache-2.0
// How Hasher hashes eight names at once, for whoever has them in another form than Name: the hash
// of each is made straight from where it lies. With AES on 128-bit registers, which the build asks
// for, or on 256-bit ones. Of use to hash.cpp and the dedup stage alone.
#pragma once

#include <immintrin.h>

#include "dataplane/ledger/hash.hpp"

namespace lf::ledger {

// space * s in GF(2^128) modulo x^128 + x^7 + x^2 + x + 1, bit i standing for x^i. The space is in
// the low half of its vector.
[[gnu::always_inline]] inline __m128i tweak_of(__m128i space, __m128i s) noexcept {
  const __m128i low = _mm_clmulepi64_si128(s, space, 0x00);
  const __m128i high = _mm_clmulepi64_si128(s, space, 0x01);  // times x^64
  const __m128i overflow = _mm_clmulepi64_si128(high, _mm_cvtsi64_si128(0x87), 0x01);
  return _mm_xor_si128(_mm_xor_si128(low, _mm_slli_si128(high, 8)), overflow);
}

template <typename Id, typename Space>
[[gnu::always_inline]] inline void Hasher::lanes(Id&& id, Space&& space, Hash* out) const noexcept {
  const auto* keys = reinterpret_cast<const __m128i*>(round_keys_);
  const __m128i s = _mm_loadu_si128(reinterpret_cast<const __m128i*>(tweak_));
  __m128i block[kLanes];
#pragma GCC unroll 8
  for (uint32_t k = 0; k < kLanes; ++k) {
    const __m128i name = _mm_loadu_si128(reinterpret_cast<const __m128i*>(id(k)));
    block[k] = _mm_xor_si128(_mm_xor_si128(name, keys[0]), tweak_of(space(k), s));
    asm volatile("" : "+x"(block[k]));  // one by one: all at once they do not fit the registers
  }
#pragma GCC unroll 9
  for (uint32_t r = 1; r < kRounds; ++r) {
#pragma GCC unroll 8
    for (auto& b : block) b = _mm_aesenc_si128(b, keys[r]);
  }
  auto* to = reinterpret_cast<__m128i*>(out);
#pragma GCC unroll 8
  for (uint32_t k = 0; k < kLanes; ++k)
    _mm_storeu_si128(to + k, _mm_aesenclast_si128(block[k], keys[kRounds]));
}

// What a function must be marked with to call wide_lanes().
#define LF_WIDE_HASH __attribute__((target("avx2,vaes,vpclmulqdq")))

// tweak_of() of two spaces at a time; `s` twice.
[[gnu::always_inline]] LF_WIDE_HASH inline __m256i tweaks_of(__m256i spaces, __m256i s) noexcept {
  const __m256i low = _mm256_clmulepi64_epi128(s, spaces, 0x00);
  const __m256i high = _mm256_clmulepi64_epi128(s, spaces, 0x01);
  const __m256i reduce = _mm256_set_epi64x(0, 0x87, 0, 0x87);
  const __m256i overflow = _mm256_clmulepi64_epi128(high, reduce, 0x01);
  return _mm256_xor_si256(_mm256_xor_si256(low, _mm256_slli_si256(high, 8)), overflow);
}

template <typename Id, typename Spaces>
[[gnu::always_inline]] LF_WIDE_HASH inline void Hasher::wide_lanes(Id&& id, Spaces&& spaces,
                                                                   Hash* out) const noexcept {
  const auto twice = [](const void* p) LF_WIDE_HASH {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  };
  constexpr uint32_t kPairs = kLanes / 2;
  const __m256i s = twice(tweak_), first = twice(round_keys_[0]);
  __m256i block[kPairs];
#pragma GCC unroll 4
  for (uint32_t k = 0; k < kPairs; ++k) {
    const __m256i names = _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(id(2 * k)))),
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(id(2 * k + 1))), 1);
    block[k] = _mm256_xor_si256(_mm256_xor_si256(names, first), tweaks_of(spaces(2 * k), s));
    asm volatile("" : "+x"(block[k]));  // one by one, as above
  }
#pragma GCC unroll 9
  for (uint32_t r = 1; r < kRounds; ++r) {
    const __m256i key = twice(round_keys_[r]);
#pragma GCC unroll 4
    for (auto& b : block) b = _mm256_aesenc_epi128(b, key);
  }
  const __m256i last = twice(round_keys_[kRounds]);
  auto* to = reinterpret_cast<__m256i*>(out);
#pragma GCC unroll 4
  for (uint32_t k = 0; k < kPairs; ++k)
    _mm256_storeu_si256(to + k, _mm256_aesenclast_epi128(block[k], last));
}

}  // namespace lf::ledger
