// SPDX-License-Identifier: Apache-2.0
// The packets that nearly all are, the short way: an untagged frame to the port's MAC address, IPv4
// without options, and in it either a whole UDP datagram to an endpoint, a COMMAND or REPLY, or a
// packet of a flow service to exactly its port; all of it right. Headers are compared with those of
// the place that the packet before went to, all fields in two vectors. Refuses nothing: what is
// different in any way is left to the general way, which decides. Both give the same metadata.
#pragma once

#include <immintrin.h>
#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <algorithm>
#include <cstddef>

#include "dataplane/net/checksum.hpp"
#include "dataplane/parse/checks.hpp"
#include "dataplane/parse/place.hpp"
#include "dataplane/parse/table.hpp"

namespace lf::parse {

using net::kUsualIp;
using net::kUsualLcp;
using net::kUsualOffsets;
using net::kUsualUdp;
inline constexpr uint32_t kUsualMin = kUsualLcp + sizeof(lcp::Header);

// Where the second vector of a frame begins: it ends with the LCP header's first 8 bytes.
inline constexpr uint32_t kSecond = 18;
static_assert(kSecond + kVector == kUsualLcp + 8);

inline __m256i load(const void* bytes) noexcept {
  return _mm256_loadu_si256(static_cast<const __m256i*>(bytes));
}
inline __m256i load(const Bytes32& bytes) noexcept {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(bytes.data()));
}

// Of a frame's first bytes those that count: destination MAC address, EtherType, version and header
// length.
alignas(kVector) inline constexpr Bytes32 kLinkMask = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,   0,
                                                       0,    0,    0,    0,    0xff, 0xff, 0xff};

// Whether a frame of at least 50 bytes is as one for the place is, up to LCP's eighth byte.
LF_INLINE bool looks_right(const Place& p, const uint8_t* frame) noexcept {
  const __m256i link =
      _mm256_and_si256(_mm256_xor_si256(load(frame), load(p.link)), load(kLinkMask));
  const __m256i above =
      _mm256_sub_epi8(_mm256_and_si256(load(frame + kSecond), load(p.mask)), load(p.low));
  const __m256i wrong = _mm256_or_si256(link, _mm256_subs_epu8(above, load(p.span)));
  return _mm256_testz_si256(wrong, wrong) != 0;
}

// One segment, of which port; as one number, as Place has it.
LF_INLINE uint32_t segments_and_port(const rte_mbuf* m) noexcept {
  static_assert(offsetof(rte_mbuf, port) == offsetof(rte_mbuf, nb_segs) + 2);
  uint32_t both;
  std::memcpy(&both, &m->nb_segs, sizeof both);
  return both;
}

// One frame on its short way.
struct UsualFrame {
  rte_mbuf* mbuf;
  const uint8_t* data;
  uint32_t length;

  const rte_ipv4_hdr& ip() const noexcept {
    return *reinterpret_cast<const rte_ipv4_hdr*>(data + kUsualIp);
  }
  const rte_udp_hdr& udp() const noexcept {  // of TCP: its ports
    return *reinterpret_cast<const rte_udp_hdr*>(data + kUsualUdp);
  }
  const lcp::Header& lcp() const noexcept {
    return *reinterpret_cast<const lcp::Header*>(data + kUsualLcp);
  }
};

LF_INLINE UsualFrame usual_frame(rte_mbuf* m) noexcept {
  return {m, rte_pktmbuf_mtod(m, const uint8_t*), m->data_len};
}

LF_INLINE bool is_for(const Place& p, const UsualFrame& f) noexcept {
  return segments_and_port(f.mbuf) == p.segments_and_port && f.length >= p.shortest &&
         looks_right(p, f.data);
}

// The place of a frame that is not for the last one, or nullptr. Makes it known.
const Place* other_place(const Table& t, Places& places, rte_mbuf* m) noexcept;

// What is rarely asked, apart: the short way needs its registers. They are given what the frame can
// be made of again, as a reference to it would keep it in memory.
bool is_own(const Table& t, uint32_t address) noexcept;
bool port_says_wrong(const Table& t, rte_mbuf* m, uint32_t udp_size) noexcept;

