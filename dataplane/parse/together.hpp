// SPDX-License-Identifier: Apache-2.0
// A part of a burst in which all is usual: commands to the place where the packet before went, and
// what usual.hpp says of them. Their metadata is written as if that were so, and whatever speaks
// against it, of any field of any frame, is gathered and looked at once for all of them. If there
// is something, nothing has been decided: the other ways write the metadata again. Replies to the
// same place may be among the commands. Of use to the parse stage alone.
#pragma once

#include <immintrin.h>
#include <rte_ip.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/core/burst.hpp"
#include "dataplane/core/metas.hpp"
#include "dataplane/parse/place.hpp"
#include "dataplane/parse/sums.hpp"
#include "dataplane/parse/table.hpp"
#include "dataplane/parse/usual.hpp"

namespace lf::parse {

inline constexpr size_t kTogether = 8;  // packets

// The vector that LCP's length is looked at in, and where in it: where neither of the two vectors
// of lengths_of() has something that counts.
inline constexpr uint32_t kLcpLengthAt = 22,
                          kThird = kUsualLcp + offsetof(lcp::Header, payload_length) - kLcpLengthAt;

// Constants of the loop. From a pointer of unknown origin, or GCC 12 makes them anew of numbers.
struct alignas(kVector) Constants {
  uint16_t bias[16], all[16], ip_header[16], datagram[16];  // Weights
  uint16_t before[16];
  int8_t order[32];
  RestOrders rest_orders = kRestOrders;
};
inline constexpr Constants kConstants{
    .bias = {0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000,
             0x8000, 0x8000, 0x8000, 0x8000, 0x8000},
    .all = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
    .ip_header = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
    .datagram = {0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1},
    // What IPv4's, UDP's and LCP's headers say less than the length of their frame, and where to.
    .before = {0, 0, 0, 0, 0, 0, 0, 0, kUsualIp, 0, kUsualUdp, kUsualMin},
    .order = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
              1,  0,  -1, -1, 5,  4,  7,  6,  -1, -1, -1, -1, -1, -1, -1, -1}};

// What is gathered of the fields: by OR, AND, or their greatest and least value.
struct Gathered {
  __m256i link = _mm256_setzero_si256();  // differences of the first vector
  __m256i most = _mm256_setzero_si256(), least = _mm256_set1_epi8(-1);  // of the second
  __m256i third = _mm256_setzero_si256();                               // differences
  __m128i unset_tags = _mm_setzero_si128();
  uint32_t ports = 0;      // differences of segments_and_port()
  uint32_t fragments = 0;  // IPv4's word for them, and what is behind it
  size_t lengths = 0;
  uint64_t ol_flags = ~uint64_t{0};  // what all have
};

// What a port says of a frame whose checksums are right, or left to a NIC by a sender behind a
// virtual port (RTE_MBUF_F_RX_IP_CKSUM_NONE has this bit, too).
inline constexpr uint64_t kSumsRight = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
static_assert((RTE_MBUF_F_RX_IP_CKSUM_NONE & RTE_MBUF_F_RX_IP_CKSUM_GOOD) != 0 &&
              (RTE_MBUF_F_RX_L4_CKSUM_NONE & RTE_MBUF_F_RX_L4_CKSUM_GOOD) != 0 &&
              ((RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_BAD) & kSumsRight) == 0);

// Whether nothing speaks against them. `other`: what others found, 0 if nothing.
LF_INLINE bool is_nothing_wrong(const Place& p, const Gathered& g, __m256i other) noexcept {
  constexpr uint32_t kFragment = lcp::be16(RTE_IPV4_HDR_OFFSET_MASK | RTE_IPV4_HDR_MF_FLAG);
  constexpr int kLcpLength = 0xffff;
  const __m256i third = _mm256_insert_epi16(_mm256_setzero_si256(), kLcpLength, kLcpLengthAt / 2);
  const __m256i high = load(p.highest), low = load(p.lowest);
  __m256i wrong = _mm256_or_si256(other, _mm256_zextsi128_si256(g.unset_tags));
  wrong = _mm256_or_si256(wrong, _mm256_and_si256(g.third, third));
  wrong = _mm256_or_si256(wrong, _mm256_and_si256(g.link, load(p.link_mask)));
  wrong = _mm256_or_si256(wrong, _mm256_xor_si256(_mm256_max_epu8(g.most, high), high));
  wrong = _mm256_or_si256(wrong, _mm256_xor_si256(_mm256_min_epu8(g.least, low), low));
  return _mm256_testz_si256(wrong, wrong) != 0 && (g.ports | (g.fragments & kFragment)) == 0;
}

