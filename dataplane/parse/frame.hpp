// SPDX-License-Identifier: Apache-2.0
// A frame on its short way (parse/usual.hpp), of one IP version, and whether it is for a place.
// Offsets are those of a frame without a VLAN tag: of a tagged one the first bytes are left out. Of
// use to the parse stage alone.
#pragma once

#include <immintrin.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/lcp/header.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/net/offsets.hpp"
#include "dataplane/parse/checks.hpp"
#include "dataplane/parse/place.hpp"
#include "dataplane/parse/sums.hpp"

namespace lf::parse {

inline __m256i load(const Bytes32& bytes) noexcept {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(bytes.data()));
}

template <uint8_t kIpVersion>
struct UsualFrame {
  using At = net::Usual<kIpVersion>;
  using Ip = std::conditional_t<kIpVersion == 4, rte_ipv4_hdr, rte_ipv6_hdr>;
  // Where the vectors that Place has bounds of begin, and of the shortest frame of LCP the end.
  static constexpr uint32_t kSecond = At::kLcp + 8 - kVector;
  static constexpr uint32_t kMin = At::kLcp + sizeof(lcp::Header);

  rte_mbuf* mbuf;
  const uint8_t* data;
  uint32_t length;

  const Ip& ip() const noexcept { return *reinterpret_cast<const Ip*>(data + At::kIp); }
  const rte_udp_hdr& udp() const noexcept {  // of TCP: its ports
    return *reinterpret_cast<const rte_udp_hdr*>(data + At::kUdp);
  }
  const lcp::Header& lcp() const noexcept {
    return *reinterpret_cast<const lcp::Header*>(data + At::kLcp);
  }
  IpAddress source() const noexcept {
    if constexpr (kIpVersion == 4)
      return net::from_ipv4(ip().src_addr);
    else
      return net::from_ipv6(ip().src_addr);
  }
  IpAddress destination() const noexcept {
    if constexpr (kIpVersion == 4)
      return net::from_ipv4(ip().dst_addr);
    else
      return net::from_ipv6(ip().dst_addr);
  }
  // Ends with the packet.
  uint32_t end() const noexcept {
    if constexpr (kIpVersion == 4)
      return At::kIp + lcp::be16(ip().total_length);
    else
      return At::kUdp + lcp::be16(ip().payload_len);
  }
};

// `start`: Layout::start().
template <uint8_t kIpVersion>
LF_INLINE UsualFrame<kIpVersion> usual_frame(rte_mbuf* m, uint32_t start) noexcept {
  return {m, rte_pktmbuf_mtod(m, const uint8_t*) + start, m->data_len - start};
}

// One segment, of which port; as one number, as Place has it.
LF_INLINE uint32_t segments_and_port(const rte_mbuf* m) noexcept {
  static_assert(offsetof(rte_mbuf, port) == offsetof(rte_mbuf, nb_segs) + 2);
  uint32_t both;
  std::memcpy(&both, &m->nb_segs, sizeof both);
  return both;
}

LF_INLINE uint32_t first_bytes(const rte_mbuf* m) noexcept {
  uint32_t four;
  std::memcpy(&four, rte_pktmbuf_mtod(m, const uint8_t*), sizeof four);
  return four;
}

// What IP's, UDP's and LCP's headers say less than the length of their frame is, as words of one
// vector; and where in the first vector, and in the second and third, they say it. Elsewhere
// nothing that counts is in those places.
template <uint8_t kIpVersion>
struct alignas(kVector) LengthsAt {
  using Frame = UsualFrame<kIpVersion>;
  using At = net::Usual<kIpVersion>;
  static constexpr bool kIsV4 = kIpVersion == 4;
  static constexpr size_t kIpLength = At::kIp + (kIsV4 ? offsetof(rte_ipv4_hdr, total_length)
                                                       : offsetof(rte_ipv6_hdr, payload_len));
  static constexpr size_t kUdpLength = At::kUdp + offsetof(rte_udp_hdr, dgram_len) - Frame::kSecond;
  // The third vector is there for LCP's length alone.
  static constexpr size_t kLcpLength = 22;
  static constexpr size_t kThird = At::kLcp + offsetof(lcp::Header, payload_length) - kLcpLength;

  uint16_t before[16] = {0, 0,        0,          0, 0, 0, 0, 0, kIsV4 ? At::kIp : At::kUdp,
                         0, At::kUdp, Frame::kMin};
  Bytes32 first = both(true), second = both(false);

 private:
  static constexpr Bytes32 both(bool of_first) {
    Bytes32 order;
    order.fill(0x80);
    const auto put = [&](size_t at, uint8_t word) {
      order[at] = static_cast<uint8_t>(2 * word + 1),
      order[at + 1] = static_cast<uint8_t>(2 * word);
    };
    if (of_first || kIsV4) put(kIpLength, 0);
    if (!of_first || kIsV4) put(kUdpLength, 2), put(kLcpLength, 3);
    return order;
  }
};
template <uint8_t kIpVersion>
inline constexpr LengthsAt<kIpVersion> kLengthsAt{};
// Of IPv4 both are the same, and no register is taken for two.
static_assert(kLengthsAt<4>.first == kLengthsAt<4>.second);

// Not 0 where a byte is outside of its bounds.
LF_INLINE __m256i outside(const Bounds& bounds, __m256i bytes) noexcept {
  return _mm256_or_si256(_mm256_subs_epu8(bytes, load(bounds.high)),
                         _mm256_subs_epu8(load(bounds.low), bytes));
}

// IPv4's word for fragments, in wire order.
inline constexpr uint16_t kAnyFragment = lcp::be16(RTE_IPV4_HDR_OFFSET_MASK | RTE_IPV4_HDR_MF_FLAG);

// Whether a frame that is long enough is as one for the place is, up to LCP's eighth byte.
template <uint8_t kIpVersion>
LF_INLINE bool looks_right(const Place& p, const UsualFrame<kIpVersion>& f) noexcept {
  const LengthsAt<kIpVersion>& at = kLengthsAt<kIpVersion>;
  const __m256i lengths = _mm256_sub_epi16(_mm256_set1_epi16(static_cast<int16_t>(f.length)),
                                           load(static_cast<const void*>(at.before)));
  const __m256i first =
      _mm256_xor_si256(load(f.data), _mm256_shuffle_epi8(lengths, load(at.first)));
  const __m256i second =
      _mm256_xor_si256(load(f.data + f.kSecond), _mm256_shuffle_epi8(lengths, load(at.second)));
  const __m256i wrong = _mm256_or_si256(outside(p.first, first), outside(p.second, second));
  if constexpr (kIpVersion == 4)
    if ((f.ip().fragment_offset & kAnyFragment) != 0) [[unlikely]]
      return false;
  return _mm256_testz_si256(wrong, wrong) != 0;
}

template <uint8_t kIpVersion>
LF_INLINE bool is_for(const Place& p, rte_mbuf* m) noexcept {
  return segments_and_port(m) == p.segments_and_port && m->data_len >= p.shortest &&
         first_bytes(m) == p.mac_start &&
         looks_right(p, usual_frame<kIpVersion>(m, p.key.layout.start()));
}

}  // namespace lf::parse
