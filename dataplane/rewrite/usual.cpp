// SPDX-License-Identifier: Apache-2.0
#include "dataplane/rewrite/usual.hpp"

#include <immintrin.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <cstddef>
#include <cstring>

#include "dataplane/core/inline.hpp"
#include "dataplane/core/metas.hpp"

namespace lf::rewrite {
namespace {

using forward::Image;

__m128i load128(const uint8_t* at) noexcept {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}
__m256i load256(const uint8_t* at) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
}

// Checksums of four sums, each of two halves, folded as net::fold() does it: the upper halves.
LF_INLINE __m256i folded(__m256i sums, __m256i complement) noexcept {
  const __m256i turn = _mm256_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13, 2, 3,
                                        0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  return _mm256_xor_si256(_mm256_add_epi32(sums, _mm256_shuffle_epi8(sums, turn)), complement);
}

// A command on its way: with its frame as it was, and all that checksums need.
template <uint8_t kIpVersion>
struct Sent;

template <>
struct Sent<4> {
  // Constants of the loop.
  struct Constants {
    // Of each word of the frames' vectors, as forward::Image wants it.
    const __m256i bias = _mm256_set1_epi16(-0x8000);
    const __m256i weights = _mm256_setr_epi16(0, 0, 0, -1, -1, -1, -1, -1, 1, 1, 1, 1, 1, 1, 0, 1);
    const __m256i complement =
        _mm256_setr_epi32(-0x10000, -0x10000, -0x10000, -0x10000, 0, 0, 0, 0);
    const __m256i hop = _mm256_setr_epi32(0, 0, 0, 0xff, 0, 0, 0, 0);  // one less
  };

  uint8_t* frame;
  const Image* image;
  __m256i vector;

  LF_INLINE static Sent of(uint8_t* frame, const forward::Table& table, NodeSlot node) noexcept {
    return {frame, &table.images[node], load256(frame + Image::kVector)};
  }

  LF_INLINE __m256i image_vector() const noexcept { return load256(image->bytes + Image::kVector); }

  // The last word is 0: there is no UDP checksum.
  LF_INLINE static bool none_is_without(const Sent (&s)[kFour]) noexcept {
    const __m256i least = _mm256_min_epu16(_mm256_min_epu16(s[0].vector, s[1].vector),
                                           _mm256_min_epu16(s[2].vector, s[3].vector));
    return _mm256_movemask_epi8(_mm256_cmpeq_epi16(least, _mm256_setzero_si256())) >= 0;
  }

  // What both checksums will be, to be added up and folded: IPv4's in the lower half.
  LF_INLINE __m256i sums(const Constants& c) const noexcept {
    // Two overlapping parts of 16 bytes: up to the addresses, and from the addresses on.
    const __m256i parts = _mm256_permute4x64_epi64(vector, _MM_SHUFFLE(3, 2, 2, 1));
    const __m256i words = _mm256_madd_epi16(_mm256_xor_si256(parts, c.bias), c.weights);
    return _mm256_add_epi32(words, image_vector());
  }

  LF_INLINE static __m256i checksums(const Constants& c, __m256i sums) noexcept {
    return folded(sums, c.complement);
  }

  // The checksums are the upper halves of the fourth number of each half of `checksums`.
  LF_INLINE void write(const Constants& c, __m256i checksums) const noexcept {
    // MAC addresses and EtherType, addresses and ports, of the image. Its vector begins with the
    // end of the source MAC address, or the tag's; what is behind the EtherType in the first store
    // is put right by the second.
    __m256i all = _mm256_blend_epi32(vector, image_vector(), 0b0111'0001);
    all = _mm256_add_epi8(all, c.hop);
    all = _mm256_blend_epi16(all, checksums, 0b1000'0000);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(frame), load128(image->bytes));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(frame + Image::kVector), all);
  }
};

template <>
struct Sent<6> {
  static constexpr size_t kAddresses = net::Usual<6>::kIp + offsetof(rte_ipv6_hdr, src_addr);
  static constexpr size_t kHops = net::Usual<6>::kIp + offsetof(rte_ipv6_hdr, hop_limits);
  static constexpr size_t kUdp = net::Usual<6>::kUdp;

  struct Constants {
    const __m256i bias = _mm256_set1_epi16(-0x8000), ones = _mm256_set1_epi16(1);
    const __m128i udp_bias = _mm_setr_epi16(-0x8000, -0x8000, 0, -0x8000, 0, 0, 0, 0);
    const __m128i udp_weights = _mm_setr_epi16(1, 1, 0, 1, 0, 0, 0, 0);
  };

  uint8_t* frame;
  const Image* image;
  const forward::Node* node;
  __m128i udp;  // UDP's header

  LF_INLINE static Sent of(uint8_t* frame, const forward::Table& table, NodeSlot node) noexcept {
    return {frame, &table.images[node], &table.nodes[node],
            _mm_loadl_epi64(reinterpret_cast<const __m128i*>(frame + kUdp))};
  }

  LF_INLINE __m128i image_ports() const noexcept {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(image->bytes + Image::kPorts));
  }

  LF_INLINE static bool none_is_without(const Sent (&s)[kFour]) noexcept {
    constexpr int kLastByteOfChecksum = 7;
    const __m128i least =
        _mm_min_epu16(_mm_min_epu16(s[0].udp, s[1].udp), _mm_min_epu16(s[2].udp, s[3].udp));
    const int zero = _mm_movemask_epi8(_mm_cmpeq_epi16(least, _mm_setzero_si128()));
    return (zero >> kLastByteOfChecksum & 1) == 0;
  }

  LF_INLINE __m256i sums(const Constants& c) const noexcept {
    const __m256i addresses =
        _mm256_madd_epi16(_mm256_xor_si256(load256(frame + kAddresses), c.bias), c.ones);
    const __m128i other =
        _mm_add_epi32(_mm_madd_epi16(_mm_xor_si128(udp, c.udp_bias), c.udp_weights), image_ports());
    return _mm256_add_epi32(addresses, _mm256_zextsi128_si256(other));
  }

  LF_INLINE static __m256i checksums(const Constants&, __m256i sums) noexcept {
    return folded(_mm256_add_epi32(sums, _mm256_permute2x128_si256(sums, sums, 1)),
                  _mm256_setzero_si256());
  }

  LF_INLINE void write(const Constants&, __m256i checksums) const noexcept {
    // Behind the EtherType the first 16 bytes are IP's.
    const __m128i link = _mm_blend_epi16(load128(image->bytes), load128(frame), 0b1000'0000);
    // The node has the destination first.
    static_assert(offsetof(forward::Node, source) == offsetof(forward::Node, address) + 16);
    const __m256i addresses = _mm256_permute4x64_epi64(
        load256(reinterpret_cast<const uint8_t*>(&node->address)), _MM_SHUFFLE(1, 0, 3, 2));
    __m128i all = _mm_blend_epi16(udp, image_ports(), 0b0011);
    all = _mm_blend_epi16(all, _mm256_castsi256_si128(checksums), 0b1000);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(frame), link);
    frame[kHops] = static_cast<uint8_t>(frame[kHops] - 1);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(frame + kAddresses), addresses);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(frame + kUdp), all);
  }
};

