// SPDX-License-Identifier: Apache-2.0
// AES blocks side by side in one register: the steps that a CMAC kernel is made of, by instruction
// set. LF_*_TARGET is what a function must be marked with to use them. Private to dataplane/crypto.
#pragma once

#include <immintrin.h>

#include <cstdint>

#define LF_INLINE inline __attribute__((always_inline))
#define LF_INLINE_LAMBDA __attribute__((always_inline))
#define LF_AESNI_TARGET  // the build's baseline
#define LF_VAES256_TARGET __attribute__((target("avx2,vaes")))
#define LF_VAES512_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,vaes")))

namespace lf::crypto {

LF_INLINE __m128i load_block(const void* p) noexcept {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}

// `block(b)`: where the register's b-th block comes from.
struct AesniVector {
  using Register = __m128i;
  static constexpr uint32_t kBlocks = 1;

  template <typename Block>
  static LF_INLINE Register join(Block block) noexcept {
    return load_block(block(0));
  }
  static LF_INLINE Register same(const void* p) noexcept { return load_block(p); }
  static LF_INLINE Register load(const __m128i* p) noexcept { return _mm_loadu_si128(p); }
  static LF_INLINE void store(__m128i* p, Register a) noexcept { _mm_storeu_si128(p, a); }
  static LF_INLINE Register add(Register a, Register b) noexcept { return _mm_xor_si128(a, b); }
  static LF_INLINE Register round(Register a, Register k) noexcept {
    return _mm_aesenc_si128(a, k);
  }
  static LF_INLINE Register last_round(Register a, Register k) noexcept {
    return _mm_aesenclast_si128(a, k);
  }
};

LF_INLINE __m256i join_two(const void* a, const void* b) noexcept {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(load_block(a)), load_block(b), 1);
}

struct Vaes256Vector {
  using Register = __m256i;
  static constexpr uint32_t kBlocks = 2;

  template <typename Block>
  LF_VAES256_TARGET static LF_INLINE Register join(Block block) noexcept {
    return join_two(block(0), block(1));
  }
  LF_VAES256_TARGET static LF_INLINE Register same(const void* p) noexcept {
    return _mm256_broadcastsi128_si256(load_block(p));
  }
  LF_VAES256_TARGET static LF_INLINE Register load(const __m128i* p) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  LF_VAES256_TARGET static LF_INLINE void store(__m128i* p, Register a) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a);
  }
  LF_VAES256_TARGET static LF_INLINE Register add(Register a, Register b) noexcept {
    return _mm256_xor_si256(a, b);
  }
  LF_VAES256_TARGET static LF_INLINE Register round(Register a, Register k) noexcept {
    return _mm256_aesenc_epi128(a, k);
  }
  LF_VAES256_TARGET static LF_INLINE Register last_round(Register a, Register k) noexcept {
    return _mm256_aesenclast_epi128(a, k);
  }
};

struct Vaes512Vector {
  using Register = __m512i;
  static constexpr uint32_t kBlocks = 4;

  template <typename Block>
  LF_VAES512_TARGET static LF_INLINE Register join(Block block) noexcept {
    return _mm512_inserti64x4(_mm512_castsi256_si512(join_two(block(0), block(1))),
                              join_two(block(2), block(3)), 1);
  }
  LF_VAES512_TARGET static LF_INLINE Register same(const void* p) noexcept {
    return _mm512_broadcast_i32x4(load_block(p));
  }
  LF_VAES512_TARGET static LF_INLINE Register load(const __m128i* p) noexcept {
    return _mm512_loadu_si512(p);
  }
  LF_VAES512_TARGET static LF_INLINE void store(__m128i* p, Register a) noexcept {
    _mm512_storeu_si512(p, a);
  }
  LF_VAES512_TARGET static LF_INLINE Register add(Register a, Register b) noexcept {
    return _mm512_xor_si512(a, b);
  }
  LF_VAES512_TARGET static LF_INLINE Register round(Register a, Register k) noexcept {
    return _mm512_aesenc_epi128(a, k);
  }
  LF_VAES512_TARGET static LF_INLINE Register last_round(Register a, Register k) noexcept {
    return _mm512_aesenclast_epi128(a, k);
  }
};

}  // namespace lf::crypto
