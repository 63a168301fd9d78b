// SPDX-License-Identifier: Apache-2.0
// What both ways through the parse stage share: general.cpp's and the short one of
// usual.hpp. Of no use elsewhere.
#pragma once

#include <immintrin.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include <bit>
#include <cstddef>
#include <cstring>

#include "dataplane/core/burst.hpp"
#include "dataplane/core/inline.hpp"
#include "dataplane/lcp/header.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/net/checksum.hpp"
#include "dataplane/net/offsets.hpp"
#include "dataplane/parse/table.hpp"

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

// What lies together in Meta and in the header, and is taken over together. First each of four
// fields turned around.
static_assert(offsetof(Meta, target_id) == offsetof(Meta, deadline_us) + 8 &&
              offsetof(Meta, payload_length) == offsetof(Meta, deadline_us) + 12 &&
              offsetof(Meta, key_id) == offsetof(Meta, deadline_us) + 14 &&
              offsetof(lcp::Header, target_id) == offsetof(lcp::Header, deadline_us) + 8 &&
              offsetof(lcp::Header, payload_length) == offsetof(lcp::Header, deadline_us) + 12 &&
              offsetof(lcp::Header, key_id) == offsetof(lcp::Header, deadline_us) + 14);
LF_INLINE __m128i tail_of(const lcp::Header& h) noexcept {
  const __m128i order = _mm_setr_epi8(7, 6, 5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 13, 12, 15, 14);
  return _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(&h.deadline_us)), order);
}

// Then 32 bytes of Meta from its ids on: of the header's first 16 both ids turned around, flags to
// attempt behind them, and the type, which is the kind's number.
inline constexpr size_t kIds = offsetof(Meta, org_id);
static_assert(offsetof(Meta, operator_id) == kIds + 4 && offsetof(Meta, flags) == kIds + 8 &&
              offsetof(Meta, attempt) == kIds + 11 && offsetof(Meta, l3_offset) == kIds + 12 &&
              offsetof(Meta, kind) == kIds + 20 && offsetof(Meta, authenticated) == kIds + 32);
static_assert(offsetof(lcp::Header, type) == 3 && offsetof(lcp::Header, flags) == 4 &&
              offsetof(lcp::Header, attempt) == 7 && offsetof(lcp::Header, org_id) == 8 &&
              offsetof(lcp::Header, operator_id) == 12);
template <lcp::Type kType, Kind kKind>
inline constexpr bool kSame = static_cast<uint8_t>(kType) == static_cast<uint8_t>(kKind);
static_assert(kSame<lcp::Type::command, Kind::command> && kSame<lcp::Type::reply, Kind::reply> &&
              kSame<lcp::Type::approval, Kind::approval> &&
              kSame<lcp::Type::report, Kind::report> && kSame<lcp::Type::probe, Kind::probe> &&
              kSame<lcp::Type::probe_reply, Kind::probe_reply>);

// What the stages read of an LCP header that has been checked. `ids`: the 32 bytes as they are
// without it, 0 where it has something; `tail`: tail_of().
LF_INLINE void take_lcp(const Table& t, const Endpoint& endpoint, const lcp::Header& h,
                        __m128i tail, __m256i ids, Meta& meta) noexcept {
  auto* to = reinterpret_cast<uint8_t*>(&meta);
  uint32_t intent = t.intent_index[h.intent];
  asm("" : "+r"(intent));  // or GCC 12 widens it at each use
  const __m256i order =
      _mm256_setr_epi8(11, 10, 9, 8, 15, 14, 13, 12, 4, 5, 6, 7, -1, -1, -1, -1, -1, -1, -1, -1, 3,
                       -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const __m256i head =
      _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(&h)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to + offsetof(Meta, deadline_us)), tail);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + kIds),
                      _mm256_or_si256(_mm256_shuffle_epi8(head, order), ids));
  meta.lcp = const_cast<lcp::Header*>(&h);
  meta.service = endpoint.service[intent];
  meta.intent_index = static_cast<IntentIndex>(intent);
  const auto replayable = static_cast<uint8_t>(t.replayable >> intent & 1);
  std::memcpy(&meta.replayable, &replayable, 1);  // a bool of it is stored, and then masked there
}

}  // namespace lf::parse
