// SPDX-License-Identifier: Apache-2.0
// AES-128-CMAC over many LCP datagrams at once. One CMAC is a chain of AES blocks, each waiting
// for the one before; interleaving datagrams keeps the AES units busy. Keys and lengths may differ
// from datagram to datagram. Called by the authenticate and answer stages on workers: no
// allocation, no branch on a key, a tag or a payload byte. Equal to lcp/tag.hpp, and tested so.
#pragma once

#include <cstdint>
#include <cstring>

#include "dataplane/crypto/cmac_key.hpp"

namespace lf::crypto {

// The message is the datagram's bytes 0..63 and then payload_length bytes from 80 on; the 16
// bytes between (the tag) must be readable and do not matter.
struct CmacJob {
  const CmacKey* key = nullptr;
  const uint8_t* datagram = nullptr;
  uint32_t payload_length = 0;
};

struct alignas(16) CmacTag {
  uint8_t bytes[16];
};

inline constexpr uint32_t kCmacJobsMax = 64;        // a burst
inline constexpr uint32_t kCmacPayloadMax = 65535;  // what payload_length can say

enum class CmacPath : uint8_t {
  aesni,    // 8 lanes of 128 bits
  vaes512,  // 16 lanes, four to a 512-bit register, where there are more than 8 messages
};
bool supported(CmacPath path) noexcept;
CmacPath chosen_cmac_path() noexcept;  // by the CPU, once at start

// tags[i] = CMAC of jobs[i]; count <= kCmacJobsMax.
void cmac_lanes(const CmacJob* jobs, uint32_t count, CmacTag* tags) noexcept;
void cmac_lanes(CmacPath path, const CmacJob* jobs, uint32_t count, CmacTag* tags) noexcept;

// In constant time.
inline bool equal_tags(const CmacTag& a, const uint8_t b[16]) noexcept {
  uint64_t x[2], y[2];
  std::memcpy(x, a.bytes, sizeof(x));
  std::memcpy(y, b, sizeof(y));
  return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

}  // namespace lf::crypto
