// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ledger/hash.hpp"

#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>

#include "dataplane/ledger/hash_lanes.hpp"

namespace lf::ledger {
namespace {

template <int kRoundConstant>
__m128i next_round_key(__m128i key) noexcept {
  const __m128i word = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(key, kRoundConstant), 0xff);
  key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
  key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
  return _mm_xor_si128(key, word);
}

// VAES and VPCLMULQDQ, CPUID leaf 7, ECX bits 9 and 10: Clang 14 does not know their names. Whether
// the system keeps 256-bit registers the build asks for.
bool has_wide() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c >> 9 & 3) == 3;
}

// kLanes names. One function for whole groups and the last one, which is filled up.
[[gnu::noinline]] void hash_names(const Hasher& hasher, const Name* names, Hash* out) noexcept {
  hasher.lanes([names](uint32_t k) { return names[k].command_id; },
               [names](uint32_t k) {
                 return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&names[k].space));
               },
               out);
}

}  // namespace

Hasher::Hasher(const Secret& secret) noexcept : tweak_{secret.tweak[0], secret.tweak[1]}, wide_(has_wide()) {
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
  for (; count >= kLanes; count -= kLanes, names += kLanes, out += kLanes)
    hash_names(*this, names, out);
  if (count == 0) return;
  Name last[kLanes];
  Hash hashes[kLanes];
  for (uint32_t k = 0; k < kLanes; ++k) last[k] = names[k < count ? k : 0];
  hash_names(*this, last, hashes);
  std::copy_n(hashes, count, out);
}

}  // namespace lf::ledger
