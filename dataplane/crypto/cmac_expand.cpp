// SPDX-License-Identifier: Apache-2.0
// The key schedule of AES-128 (FIPS 197, 5.2) for several keys at once, as each round key waits for
// the one before; with VAES two to a register.
#include "dataplane/crypto/cmac_expand.hpp"

#include <immintrin.h>

#include <algorithm>

#include "dataplane/crypto/cmac_vectors.hpp"

namespace lf::crypto {
namespace {

constexpr uint8_t kRoundConstants[CmacKey::kFinal] = {0x01, 0x02, 0x04, 0x08, 0x10,
                                                      0x20, 0x40, 0x80, 0x1b, 0x36};

// The last word of a round key, turned by a byte, four times. aesenclast then makes of it what the
// key schedule asks for: rows of equal columns do not move. That takes less than aeskeygenassist.
constexpr int kTurned = 0x0c0f0e0d;

LF_INLINE __m128i next(__m128i k, int round_constant) noexcept {
  const __m128i changed = _mm_aesenclast_si128(_mm_shuffle_epi8(k, _mm_set1_epi32(kTurned)),
                                               _mm_set1_epi32(round_constant));
  k = _mm_xor_si128(k, _mm_slli_si128(k, 4));
  k = _mm_xor_si128(k, _mm_slli_si128(k, 8));
  return _mm_xor_si128(k, changed);
}

LF_VAES256_TARGET LF_INLINE __m256i next(__m256i k, int round_constant) noexcept {
  const __m256i changed = _mm256_aesenclast_epi128(
      _mm256_shuffle_epi8(k, _mm256_set1_epi32(kTurned)), _mm256_set1_epi32(round_constant));
  k = _mm256_xor_si256(k, _mm256_slli_si256(k, 4));
  k = _mm256_xor_si256(k, _mm256_slli_si256(k, 8));
  return _mm256_xor_si256(k, changed);
}

LF_INLINE void put(uint8_t* to, __m128i row) noexcept {
  _mm_store_si128(reinterpret_cast<__m128i*>(to), row);
}

void take_subkeys(const PackedCmacKey& from, CmacKey& key) noexcept {
  std::memcpy(key.subkey, from.subkey, sizeof key.subkey);
}

// Four keys.
constexpr uint32_t kTogether = 4;

void expand_four(const PackedCmacKey* const* from, CmacKey* const* to) noexcept {
  __m128i first[kTogether], k[kTogether];
  for (uint32_t l = 0; l < kTogether; ++l) {
    first[l] = k[l] = load_block(from[l]->key);
    put(to[l]->round[0], k[l]);
    take_subkeys(*from[l], *to[l]);
  }
#pragma GCC unroll 10
  for (uint32_t r = 1; r <= CmacKey::kFinal; ++r) {
    for (uint32_t l = 0; l < kTogether; ++l) {
      k[l] = next(k[l], kRoundConstants[r - 1]);
      put(to[l]->round[r], k[l]);
    }
  }
  for (uint32_t l = 0; l < kTogether; ++l)
    put(to[l]->round[CmacKey::kBetween], _mm_xor_si128(first[l], k[l]));
}

LF_VAES256_TARGET LF_INLINE void put_two(CmacKey* const* to, uint32_t r, __m256i rows) noexcept {
  put(to[0]->round[r], _mm256_castsi256_si128(rows));
  put(to[1]->round[r], _mm256_extracti128_si256(rows, 1));
}

LF_VAES256_TARGET void expand_four_wide(const PackedCmacKey* const* from,
                                        CmacKey* const* to) noexcept {
  __m256i first[kTogether / 2], k[kTogether / 2];
  for (uint32_t l = 0; l < kTogether; ++l) take_subkeys(*from[l], *to[l]);
  for (uint32_t p = 0; p < kTogether / 2; ++p) {
    first[p] = k[p] = join_two(from[2 * p]->key, from[2 * p + 1]->key);
    put_two(to + 2 * p, 0, k[p]);
  }
#pragma GCC unroll 10
  for (uint32_t r = 1; r <= CmacKey::kFinal; ++r) {
    for (uint32_t p = 0; p < kTogether / 2; ++p) {
      k[p] = next(k[p], kRoundConstants[r - 1]);
      put_two(to + 2 * p, r, k[p]);
    }
  }
  for (uint32_t p = 0; p < kTogether / 2; ++p)
    put_two(to + 2 * p, CmacKey::kBetween, _mm256_xor_si256(first[p], k[p]));
}

}  // namespace

void expand_packed(const PackedCmacKey* const* packed, uint32_t count, CmacKey* out) noexcept {
  expand_packed(chosen_cmac_path(), packed, count, out);
}

void expand_packed(CmacPath path, const PackedCmacKey* const* packed, uint32_t count,
                   CmacKey* out) noexcept {
  const auto expand = path == CmacPath::aesni ? expand_four : expand_four_wide;
  for (uint32_t i = 0; i < count; i += kTogether) {
    const PackedCmacKey* from[kTogether];
    CmacKey* to[kTogether];
    for (uint32_t l = 0; l < kTogether; ++l) {  // the last ones again where there are fewer
      from[l] = packed[std::min(i + l, count - 1)];
      to[l] = out + std::min(i + l, count - 1);
    }
    expand(from, to);
  }
}

}  // namespace lf::crypto
