// SPDX-License-Identifier: Apache-2.0
#include "dataplane/crypto/cmac_key.hpp"

#include <immintrin.h>

#include <cstring>

namespace lf::crypto {
namespace {

template <int kRoundConstant>
__m128i next_round_key(__m128i k) noexcept {
  const __m128i assist = _mm_aeskeygenassist_si128(k, kRoundConstant);
  k = _mm_xor_si128(k, _mm_slli_si128(k, 4));
  k = _mm_xor_si128(k, _mm_slli_si128(k, 8));
  return _mm_xor_si128(k, _mm_shuffle_epi32(assist, 0xff));
}

// Doubling in GF(2^128), big-endian (RFC 4493, 2.3).
void double_block(const uint8_t in[16], uint8_t out[16]) noexcept {
  const uint8_t carry = in[0] >> 7;
  for (int i = 0; i < 15; ++i) out[i] = static_cast<uint8_t>(in[i] << 1 | in[i + 1] >> 7);
  out[15] = static_cast<uint8_t>(in[15] << 1 ^ (0x87 & -carry));
}

}  // namespace

PackedCmacKey pack(const CmacKey& key) noexcept {
  PackedCmacKey out;
  std::memcpy(out.key, key.round[0], sizeof(out.key));
  std::memcpy(out.subkey, key.subkey, sizeof(out.subkey));
  return out;
}

CmacKey expand_cmac_key(const std::array<uint8_t, 16>& key) noexcept {
  __m128i k[CmacKey::kRows];
  k[0] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key.data()));
  k[1] = next_round_key<0x01>(k[0]);
  k[2] = next_round_key<0x02>(k[1]);
  k[3] = next_round_key<0x04>(k[2]);
  k[4] = next_round_key<0x08>(k[3]);
  k[5] = next_round_key<0x10>(k[4]);
  k[6] = next_round_key<0x20>(k[5]);
  k[7] = next_round_key<0x40>(k[6]);
  k[8] = next_round_key<0x80>(k[7]);
  k[9] = next_round_key<0x1b>(k[8]);
  k[10] = next_round_key<0x36>(k[9]);

  k[CmacKey::kBetween] = _mm_xor_si128(k[0], k[CmacKey::kFinal]);

  __m128i zero = k[0];  // AES of the zero block
  for (uint32_t r = 1; r < CmacKey::kFinal; ++r) zero = _mm_aesenc_si128(zero, k[r]);
  zero = _mm_aesenclast_si128(zero, k[CmacKey::kFinal]);

  CmacKey out;
  std::memcpy(out.round, k, sizeof(k));
  uint8_t l[16];
  std::memcpy(l, &zero, sizeof(l));
  double_block(l, out.subkey[0]);
  double_block(out.subkey[0], out.subkey[1]);
  return out;
}

}  // namespace lf::crypto
