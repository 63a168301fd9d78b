// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ledger/hash.hpp"

#include <immintrin.h>

#include <algorithm>

namespace lf::ledger {
namespace {

constexpr uint32_t kLanes = 8;    // blocks in flight: hides the latency of a round
constexpr uint32_t kRounds = 10;  // of AES-128, as Hasher says

template <int kRoundConstant>
__m128i next_round_key(__m128i key) noexcept {
  const __m128i word = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(key, kRoundConstant), 0xff);
  key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
  key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
  return _mm_xor_si128(key, word);
}

// space * s in GF(2^128) modulo x^128 + x^7 + x^2 + x + 1, bit i standing for x^i.
__m128i tweak_of(uint64_t space, __m128i s) noexcept {
  const __m128i m = _mm_cvtsi64_si128(static_cast<int64_t>(space));
  const __m128i low = _mm_clmulepi64_si128(s, m, 0x00);
  const __m128i high = _mm_clmulepi64_si128(s, m, 0x01);  // times x^64
  const __m128i overflow = _mm_clmulepi64_si128(high, _mm_cvtsi64_si128(0x87), 0x01);
  return _mm_xor_si128(_mm_xor_si128(low, _mm_slli_si128(high, 8)), overflow);
}

// kLanes names. One function for whole groups and the last one, which is filled up.
[[gnu::noinline]] void hash_lanes(const __m128i* keys, __m128i s, const Name* names,
                                  Hash* out) noexcept {
  __m128i block[kLanes];
#pragma GCC unroll 8
  for (uint32_t k = 0; k < kLanes; ++k) {
    const __m128i id = _mm_loadu_si128(reinterpret_cast<const __m128i*>(names[k].command_id));
    block[k] = _mm_xor_si128(_mm_xor_si128(id, keys[0]), tweak_of(names[k].space, s));
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

}  // namespace

Hasher::Hasher(const Secret& secret) noexcept : tweak_{secret.tweak[0], secret.tweak[1]} {
  __m128i key = _mm_loadu_si128(reinterpret_cast<const __m128i*>(secret.aes_key));
  auto* keys = reinterpret_cast<__m128i*>(round_keys_);
  keys[0] = key;
  keys[1] = key = next_round_key<0x01>(key);
  keys[2] = key = next_round_key<0x02>(key);
  keys[3] = key = next_round_key<0x04>(key);
  keys[4] = key = next_round_key<0x08>(key);
  keys[5] = key = next_round_key<0x10>(key);
  keys[6] = key = next_round_key<0x20>(key);
  keys[7] = key = next_round_key<0x40>(key);
  keys[8] = key = next_round_key<0x80>(key);
  keys[9] = key = next_round_key<0x1b>(key);
  keys[10] = next_round_key<0x36>(key);
}

void Hasher::run(const Name* names, uint32_t count, Hash* out) const noexcept {
  const auto* keys = reinterpret_cast<const __m128i*>(round_keys_);
  const __m128i s =
      _mm_set_epi64x(static_cast<int64_t>(tweak_[1]), static_cast<int64_t>(tweak_[0]));
  for (; count >= kLanes; count -= kLanes, names += kLanes, out += kLanes)
    hash_lanes(keys, s, names, out);
  if (count == 0) return;
  Name last[kLanes];
  Hash hashes[kLanes];
  for (uint32_t k = 0; k < kLanes; ++k) last[k] = names[k < count ? k : 0];
  hash_lanes(keys, s, last, hashes);
  std::copy_n(hashes, count, out);
}

}  // namespace lf::ledger
