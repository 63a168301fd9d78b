// SPDX-License-Identifier: Apache-2.0
// CMAC kernel for any CPU with AES-NI: eight lanes of 128 bits, whose eight states and eight key
// pointers just fill the registers; round keys are memory operands. Included by cmac_lanes.cpp.
#pragma once

#include "dataplane/crypto/cmac_lane_data.hpp"

namespace lf::crypto {

struct AesniKernel {
  static constexpr uint32_t kLanes = 8;
  using Data = LaneData<kLanes>;
  struct Keys {};  // used where they are

  static void take_keys(Keys&, const Data&) noexcept {}
  static void take_key(Keys&, uint32_t, const CmacKey*) noexcept {}

  // The header's four blocks from a zero state, `last` added before the fourth is encrypted.
  static __attribute__((noinline)) void run_headers(Data& data, const Keys&) noexcept {
    Registers r(data);
    r.clear();
    r.whole(data, 0, kHeaderBlocks - 1);
    r.add(data, (kHeaderBlocks - 1) * 16);
    r.last(data);
    r.store(data);
  }

  // The header, blocks - 1 whole payload blocks, `last`. blocks >= 1.
  static __attribute__((noinline)) void run_messages(Data& data, const Keys&,
                                                     uint32_t blocks) noexcept {
    Registers r(data);
    r.clear();
    r.whole(data, 0, kHeaderBlocks);
    r.whole(data, kPayloadOffset, blocks - 1);
    r.last(data);
    r.store(data);
  }

  // More whole blocks from every lane's `from`, on the states that are there.
  static __attribute__((noinline)) void run_steps(Data& data, const Keys&,
                                                  uint32_t blocks) noexcept {
    Registers r(data);
    r.load(data);
    r.whole(data, 0, blocks);
    r.store(data);
  }

 private:
#define LF_EACH_LANE _Pragma("GCC unroll 8") for (uint32_t l = 0; l < kLanes; ++l)
  struct Registers {
    __m128i s[kLanes];
    const CmacKey* k[kLanes];

    LF_INLINE explicit Registers(const Data& data) noexcept { LF_EACH_LANE k[l] = data.key[l]; }
    LF_INLINE void clear() noexcept { LF_EACH_LANE s[l] = _mm_setzero_si128(); }
    LF_INLINE void load(const Data& data) noexcept { LF_EACH_LANE s[l] = data.state[l]; }
    LF_INLINE void store(Data& data) const noexcept { LF_EACH_LANE data.state[l] = s[l]; }
    LF_INLINE void add(const Data& data, size_t at) noexcept {
      LF_EACH_LANE s[l] = _mm_xor_si128(s[l], load_block(data.from[l] + at));
    }
    LF_INLINE void encrypt() noexcept {
      LF_EACH_LANE s[l] = _mm_xor_si128(s[l], load_block(k[l]->round[0]));
#pragma GCC unroll 9
      for (uint32_t r = 1; r < kRounds; ++r) {
        LF_EACH_LANE s[l] = _mm_aesenc_si128(s[l], load_block(k[l]->round[r]));
      }
      LF_EACH_LANE s[l] = _mm_aesenclast_si128(s[l], load_block(k[l]->round[kRounds]));
    }
    LF_INLINE void whole(const Data& data, size_t at, uint32_t blocks) noexcept {
      for (const size_t end = at + size_t{blocks} * 16; at < end; at += 16) {
        add(data, at);
        encrypt();
      }
    }
    LF_INLINE void last(const Data& data) noexcept {
      LF_EACH_LANE s[l] = _mm_xor_si128(s[l], data.last[l]);
      encrypt();
    }
  };
#undef LF_EACH_LANE
};

}  // namespace lf::crypto