// Source addresses of a part, each as a number of 64 bits.
struct Sources {
  alignas(kVector) uint64_t address[kTogether];
};
// Not 0 where one is loopback. `own`: bit 0 of any is set if one may be an own address.
LF_INLINE __m256i loopbacks(const Sources& sources, uint64_t own_filter, __m256i& own) noexcept {
  const __m256i filter = _mm256_set1_epi64x(static_cast<int64_t>(own_filter));
  __m256i loopback = _mm256_setzero_si256();
  own = _mm256_setzero_si256();
  for (size_t k = 0; k < kTogether; k += 4) {
    const __m256i four = load(&sources.address[k]);
    const __m256i bit =
        _mm256_and_si256(_mm256_srli_epi64(four, 24), _mm256_set1_epi64x(63));  // own_bit()
    const __m256i first = _mm256_and_si256(four, _mm256_set1_epi64x(0xff));
    own = _mm256_or_si256(own, _mm256_srlv_epi64(filter, bit));
    loopback = _mm256_or_si256(loopback, _mm256_cmpeq_epi64(first, _mm256_set1_epi64x(127)));
  }
  return loopback;
}

LF_INLINE void gather(const Constants& c, const Place& place, __m256i place_link,
                      const UsualFrame& f, __m256i lengths, Gathered& g) noexcept {
  const __m256i wanted = _mm256_shuffle_epi8(lengths, load(c.order));
  const __m256i link = _mm256_xor_si256(_mm256_xor_si256(load(f.data), place_link), wanted);
  const __m256i second = _mm256_xor_si256(load(f.data + kSecond), wanted);
  const __m256i third = _mm256_xor_si256(load(f.data + kThird), wanted);
  uint32_t fragment;
  std::memcpy(&fragment, &f.ip().fragment_offset, sizeof fragment);
  g.ports |= segments_and_port(f.mbuf) ^ place.segments_and_port;
  g.link = _mm256_or_si256(g.link, link);
  g.most = _mm256_max_epu8(g.most, second);
  g.least = _mm256_min_epu8(g.least, second);
  g.third = _mm256_or_si256(g.third, third);
  g.fragments |= fragment;
  const lcp::Header& h = f.lcp();
  if ((h.flags & lcp::kFlagTagged) == 0)
    g.unset_tags =
        _mm_or_si128(g.unset_tags, _mm_loadu_si128(reinterpret_cast<const __m128i*>(h.tag)));
}

// A plain command's metadata.
LF_INLINE void take_plain(const Table& t, const Place& p, const lcp::Header& h, const Rest& rest,
                          Meta& meta) noexcept {
  const __m128i order = _mm_setr_epi8(11, 10, 9, 8, 15, 14, 13, 12, 4, 5, 6, 7, -1, -1, -1, -1);
  const __m128i offsets = _mm_setr_epi32(0, 0, 0, kUsualOffsets);
  const __m128i head = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&h));
  const __m128i ids = _mm_or_si128(_mm_shuffle_epi8(head, order), offsets);
  const auto* of_place =
      reinterpret_cast<const __m128i*>(p.by_intent[t.intent_index[h.intent]].data());
  const __m256i both =
      _mm256_inserti128_si256(_mm256_castsi128_si256(ids), _mm_load_si128(of_place), 1);
  auto* to = reinterpret_cast<uint8_t*>(&meta);
  set_rest(rest, meta);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + kIds), both);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to + offsetof(Meta, deadline_us)), tail_of(h));
  meta.lcp = const_cast<lcp::Header*>(&h);
}

