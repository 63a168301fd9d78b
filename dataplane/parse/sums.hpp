// SPDX-License-Identifier: Apache-2.0
// The two checksums of usual commands and replies, IPv4's and UDP's, for a part of a burst at a
// time: each frame leaves a vector of partial sums, and four frames are added up and compared at
// once. Nearly all sums are right, so nobody asks whose was wrong: the part is parsed again then.
// IPv6 has none of its own: frames of it leave one that is right. Offsets are those of frames
// without a tag (net/offsets.hpp). Of use to the parse stage alone.
#pragma once

#include <immintrin.h>
#include <netinet/in.h>
#include <rte_udp.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "dataplane/net/offsets.hpp"
#include "dataplane/parse/checks.hpp"

namespace lf::parse {

inline __m256i load(const void* bytes) noexcept {
  return _mm256_loadu_si256(static_cast<const __m256i*>(bytes));
}

// Where the vectors of a frame begin that its sums are made of: IPv4's header and what is behind
// it, or IPv6's addresses and what is behind them. The last one ends with the packet and begins
// with bytes that the one before has counted; they are left out.
template <uint8_t kIpVersion>
struct Sums {
  static constexpr uint32_t kFrom =
      kIpVersion == 4 ? net::Usual<4>::kIp : net::Usual<6>::kIp + offsetof(rte_ipv6_hdr, src_addr);
  static constexpr uint32_t kSecond = kFrom + 32, kThird = kFrom + 64, kRest = kFrom + 96;
  static_assert(kRest % 2 == 0 && kRest <= net::Usual<kIpVersion>::kLcp + sizeof(lcp::Header));
};

// By the length of a frame of IPv4 modulo 32: where the bytes of that last vector go to, of which 1
// to 32 count. Where the length is odd the vector begins with a second half of a word, so both
// bytes of each of its words change places: which first half a second one is added to makes no
// difference.
alignas(64) static constexpr auto kRestOrders = [] {
  std::array<std::array<uint8_t, 32>, 32> orders{};
  for (size_t length = 0; length < 32; ++length) {
    const size_t count = (length + 32 * Sums<4>::kRest - Sums<4>::kRest - 1) % 32 + 1;
    for (size_t k = 0; k < 32; ++k) {
      const size_t from = k ^ (length % 2);
      orders[length][k] = static_cast<uint8_t>(from >= 32 - count ? from % 16 : 0x80);
    }
  }
  return orders;
}();

using RestOrders = std::remove_const_t<decltype(kRestOrders)>;
template <uint8_t kIpVersion>
LF_INLINE __m256i last_words(const RestOrders& orders, const uint8_t* frame,
                             size_t length) noexcept {
  const size_t as_ipv4 = length + Sums<4>::kRest - Sums<kIpVersion>::kRest;
  return _mm256_shuffle_epi8(load(frame + length - 32), load(orders[as_ipv4 % 32].data()));
}

// A constant for a register of a loop: left to itself, GCC makes it anew in every turn.
LF_INLINE __m256i kept(__m256i constant) noexcept {
  asm("" : "+x"(constant));
  return constant;
}

// What the words of a frame are made sums with.
struct Weights {
  const __m256i bias = kept(_mm256_set1_epi16(-0x8000));
  const __m256i all = kept(_mm256_set1_epi16(1));
  const __m256i ip_header = kept(_mm256_setr_epi16(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0));
  // From the addresses on; the length counts for the pseudo-header too.
  const __m256i datagram = kept(_mm256_setr_epi16(0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1));
  // The same of IPv6's second vector, which begins with UDP's header.
  const __m256i datagram6 = kept(_mm256_setr_epi16(1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1));
};

LF_INLINE __m256i weigh(const Weights& w, __m256i words, __m256i weights) noexcept {
  return _mm256_madd_epi16(_mm256_xor_si256(words, w.bias), weights);
}
LF_INLINE __m256i sum_words(const Weights& w, __m256i words) noexcept {
  return weigh(w, words, w.all);
}

// What the signed words lack: IPv4's ten; UDP's ten, the length once more, and three vectors. And
// the pseudo-header's protocol.
inline constexpr int kIpv4Missing = 10 * 0x8000,
                     kUdpMissing = (10 + 1 + 3 * 16) * 0x8000 + (IPPROTO_UDP << 8);
// Over IPv6 UDP's are sixteen.
inline constexpr int kIpv6More = 6 * 0x8000;

// The partial sums of a frame: in each half of the vector two of IPv4, then two of UDP. `length`:
// of the frame, which ends with the packet; at least that of an LCP header in it. What is between
// the third vector and the last is not in them. Products of signed words are added in pairs, so
// words are turned into signed ones first: each is taken for 0x8000 less, which the total makes
// good (wrong_ones()).
template <uint8_t kIpVersion>
LF_INLINE __m256i sums_of_ends(const Weights& w, const RestOrders& orders, const uint8_t* frame,
                               size_t length) noexcept {
  using At = Sums<kIpVersion>;
  __m256i ip, udp;
  if constexpr (kIpVersion == 4) {
    const __m256i first = _mm256_xor_si256(load(frame + At::kFrom), w.bias);
    ip = _mm256_madd_epi16(first, w.ip_header);
    udp = _mm256_madd_epi16(first, w.datagram);
    udp = _mm256_add_epi32(udp, sum_words(w, load(frame + At::kSecond)));
  } else {
    ip = _mm256_setr_epi32(0xffff - kIpv4Missing, 0, 0, 0, 0, 0, 0, 0);
    udp = _mm256_setr_epi32(kIpv6More, 0, 0, 0, 0, 0, 0, 0);
    udp = _mm256_add_epi32(udp, sum_words(w, load(frame + At::kFrom)));
    udp = _mm256_add_epi32(udp, weigh(w, load(frame + At::kSecond), w.datagram6));
  }
  udp = _mm256_add_epi32(udp, sum_words(w, load(frame + At::kThird)));
  udp = _mm256_add_epi32(udp, sum_words(w, last_words<kIpVersion>(orders, frame, length)));
  return _mm256_hadd_epi32(ip, udp);
}

// What sums_of_ends() leaves out; of a frame that has nothing there, 0. In two sums, as each
// addition waits for the one before.
template <uint8_t kIpVersion>
LF_INLINE __m256i sums_between(const Weights& w, const uint8_t* frame, uint32_t length) noexcept {
  constexpr uint32_t kRest = Sums<kIpVersion>::kRest;
  const uint32_t vectors = (length - kRest - 1) / 32;
  // Nothing is left for the total to make good.
  __m256i even = _mm256_set1_epi32(static_cast<int>(vectors * 0x10000)),
          odd = _mm256_setzero_si256();
  const uint8_t* at = frame + kRest;
  for (uint32_t pairs = vectors / 2; pairs != 0; --pairs, at += 64) {
    even = _mm256_add_epi32(even, sum_words(w, load(at)));
    odd = _mm256_add_epi32(odd, sum_words(w, load(at + 32)));
  }
  if (vectors % 2 != 0) even = _mm256_add_epi32(even, sum_words(w, load(at)));
  return _mm256_hadd_epi32(_mm256_setzero_si256(), _mm256_add_epi32(even, odd));
}

template <uint8_t kIpVersion>
LF_INLINE bool has_between(uint32_t length) noexcept {
  return length > Sums<kIpVersion>::kRest + 32;
}

// The sums of a frame whose sender made no UDP checksum, which over IPv4 is right: those of UDP as
// if it were.
template <uint8_t kIpVersion>
LF_INLINE bool has_udp_checksum(const uint8_t* frame) noexcept {
  rte_be16_t checksum;
  std::memcpy(&checksum, frame + net::Usual<kIpVersion>::kUdp + offsetof(rte_udp_hdr, dgram_cksum),
              sizeof checksum);
  return checksum != 0;
}
LF_INLINE __m256i without_udp(__m256i sums) noexcept {
  const __m256i right = _mm256_setr_epi32(0, 0, 0xffff - kUdpMissing, 0, 0, 0, 0, 0);
  return _mm256_blend_epi32(sums, right, 0b1100'1100);
}

// Of a frame that has a UDP checksum if it is of IPv6.
template <uint8_t kIpVersion>
LF_INLINE __m256i sums_of(const Weights& w, const uint8_t* frame, uint32_t length) noexcept {
  __m256i sums = sums_of_ends<kIpVersion>(w, kRestOrders, frame, length);
  if (has_between<kIpVersion>(length)) [[unlikely]]
    sums = _mm256_add_epi32(sums, sums_between<kIpVersion>(w, frame, length));
  return kIpVersion == 6 || has_udp_checksum<4>(frame) ? sums : without_udp(sums);
}

// Not 0 where one of those of `count` frames is wrong. Writes up to three more behind them.
LF_INLINE __m256i wrong_ones(__m256i* sums, size_t count) noexcept {
  constexpr int kIpv4 = kIpv4Missing, kUdp = kUdpMissing;
  const __m256i missing = _mm256_setr_epi32(kIpv4, kUdp, kIpv4, kUdp, kIpv4, kUdp, kIpv4, kUdp);
  const __m256i right = _mm256_set1_epi32(0xffff);
  for (size_t k = count; k % 4 != 0; ++k) sums[k] = sums[0];
  __m256i wrong = _mm256_setzero_si256();
  for (size_t k = 0; k < count; k += 4) {
    const __m256i a = _mm256_hadd_epi32(sums[k], sums[k + 1]);
    const __m256i b = _mm256_hadd_epi32(sums[k + 2], sums[k + 3]);
    __m256i sum = _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                                   _mm256_permute2x128_si256(a, b, 0x31));
    sum = _mm256_add_epi32(sum, missing);
    // Folded once: not 0, and below 2 * 0xffff, so right ones are 0xffff.
    const __m256i folded =
        _mm256_add_epi32(_mm256_and_si256(sum, right), _mm256_srli_epi32(sum, 16));
    wrong = _mm256_or_si256(wrong, _mm256_xor_si256(folded, right));
  }
  return wrong;
}

}  // namespace lf::parse
