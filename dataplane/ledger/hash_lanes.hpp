// SPDX-License-Identifier: Apache-2.0
// How Hasher hashes eight names at once, for whoever has them in another form than Name: the hash
// of each is made straight from where it lies. Of use to hash.cpp and the dedup stage alone.
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

}  // namespace lf::ledger
