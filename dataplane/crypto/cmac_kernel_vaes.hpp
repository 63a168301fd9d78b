// SPDX-License-Identifier: Apache-2.0
// CMAC kernel for CPUs with 512-bit VAES: four lanes a register. Round keys are
// transposed into place once per message, since every lane may have its own. Included by
// cmac_lanes.cpp; what it does is described at AesniKernel.
#pragma once

#include "dataplane/crypto/cmac_lane_data.hpp"

namespace lf::crypto {

// GCC 12 takes its own _mm512_undefined_epi32() for a mistake (PR 105593).
#pragma GCC diagnostic push
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#pragma GCC diagnostic ignored "-Wuninitialized"
#define LF_VAES __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,vaes")))

struct VaesKernel {
  static constexpr uint32_t kLanes = 16;
  static constexpr uint32_t kGroups = kLanes / 4;
  using Data = LaneData<kLanes>;
  struct Keys {
    alignas(kCacheLine) __m128i round[kRounds + 1][kLanes];
  };

  LF_VAES static LF_INLINE __m512i join(const void* a, const void* b, const void* c,
                                        const void* d) noexcept {
    const __m256i low =
        _mm256_inserti128_si256(_mm256_castsi128_si256(load_block(a)), load_block(b), 1);
    const __m256i high =
        _mm256_inserti128_si256(_mm256_castsi128_si256(load_block(c)), load_block(d), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }

  LF_VAES static void take_keys(Keys& keys, const Data& data) noexcept {
    for (uint32_t g = 0; g < kGroups; ++g) {
      const CmacKey* const* k = data.key + 4 * g;
#pragma GCC unroll 11
      for (uint32_t r = 0; r <= kRounds; ++r)
        _mm512_store_si512(keys.round[r] + 4 * g,
                           join(k[0]->round[r], k[1]->round[r], k[2]->round[r], k[3]->round[r]));
    }
  }
  static void take_key(Keys& keys, uint32_t lane, const CmacKey* key) noexcept {
    for (uint32_t r = 0; r <= kRounds; ++r) keys.round[r][lane] = load_block(key->round[r]);
  }

  LF_VAES static __attribute__((noinline)) void run_headers(Data& data, const Keys& keys) noexcept {
    Registers r(keys);
    r.clear();
    r.whole(data, 0, kHeaderBlocks - 1);
    r.add(data, (kHeaderBlocks - 1) * 16);
    r.last(data);
    r.store(data);
  }

  LF_VAES static __attribute__((noinline)) void run_messages(Data& data, const Keys& keys,
                                                             uint32_t blocks) noexcept {
    Registers r(keys);
    r.clear();
    r.whole(data, 0, kHeaderBlocks);
    r.whole(data, kPayloadOffset, blocks - 1);
    r.last(data);
    r.store(data);
  }

  LF_VAES static __attribute__((noinline)) void run_steps(Data& data, const Keys& keys,
                                                          uint32_t blocks) noexcept {
    Registers r(keys);
    r.load(data);
    r.whole(data, 0, blocks);
    r.store(data);
  }

 private:
#define LF_EACH_GROUP _Pragma("GCC unroll 8") for (uint32_t g = 0; g < kGroups; ++g)
  struct Registers {
    __m512i s[kGroups];
    const Keys& keys;

    LF_VAES LF_INLINE explicit Registers(const Keys& k) noexcept : keys(k) {}
    LF_VAES LF_INLINE void clear() noexcept { LF_EACH_GROUP s[g] = _mm512_setzero_si512(); }
    LF_VAES LF_INLINE void load(const Data& data) noexcept {
      LF_EACH_GROUP s[g] = _mm512_load_si512(data.state + 4 * g);
    }
    LF_VAES LF_INLINE void store(Data& data) const noexcept {
      LF_EACH_GROUP _mm512_store_si512(data.state + 4 * g, s[g]);
    }
    LF_VAES LF_INLINE void add(const Data& data, size_t at) noexcept {
      LF_EACH_GROUP {
        const uint8_t* const* f = data.from + 4 * g;
        s[g] = _mm512_xor_si512(s[g], join(f[0] + at, f[1] + at, f[2] + at, f[3] + at));
      }
    }
    LF_VAES LF_INLINE void encrypt() noexcept {
      LF_EACH_GROUP s[g] = _mm512_xor_si512(s[g], _mm512_load_si512(keys.round[0] + 4 * g));
#pragma GCC unroll 9
      for (uint32_t r = 1; r < kRounds; ++r) {
        LF_EACH_GROUP s[g] = _mm512_aesenc_epi128(s[g], _mm512_load_si512(keys.round[r] + 4 * g));
      }
      LF_EACH_GROUP s[g] =
          _mm512_aesenclast_epi128(s[g], _mm512_load_si512(keys.round[kRounds] + 4 * g));
    }
    LF_VAES LF_INLINE void whole(const Data& data, size_t at, uint32_t blocks) noexcept {
      for (const size_t end = at + size_t{blocks} * 16; at < end; at += 16) {
        add(data, at);
        encrypt();
      }
    }
    LF_VAES LF_INLINE void last(const Data& data) noexcept {
      LF_EACH_GROUP s[g] = _mm512_xor_si512(s[g], _mm512_load_si512(data.last + 4 * g));
      encrypt();
    }
  };
#undef LF_EACH_GROUP
};
#pragma GCC diagnostic pop

}  // namespace lf::crypto
