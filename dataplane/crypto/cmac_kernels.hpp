// SPDX-License-Identifier: Apache-2.0
// The CMAC kernel by instruction set. A function may use an instruction set only when it is marked
// with it by name, which no template argument can do: so the kernel's text is included once for
// each. Private to dataplane/crypto.
#pragma once

#include "dataplane/crypto/cmac_lanes.hpp"
#include "dataplane/crypto/cmac_vectors.hpp"

namespace lf::crypto {

// The messages of a kernel's lanes: keys, and where their bytes are.
struct Lanes {
  const CmacKey* const* key;
  const uint8_t* const* from;
};

inline constexpr uint32_t kHeaderBlocks = 4;
inline constexpr uint32_t kPayloadOffset = 80;  // in the datagram

// GCC 12 takes its own _mm512_undefined_epi32() for a mistake (PR 105593).
#pragma GCC diagnostic push
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#pragma GCC diagnostic ignored "-Wuninitialized"

// Eight states and eight key pointers just fill the registers.
#define LF_KERNEL AesniKernel
#define LF_KERNEL_LANES 8
#define LF_KERNEL_VECTOR AesniVector
#define LF_KERNEL_TARGET LF_AESNI_TARGET
#include "dataplane/crypto/cmac_kernel.inc"

#define LF_KERNEL Vaes256Kernel
#define LF_KERNEL_LANES 16
#define LF_KERNEL_VECTOR Vaes256Vector
#define LF_KERNEL_TARGET LF_VAES256_TARGET
#include "dataplane/crypto/cmac_kernel.inc"

#define LF_KERNEL Vaes512Kernel
#define LF_KERNEL_LANES 16
#define LF_KERNEL_VECTOR Vaes512Vector
#define LF_KERNEL_TARGET LF_VAES512_TARGET
#include "dataplane/crypto/cmac_kernel.inc"

#pragma GCC diagnostic pop

}  // namespace lf::crypto
