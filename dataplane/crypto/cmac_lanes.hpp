// SPDX-License-Identifier: Apache-2.0
// AES-128-CMAC over many LCP datagrams at once. One CMAC is a chain of AES blocks, each waiting
// for the one before; interleaving datagrams keeps the AES units busy. Keys and lengths may differ
// from datagram to datagram. Called by the authenticate and answer stages on workers: no
// allocation, no branch on a key, a tag or a payload byte. Equal to lcp/tag.hpp, and tested so.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "dataplane/crypto/cmac_key.hpp"

namespace lf::crypto {

struct alignas(16) CmacTag {
  uint8_t bytes[16];
};

inline constexpr uint32_t kCmacBatchMax = 64;       // a burst
inline constexpr uint32_t kCmacPayloadMax = 65535;  // what payload_length can say

// Datagrams, and their tags. A message is the datagram's bytes 0..63 and then payload_length bytes
// from 80 on; the 16 bytes between (the tag) must be readable and do not matter.
struct CmacBatch {
  alignas(kCacheLine) const CmacKey* key[kCmacBatchMax];
  const uint8_t* datagram[kCmacBatchMax];
  uint32_t payload_length[kCmacBatchMax];
  CmacTag tag[kCmacBatchMax];

  void set(uint32_t i, const CmacKey* k, const void* d, uint32_t length) noexcept {
    key[i] = k;
    datagram[i] = static_cast<const uint8_t*>(d);
    payload_length[i] = length;
  }
};

enum class CmacPath : uint8_t {
  aesni,    // 8 lanes of 128 bits
  vaes512,  // 16 lanes, four to a 512-bit register, where there are more than 8 messages
  vaes256,  // 16 lanes, two to a 256-bit register, likewise
};
inline constexpr CmacPath kCmacPaths[] = {CmacPath::aesni, CmacPath::vaes512, CmacPath::vaes256};
const char* name_of(CmacPath path) noexcept;
bool supported(CmacPath path) noexcept;
CmacPath chosen_cmac_path() noexcept;  // by the CPU, once at start

// Sets the tags of the first `count`, which are at most kCmacBatchMax; what is behind them in the
// batch may be overwritten.
void cmac_lanes(CmacBatch& batch, uint32_t count) noexcept;
void cmac_lanes(CmacPath path, CmacBatch& batch, uint32_t count) noexcept;

// Whether each of the first `count` datagrams carries its tag, at byte 64. In constant time.
inline bool all_carried(const CmacBatch& batch, uint32_t count) noexcept {
  __m128i differing = _mm_setzero_si128();
#pragma GCC unroll 8
  for (uint32_t i = 0; i < count; ++i) {
    const auto* carried = reinterpret_cast<const __m128i*>(batch.datagram[i] + 64);
    const auto* right = reinterpret_cast<const __m128i*>(batch.tag[i].bytes);
    differing = _mm_or_si128(differing,
                             _mm_xor_si128(_mm_load_si128(right), _mm_loadu_si128(carried)));
  }
  return _mm_testz_si128(differing, differing) != 0;
}

// In constant time.
inline bool equal_tags(const CmacTag& a, const uint8_t b[16]) noexcept {
  uint64_t x[2], y[2];
  std::memcpy(x, a.bytes, sizeof(x));
  std::memcpy(y, b, sizeof(y));
  return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

}  // namespace lf::crypto
