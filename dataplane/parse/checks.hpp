// SPDX-License-Identifier: Apache-2.0
// What both ways through the parse stage share: parse.cpp's general one and the short one of
// usual.hpp. Of no use elsewhere.
#pragma once

#include <rte_mbuf.h>

#include <cstddef>
#include <cstring>

#include "dataplane/core/burst.hpp"
#include "dataplane/lcp/header.hpp"

namespace lf::parse {

// Whether the port's word on a checksum counts, and if so, what it is. NONE: the sender of a
// virtual port left the sum to its NIC, the data itself is intact.
template <uint64_t kMask, uint64_t kUnknown, uint64_t kBad>
bool port_knows(bool trusted, uint64_t ol_flags, bool& bad) noexcept {
  const uint64_t seen = ol_flags & kMask;
  bad = seen == kBad;
  return trusted && seen != kUnknown;
}

// flags, intent, severity and attempt lie together in both.
static_assert(offsetof(Meta, attempt) == offsetof(Meta, flags) + 3 &&
              offsetof(lcp::Header, attempt) == offsetof(lcp::Header, flags) + 3);

inline void copy_small_fields(Meta& meta, const lcp::Header& h) noexcept {
  std::memcpy(reinterpret_cast<uint8_t*>(&meta) + offsetof(Meta, flags),
              reinterpret_cast<const uint8_t*>(&h) + offsetof(lcp::Header, flags), 4);
}

}  // namespace lf::parse
