// SPDX-License-Identifier: Apache-2.0
// What a CMAC kernel works on: one message a lane. Private to dataplane/crypto.
#pragma once

#include <immintrin.h>

#include "dataplane/crypto/cmac_lanes.hpp"

#define LF_INLINE inline __attribute__((always_inline))

namespace lf::crypto {

inline constexpr uint32_t kHeaderBlocks = 4;
inline constexpr uint32_t kPayloadOffset = 80;  // in the datagram
inline constexpr uint32_t kRounds = 10;

template <uint32_t kLanes>
struct LaneData {
  alignas(kCacheLine) __m128i state[kLanes];
  alignas(kCacheLine) __m128i last[kLanes];  // last block, padded and masked with its subkey
  const CmacKey* key[kLanes];
  const uint8_t* from[kLanes];
};

LF_INLINE __m128i load_block(const void* p) noexcept {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}

}  // namespace lf::crypto