// The place said that its first byte is one of a unicast address, but for loopback.
LF_INLINE bool usual_source(const Table& t, const UsualFrame& f) noexcept {
  const uint32_t source = f.ip().src_addr;
  static_assert(!net::is_ipv4_source(127));
  if (static_cast<uint8_t>(source) == 127) [[unlikely]]
    return false;
  return (t.own_filter >> own_bit(net::from_ipv4(source)) & 1) == 0 || !is_own(t, source);
}

// `udp_size`: 0 where the UDP checksum does not count.
LF_INLINE bool usual_sums(const Table& t, const Place& place, const UsualFrame& f,
                          uint32_t udp_size) noexcept {
  if (place.port_checks_sums) [[unlikely]]
    return !port_says_wrong(t, f.mbuf, udp_size);
  return net::is_right(net::ipv4_header_sum(&f.ip())) &&
         (udp_size == 0 || net::is_right(net::command_sum_ipv4(&f.udp(), udp_size)));
}

// Ethernet padding is cut off.
LF_INLINE void set_end(const UsualFrame& f, uint32_t end) noexcept {
  if (end != f.length) f.mbuf->data_len = static_cast<uint16_t>(f.mbuf->pkt_len = end);
}

// Meta's first 32 bytes are the LCP header's, the third and fourth 32 are not parse's.
inline constexpr Meta kEmpty{};

LF_INLINE void set_common(const Place& place, Meta& meta) noexcept {
  const auto* from = reinterpret_cast<const __m256i*>(&kEmpty);
  auto* to = reinterpret_cast<__m256i*>(&meta);
  _mm256_store_si256(to + 1, load(place.common));
  _mm256_store_si256(to + 2, _mm256_load_si256(from + 2));
  _mm256_store_si256(to + 3, _mm256_load_si256(from + 3));
}

// No tag, and no byte of one.
LF_INLINE bool is_untagged(const lcp::Header& h) noexcept {
  const __m128i tag = _mm_loadu_si128(reinterpret_cast<const __m128i*>(h.tag));
  return _mm_testz_si128(tag, tag) != 0;
}

// `end`: of the IP packet, from the start of the frame.
LF_INLINE Kind usual_lcp(const Table& t, const Place& place, const UsualFrame& f, uint32_t end,
                         Meta& meta) noexcept {
  const lcp::Header& h = f.lcp();
  const uint32_t payload = end - kUsualMin;  // nothing is padded that is that long
  const auto kind = static_cast<Kind>(h.type);
  if (end != f.length || lcp::be16(f.udp().dgram_len) != end - kUsualUdp ||
      lcp::be16(h.payload_length) != payload) [[unlikely]]
    return Kind::undecided;
  if ((h.flags & lcp::kFlagTagged) == 0 && !is_untagged(h)) [[unlikely]]
    return Kind::undecided;
  if (kind != Kind::command && payload < sizeof(lcp::ReplyBody)) [[unlikely]]
    return Kind::undecided;
  if (!usual_source(t, f) || f.udp().dgram_cksum == 0 || !usual_sums(t, place, f, end - kUsualUdp))
      [[unlikely]]
    return Kind::undecided;
  set_common(place, meta);
  take_lcp(t, *place.endpoint, h, kind, kUsualOffsets, meta);
  return kind;
}

LF_INLINE Kind usual_flow(const Table& t, const Place& place, const UsualFrame& f, uint32_t end,
                          Meta& meta) noexcept {
  if (end > f.length || end < place.least || !usual_source(t, f) || !usual_sums(t, place, f, 0))
      [[unlikely]]
    return Kind::undecided;
  set_end(f, end);
  set_common(place, meta);
  _mm256_store_si256(reinterpret_cast<__m256i*>(&meta), _mm256_setzero_si256());
  return Kind::flow;
}

// Command, reply or flow: the packet is usual, its metadata complete. Undecided: nothing has been
// changed.
LF_INLINE Kind parse_usual(const Table& t, Places& places, const Place*& last, rte_mbuf* m,
                           Meta& meta) noexcept {
  const UsualFrame f = usual_frame(m);
  if (!is_for(*last, f)) [[unlikely]] {
    const Place* place = other_place(t, places, m);
    if (place == nullptr) return Kind::undecided;
    last = place;
  }
  const uint32_t end = kUsualIp + lcp::be16(f.ip().total_length);
  return last->flow == nullptr ? usual_lcp(t, *last, f, end, meta)
                               : usual_flow(t, *last, f, end, meta);
}

}  // namespace lf::parse