// What the sums of longer frames lack.
LF_INLINE void add_between(rte_mbuf* const* packets, __m256i* sums) noexcept {
  for (size_t k = 0; k < kTogether; ++k) {
    const UsualFrame f = usual_frame(packets[k]);
    sums[k] = _mm256_add_epi32(sums[k], sums_between({}, f.data, f.length));
  }
}

// wrong_ones(), but that frames without a UDP checksum have none that is wrong. Apart, as hardly any
// sender makes none.
LF_APART inline __m256i wrong_ones_made(rte_mbuf* const* packets, __m256i* sums) noexcept {
  for (size_t k = 0; k < kTogether; ++k)
    if (!has_udp_checksum(usual_frame(packets[k]).data)) sums[k] = without_udp(sums[k]);
  return wrong_ones(sums, kTogether);
}

// Whether the checksums of kTogether packets are right, as told by `sums`.
LF_INLINE bool sums_are_right(rte_mbuf* const* packets, __m256i* sums, size_t lengths) noexcept {
  if (has_between(static_cast<uint32_t>(lengths))) [[unlikely]]
    add_between(packets, sums);
  __m256i wrong = wrong_ones(sums, kTogether);
  if (!_mm256_testz_si256(wrong, wrong)) [[unlikely]]
    wrong = wrong_ones_made(packets, sums);
  return _mm256_testz_si256(wrong, wrong) != 0;
}

// kTogether packets from position `first` on, to a place that takes commands. False: something is
// different. `most`: of each byte of the second vector, its greatest. `ahead`: for what is asked for
// ahead of a packet. kPortKnows: the port says whether checksums are right; where it cannot tell of
// one of them, something is different.
template <bool kPortKnows, typename Ahead>
LF_INLINE bool parse_together(const Table& t, const Place& place, Burst& burst, size_t first,
                              __m256i& most, Ahead&& ahead) noexcept {
  const Constants* constants = &kConstants;
  asm("" : "+r"(constants));
  const Constants& c = *constants;
  const Weights weights{load(c.bias), load(c.all), load(c.ip_header), load(c.datagram)};
  const Rest rest;
  const __m256i link = load(place.link);
  rte_mbuf* const* const packets = burst.packets + first;
  Meta* meta = metas(burst) + first;
  Sources sources;
  __m256i sums[kTogether];
  Gathered g;
  for (size_t k = 0; k < kTogether; ++k) {
    ahead(packets + k);
    const UsualFrame f = usual_frame(packets[k]);
    size_t length = f.length;
    asm("" : "+r"(length));  // or GCC widens it at each use
    if (length < kUsualMin) [[unlikely]]
      return false;
    const __m256i lengths =
        _mm256_sub_epi16(_mm256_set1_epi16(static_cast<int16_t>(length)), load(c.before));
    if constexpr (kPortKnows) {
      g.ol_flags &= f.mbuf->ol_flags;
    } else {
      g.lengths |= length;
      sums[k] = sums_of_ends(weights, c.rest_orders, f.data, length);
    }
    sources.address[k] = f.ip().src_addr;
    gather(c, place, link, f, lengths, g);
    take_plain(t, place, f.lcp(), rest, *meta++);
  }
  if constexpr (kPortKnows) {
    if ((g.ol_flags & kSumsRight) != kSumsRight) [[unlikely]]
      return false;
  } else if (!sums_are_right(packets, sums, g.lengths)) [[unlikely]] {
    return false;
  }
  __m256i own;
  const __m256i loopback = loopbacks(sources, t.own_filter, own);
  most = g.most;
  return is_nothing_wrong(place, g, loopback) &&
         (_mm256_testz_si256(own, _mm256_set1_epi64x(1)) != 0 || !some_own(t, packets, kTogether));
}

}  // namespace lf::parse
