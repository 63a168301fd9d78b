// SPDX-License-Identifier: Apache-2.0
// What both ways through the parse stage share: parse.cpp's general one and the short one of
// usual.hpp. Of no use elsewhere.
#pragma once

#include <immintrin.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include <bit>
#include <cstddef>
#include <cstring>

#include "dataplane/core/burst.hpp"
#include "dataplane/lcp/header.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/net/checksum.hpp"
#include "dataplane/net/offsets.hpp"
#include "dataplane/parse/table.hpp"

// The way of a datagram for us is one function, so that what it knows stays in registers.
#define LF_INLINE [[gnu::always_inline]] inline

namespace lf::parse {

// Whether the port's word on a checksum counts, and if so, what it is. NONE: the sender of a
// virtual port left the sum to its NIC, the data itself is intact.
template <uint64_t kMask, uint64_t kUnknown, uint64_t kBad>
bool port_knows(bool trusted, uint64_t ol_flags, bool& bad) noexcept {
  const uint64_t seen = ol_flags & kMask;
  bad = seen == kBad;
  return trusted && seen != kUnknown;
}

LF_INLINE bool bad_ipv4_checksum(const net::Port& port, const rte_mbuf* m,
                                 const rte_ipv4_hdr& ip) noexcept {
  bool bad;
  if (port_knows<RTE_MBUF_F_RX_IP_CKSUM_MASK, RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN,
                 RTE_MBUF_F_RX_IP_CKSUM_BAD>(port.rx_ip_checksum, m->ol_flags, bad))
    return bad;
  return !net::is_right(net::ipv4_header_sum(&ip));
}

// Of a datagram with a checksum. `sum`: () -> its sum, pseudo-header included.
template <typename Sum>
LF_INLINE bool bad_udp_sum(const net::Port& port, const rte_mbuf* m, Sum&& sum) noexcept {
  bool bad;
  if (port_knows<RTE_MBUF_F_RX_L4_CKSUM_MASK, RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN,
                 RTE_MBUF_F_RX_L4_CKSUM_BAD>(port.rx_udp_checksum, m->ol_flags, bad))
    return bad;
  return !net::is_right(sum());
}

LF_INLINE bool bad_ipv4_source(const Table& t, uint32_t source) noexcept {
  return !net::is_ipv4_source(source) || find_own(t, net::from_ipv4(source)) != nullptr;
}

// What lies together in Meta and in the header, and is taken over together.
static_assert(offsetof(Meta, attempt) == offsetof(Meta, flags) + 3 &&
              offsetof(lcp::Header, attempt) == offsetof(lcp::Header, flags) + 3);
static_assert(offsetof(Meta, operator_id) == offsetof(Meta, org_id) + 4 &&
              offsetof(lcp::Header, operator_id) == offsetof(lcp::Header, org_id) + 4);
static_assert(offsetof(Meta, target_id) == offsetof(Meta, deadline_us) + 8 &&
              offsetof(Meta, payload_length) == offsetof(Meta, deadline_us) + 12 &&
              offsetof(Meta, key_id) == offsetof(Meta, deadline_us) + 14 &&
              offsetof(lcp::Header, target_id) == offsetof(lcp::Header, deadline_us) + 8 &&
              offsetof(lcp::Header, payload_length) == offsetof(lcp::Header, deadline_us) + 12 &&
              offsetof(lcp::Header, key_id) == offsetof(lcp::Header, deadline_us) + 14);

static_assert(offsetof(Meta, flags) == offsetof(Meta, org_id) + 8 &&
              offsetof(Meta, l3_offset) == offsetof(Meta, org_id) + 12 &&
              offsetof(lcp::Header, org_id) == offsetof(lcp::Header, flags) + 4);

// What the stages read of an LCP header that has been checked. `offsets`: as net::offsets_of().
LF_INLINE void take_lcp(const Table& t, const Endpoint& endpoint, const lcp::Header& h, Kind kind,
                        uint32_t offsets, Meta& meta) noexcept {
  const auto* from = reinterpret_cast<const uint8_t*>(&h);
  auto* to = reinterpret_cast<uint8_t*>(&meta);
  const IntentIndex intent = t.intent_index[h.intent];
  // Each of the four fields turned around.
  const __m128i order = _mm_setr_epi8(7, 6, 5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 13, 12, 15, 14);
  const __m128i tail =
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + offsetof(lcp::Header, deadline_us)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to + offsetof(Meta, deadline_us)),
                   _mm_shuffle_epi8(tail, order));
  // Both ids turned around, flags to attempt behind them, and room for the offsets.
  const __m128i ids = _mm_setr_epi8(7, 6, 5, 4, 11, 10, 9, 8, 0, 1, 2, 3, -1, -1, -1, -1);
  const __m128i head =
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + offsetof(lcp::Header, flags)));
  const __m128i places = _mm_setr_epi32(0, 0, 0, static_cast<int>(offsets));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to + offsetof(Meta, org_id)),
                   _mm_or_si128(_mm_shuffle_epi8(head, ids), places));
  meta.lcp = const_cast<lcp::Header*>(&h);
  meta.service = endpoint.service[intent];
  meta.kind = kind;
  meta.intent_index = intent;
  meta.replayable = (t.replayable & 1u << intent) != 0;
}

}  // namespace lf::parse
