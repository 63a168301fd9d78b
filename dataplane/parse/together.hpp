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
#include <vector>

#include "dataplane/core/burst.hpp"
#include "dataplane/core/metas.hpp"
#include "dataplane/parse/frame.hpp"
#include "dataplane/parse/place.hpp"
#include "dataplane/parse/sums.hpp"
#include "dataplane/parse/table.hpp"
#include "dataplane/parse/usual.hpp"

namespace lf::parse {

inline constexpr size_t kTogether = 8;  // packets

// Constants of the loop. From a pointer of unknown origin, or GCC 12 makes them anew of numbers.
template <uint8_t kIpVersion>
struct alignas(kVector) Constants {
  uint16_t bias[16], all[16], ip_header[16], datagram[16], datagram6[16];  // Weights
  LengthsAt<kIpVersion> lengths_at;
  RestOrders rest_orders = kRestOrders;
};
template <uint8_t kIpVersion>
inline constexpr Constants<kIpVersion> kConstants{
    .bias = {0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000,
             0x8000, 0x8000, 0x8000, 0x8000, 0x8000},
    .all = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
    .ip_header = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
    .datagram = {0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1},
    .datagram6 = {1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};

// What is gathered of the fields: by OR, AND, or their greatest and least value.
struct Gathered {
  struct Range {
    __m256i most = _mm256_setzero_si256(), least = _mm256_set1_epi8(-1);

    LF_INLINE void add(__m256i bytes) noexcept {
      most = _mm256_max_epu8(most, bytes);
      least = _mm256_min_epu8(least, bytes);
    }
    LF_INLINE __m256i outside(const Bounds& bounds) const noexcept {
      const __m256i high = load(bounds.high), low = load(bounds.low);
      return _mm256_or_si256(_mm256_xor_si256(_mm256_max_epu8(most, high), high),
                             _mm256_xor_si256(_mm256_min_epu8(least, low), low));
    }
  };
  Range first, second;
  // Differences: of the third vector, and of IPv4's first, of which each byte is one or any.
  __m256i third = _mm256_setzero_si256(), link = _mm256_setzero_si256();
  __m128i unset_tags = _mm_setzero_si128();
  uint32_t starts = 0;     // differences of segments_and_port(), and of tagged frames' first bytes
  uint32_t fragments = 0;  // IPv4's word for them, and what is behind it
  __m256i checksums = _mm256_set1_epi8(-1);  // the second vector's least words, of IPv6
  size_t lengths = 0;
  uint64_t ol_flags = ~uint64_t{0};  // what all have
};

// What a port says of a frame whose checksums are right, or left to a NIC by a sender behind a
// virtual port (RTE_MBUF_F_RX_IP_CKSUM_NONE has this bit, too). IPv6 has none of its own.
template <uint8_t kIpVersion>
inline constexpr uint64_t kSumsRight = RTE_MBUF_F_RX_L4_CKSUM_GOOD |
                                       (kIpVersion == 4 ? RTE_MBUF_F_RX_IP_CKSUM_GOOD : 0);
static_assert((RTE_MBUF_F_RX_IP_CKSUM_NONE & RTE_MBUF_F_RX_IP_CKSUM_GOOD) != 0 &&
              (RTE_MBUF_F_RX_L4_CKSUM_NONE & RTE_MBUF_F_RX_L4_CKSUM_GOOD) != 0 &&
              ((RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_BAD) & kSumsRight<4>) == 0);

// Whether nothing speaks against them. `other`: what others found, 0 if nothing.
template <uint8_t kIpVersion>
LF_INLINE bool is_nothing_wrong(const Place& p, const Gathered& g, __m256i other) noexcept {
  using At = LengthsAt<kIpVersion>;
  constexpr int kWord = 0xffff;
  const __m256i third = _mm256_insert_epi16(_mm256_setzero_si256(), kWord, At::kLcpLength / 2);
  __m256i wrong = _mm256_or_si256(other, _mm256_zextsi128_si256(g.unset_tags));
  wrong = _mm256_or_si256(wrong, _mm256_and_si256(g.third, third));
  if constexpr (kIpVersion == 4) {
    const __m256i counts = _mm256_cmpeq_epi8(load(p.first.low), load(p.first.high));
    wrong = _mm256_or_si256(wrong, _mm256_and_si256(g.link, counts));
  } else {
    wrong = _mm256_or_si256(wrong, g.first.outside(p.first));
  }
  wrong = _mm256_or_si256(wrong, g.second.outside(p.second));
  if constexpr (kIpVersion == 6) {
    constexpr int kChecksum =
        (At::At::kUdp + offsetof(rte_udp_hdr, dgram_cksum) - At::Frame::kSecond) / 2;
    if (_mm256_extract_epi16(g.checksums, kChecksum) == 0) return false;
  }
  return _mm256_testz_si256(wrong, wrong) != 0 && (g.starts | (g.fragments & kAnyFragment)) == 0;
}

// The source addresses of a part, told_by().
struct Sources {
  alignas(kVector) uint64_t address[kTogether];
};

// Not 0 where one may be an own address. `filter`: bit 0 of any, likewise; the few own addresses
// are compared with, of many it is asked.
template <uint8_t kIpVersion>
LF_INLINE __m256i own_ones(const Table& t, __m256i first, __m256i last, __m256i& filter) noexcept {
  const std::vector<uint64_t>& few = kIpVersion == 4 ? t.few_own_ipv4 : t.few_own_ipv6;
  __m256i own = _mm256_setzero_si256();
  filter = _mm256_setzero_si256();
  for (const uint64_t address : few) {
    const __m256i all = _mm256_set1_epi64x(static_cast<int64_t>(address));
    own = _mm256_or_si256(
        own, _mm256_or_si256(_mm256_cmpeq_epi64(first, all), _mm256_cmpeq_epi64(last, all)));
  }
  if (few.empty()) [[unlikely]] {  // or there are none
    const __m256i bits = _mm256_set1_epi64x(static_cast<int64_t>(t.own_filter));
    for (const __m256i four : {first, last}) {
      const __m256i bit = _mm256_and_si256(_mm256_srli_epi64(four, kIpVersion == 4 ? 24 : 56),
                                           _mm256_set1_epi64x(63));  // own_bit()
      filter = _mm256_or_si256(filter, _mm256_srlv_epi64(bits, bit));
    }
  }
  return own;
}

// Not 0 where one is IPv4's loopback.
LF_INLINE __m256i loopbacks(__m256i first, __m256i last) noexcept {
  const __m256i byte = _mm256_set1_epi64x(0xff), loopback = _mm256_set1_epi64x(127);
  return _mm256_or_si256(_mm256_cmpeq_epi64(_mm256_and_si256(first, byte), loopback),
                         _mm256_cmpeq_epi64(_mm256_and_si256(last, byte), loopback));
}

template <net::Layout kLayout>
LF_INLINE void gather(const LengthsAt<kLayout.ip_version>& at, const Place& place,
                      const UsualFrame<kLayout.ip_version>& f, __m256i lengths,
                      Gathered& g) noexcept {
  constexpr bool kIsV4 = kLayout.ip_version == 4;
  const __m256i wanted = _mm256_shuffle_epi8(lengths, load(at.second));
  if constexpr (kIsV4) {
    const __m256i link = _mm256_xor_si256(load(f.data), load(place.first.low));
    g.link = _mm256_or_si256(g.link, _mm256_xor_si256(link, wanted));
  } else {
    g.first.add(_mm256_xor_si256(load(f.data), _mm256_shuffle_epi8(lengths, load(at.first))));
  }
  g.second.add(_mm256_xor_si256(load(f.data + f.kSecond), wanted));
  g.third = _mm256_or_si256(g.third, _mm256_xor_si256(load(f.data + at.kThird), wanted));
  g.starts |= segments_and_port(f.mbuf) ^ place.segments_and_port;
  if constexpr (kLayout.tagged) g.starts |= first_bytes(f.mbuf) ^ place.mac_start;
  if constexpr (kIsV4) {
    uint32_t fragment;
    std::memcpy(&fragment, &f.ip().fragment_offset, sizeof fragment);
    g.fragments |= fragment;
  } else {
    g.checksums = _mm256_min_epu16(g.checksums, load(f.data + f.kSecond));
  }
  const lcp::Header& h = f.lcp();
  if ((h.flags & lcp::kFlagTagged) == 0)
    g.unset_tags =
        _mm_or_si128(g.unset_tags, _mm_loadu_si128(reinterpret_cast<const __m128i*>(h.tag)));
}

// A plain command's metadata.
template <net::Layout kLayout>
LF_INLINE void take_plain(const Table& t, const Place& p, const lcp::Header& h, const Rest& rest,
                          Meta& meta) noexcept {
  const __m128i order = _mm_setr_epi8(11, 10, 9, 8, 15, 14, 13, 12, 4, 5, 6, 7, -1, -1, -1, -1);
  const __m128i offsets = _mm_setr_epi32(0, 0, 0, kLayout.offsets());
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
template <net::Layout kLayout>
LF_INLINE void add_between(rte_mbuf* const* packets, __m256i* sums) noexcept {
  for (size_t k = 0; k < kTogether; ++k) {
    const auto f = usual_frame<kLayout.ip_version>(packets[k], kLayout.start());
    sums[k] = _mm256_add_epi32(sums[k], sums_between<kLayout.ip_version>({}, f.data, f.length));
  }
}

// wrong_ones(), but that frames without a UDP checksum have none that is wrong. Apart, as hardly
// any sender makes none.
template <net::Layout kLayout>
LF_APART __m256i wrong_ones_made(rte_mbuf* const* packets, __m256i* sums) noexcept {
  for (size_t k = 0; k < kTogether; ++k)
    if (!has_udp_checksum<4>(usual_frame<4>(packets[k], kLayout.start()).data))
      sums[k] = without_udp(sums[k]);
  return wrong_ones(sums, kTogether);
}

// Whether the checksums of kTogether packets are right, as told by `sums`.
template <net::Layout kLayout>
LF_INLINE bool sums_are_right(rte_mbuf* const* packets, __m256i* sums, size_t lengths) noexcept {
  if (has_between<kLayout.ip_version>(static_cast<uint32_t>(lengths))) [[unlikely]]
    add_between<kLayout>(packets, sums);
  __m256i wrong = wrong_ones(sums, kTogether);
  if (kLayout.ip_version == 4 && !_mm256_testz_si256(wrong, wrong)) [[unlikely]]
    wrong = wrong_ones_made<kLayout>(packets, sums);
  return _mm256_testz_si256(wrong, wrong) != 0;
}

// kTogether packets from position `first` on, to a place of the layout that takes commands. False:
// something is different. `most`: of each byte of the second vector, its greatest. `ahead`: for
// what is asked for ahead of a packet. kPortKnows: the port says whether checksums are right; where
// it cannot tell of one of them, something is different.
template <net::Layout kLayout, bool kPortKnows, typename Ahead>
LF_INLINE bool parse_together(const Table& t, const Place& place, Burst& burst, size_t first,
                              __m256i& most, Ahead&& ahead) noexcept {
  constexpr uint8_t kIpVersion = kLayout.ip_version;
  const Constants<kIpVersion>* constants = &kConstants<kIpVersion>;
  asm("" : "+r"(constants));
  const Constants<kIpVersion>& c = *constants;
  const Weights weights{load(c.bias), load(c.all), load(c.ip_header), load(c.datagram),
                        load(c.datagram6)};
  const Rest rest;
  rte_mbuf* const* const packets = burst.packets + first;
  Meta* meta = metas(burst) + first;
  Sources sources;
  __m256i sums[kTogether];
  Gathered g;
  for (size_t k = 0; k < kTogether; ++k) {
    ahead(packets + k);
    const auto f = usual_frame<kIpVersion>(packets[k], kLayout.start());
    size_t length = f.mbuf->data_len;
    if (length < kLayout.start() + f.kMin) [[unlikely]]
      return false;
    length -= kLayout.start();
    asm("" : "+r"(length));  // or GCC widens it at each use
    const __m256i lengths = _mm256_sub_epi16(_mm256_set1_epi16(static_cast<int16_t>(length)),
                                             load(c.lengths_at.before));
    if constexpr (kPortKnows) {
      g.ol_flags &= f.mbuf->ol_flags;
    } else {
      g.lengths |= length;
      sums[k] = sums_of_ends<kIpVersion>(weights, c.rest_orders, f.data, length);
    }
    sources.address[k] = told_by(f.source(), kIpVersion);
    gather<kLayout>(c.lengths_at, place, f, lengths, g);
    take_plain<kLayout>(t, place, f.lcp(), rest, *meta++);
  }
  if constexpr (kPortKnows) {
    if ((~g.ol_flags & kSumsRight<kIpVersion>) != 0) [[unlikely]]
      return false;
  } else if (!sums_are_right<kLayout>(packets, sums, g.lengths)) [[unlikely]] {
    return false;
  }
  const __m256i first_four = load(&sources.address[0]), last_four = load(&sources.address[4]);
  __m256i filter;
  __m256i sources_wrong = own_ones<kIpVersion>(t, first_four, last_four, filter);
  if constexpr (kIpVersion == 4)
    sources_wrong = _mm256_or_si256(sources_wrong, loopbacks(first_four, last_four));
  most = g.second.most;
  return is_nothing_wrong<kIpVersion>(place, g, sources_wrong) &&
         (_mm256_testz_si256(filter, _mm256_set1_epi64x(1)) != 0 ||
          !some_own(t, packets, kTogether, kLayout));
}

}  // namespace lf::parse
