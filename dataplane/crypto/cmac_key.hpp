// SPDX-License-Identifier: Apache-2.0
// An AES-128-CMAC key, expanded once by the control side so that workers only load round keys.
// Lives in the authenticate Table. Four cache lines: a worker prefetches all of them.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/core/types.hpp"

namespace lf::crypto {

struct alignas(kCacheLine) CmacKey {
  // Round keys; kBetween is the last and the first in one: a block ends with one and the next begins
  // with the other, and both are only added.
  static constexpr uint32_t kFinal = 10, kBetween = 11, kRows = 12;

  uint8_t round[kRows][16] = {};
  uint8_t subkey[2][16] = {};  // RFC 4493's K1 (whole last block) and K2 (padded last block)
};
static_assert(sizeof(CmacKey) == 4 * kCacheLine);

CmacKey expand_cmac_key(const std::array<uint8_t, 16>& key) noexcept;

// What a CmacKey is made from, in one cache line: for a table of so many keys that three more lines
// cost more than to expand a key where it is used.
struct alignas(kCacheLine) PackedCmacKey {
  uint8_t key[16] = {};
  uint8_t subkey[2][16] = {};
};
static_assert(sizeof(PackedCmacKey) == kCacheLine);

PackedCmacKey pack(const CmacKey& key) noexcept;

}  // namespace lf::crypto