// False, and nothing is done: the sender of one made no UDP checksum.
template <net::Layout kLayout, typename S = Sent<kLayout.ip_version>>
LF_INLINE bool write_four(const typename S::Constants& c, const S (&s)[kFour]) noexcept {
  if (!S::none_is_without(s)) [[unlikely]]
    return false;
  const __m256i checksums =
      S::checksums(c, _mm256_hadd_epi32(_mm256_hadd_epi32(s[0].sums(c), s[1].sums(c)),
                                        _mm256_hadd_epi32(s[2].sums(c), s[3].sums(c))));
  s[0].write(c, _mm256_shuffle_epi32(checksums, 0x00));
  s[1].write(c, _mm256_shuffle_epi32(checksums, 0x55));
  s[2].write(c, _mm256_shuffle_epi32(checksums, 0xaa));
  s[3].write(c, _mm256_shuffle_epi32(checksums, 0xff));
  if constexpr (kLayout.tagged)
    for (const S& one : s)
      std::memcpy(one.frame - kLayout.start(), one.image->mac_start, sizeof one.image->mac_start);
  return true;
}

// `position_of` gives the position of each.
template <net::Layout kLayout, typename PositionOf>
LF_INLINE uint32_t fours(const forward::Table& table, Burst& burst, uint32_t count,
                         uint64_t& ol_flags, PositionOf&& position_of) noexcept {
  using S = Sent<kLayout.ip_version>;
  const typename S::Constants constants;
  Meta* const metadata = metas(burst);
  uint64_t flags = 0;
  uint32_t done = 0;
  for (; done + kFour <= count; done += kFour) {
    S sent[kFour];
    for (uint32_t k = 0; k < kFour; ++k) {
      const size_t i = position_of(done + k);
      rte_mbuf* m = burst.packets[i];
      sent[k] = S::of(rte_pktmbuf_mtod(m, uint8_t*) + kLayout.start(), table, metadata[i].node);
      flags |= m->ol_flags;
      metadata[i].verdict = Verdict::forwarded;
    }
    if (!write_four<kLayout>(constants, sent)) [[unlikely]]
      break;
  }
  ol_flags = flags;
  return done;
}

template <net::Layout kLayout>
uint32_t to_nodes_of(const forward::Table& table, Burst& burst, const Selection& live,
                     uint64_t& ol_flags) noexcept {
  return is_run(live) ? fours<kLayout>(table, burst, live.count, ol_flags,
                                       [first = live.index[0]](size_t k) { return first + k; })
                      : fours<kLayout>(table, burst, live.count, ol_flags,
                                       [&](size_t k) { return size_t{live.index[k]}; });
}

}  // namespace

uint32_t to_usual_nodes(const forward::Table& table, Burst& burst, const Selection& live,
                        net::Layout layout, uint64_t& ol_flags) noexcept {
  if (layout == net::Layout{4, false}) [[likely]]
    return to_nodes_of<net::Layout{4, false}>(table, burst, live, ol_flags);
  if (layout == net::Layout{4, true})
    return to_nodes_of<net::Layout{4, true}>(table, burst, live, ol_flags);
  if (layout == net::Layout{6, false})
    return to_nodes_of<net::Layout{6, false}>(table, burst, live, ol_flags);
  return to_nodes_of<net::Layout{6, true}>(table, burst, live, ol_flags);
}

}  // namespace lf::rewrite
