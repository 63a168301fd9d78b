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
#include <cstring>

#include "dataplane/net/checksum.hpp"
#include "dataplane/parse/checks.hpp"
#include "dataplane/parse/place.hpp"
#include "dataplane/parse/sums.hpp"
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

inline __m256i load(const Bytes32& bytes) noexcept {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(bytes.data()));
}

// The lengths that IPv4 and UDP must say of a frame that ends with the packet, where they lie in
// its two vectors: of each other the bytes are masked out.
LF_INLINE __m256i lengths_of(uint16_t frame_length) noexcept {
  constexpr size_t kTotal = kUsualIp + offsetof(rte_ipv4_hdr, total_length);
  constexpr size_t kDatagram = kUsualUdp + offsetof(rte_udp_hdr, dgram_len) - kSecond;
  static_assert(kTotal == 16 && kDatagram == 16 + 4);
  const __m256i before =
      _mm256_setr_epi16(0, 0, 0, 0, 0, 0, 0, 0, kUsualIp, 0, kUsualUdp, 0, 0, 0, 0, 0);
  const __m256i order =
      _mm256_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1, 0, -1, -1,
                       5, 4, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const __m256i lengths = _mm256_set1_epi16(static_cast<int16_t>(frame_length));
  return _mm256_shuffle_epi8(_mm256_sub_epi16(lengths, before), order);
}

// Whether a frame of at least 50 bytes is as one for the place is, up to LCP's eighth byte.
LF_INLINE bool looks_right(const Place& p, const uint8_t* frame, uint16_t length) noexcept {
  const __m256i lengths = lengths_of(length);
  const __m256i link = _mm256_and_si256(
      _mm256_xor_si256(_mm256_xor_si256(load(frame), lengths), load(p.link)), load(p.link_mask));
  const __m256i above = _mm256_sub_epi8(
      _mm256_and_si256(_mm256_xor_si256(load(frame + kSecond), lengths), load(p.mask)),
      load(p.low));
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
         looks_right(p, f.data, static_cast<uint16_t>(f.length));
}

// The place of a frame that is not for the last one, or nullptr. Makes it known.
const Place* other_place(const Table& t, Places& places, rte_mbuf* m) noexcept;

// What is rarely asked, apart: the short way needs its registers. They are given what the frame can
// be made of again, as a reference to it would keep it in memory.
bool is_own(const Table& t, uint32_t address) noexcept;
bool some_own(const Table& t, rte_mbuf* const* packets, size_t count) noexcept;
bool port_says_wrong(const Table& t, rte_mbuf* m, uint32_t udp_size) noexcept;

// The place said that its first byte is one of a unicast address, but for loopback.
LF_INLINE const uint8_t* source_of(const UsualFrame& f) noexcept {
  return f.data + kUsualIp + offsetof(rte_ipv4_hdr, src_addr);
}
LF_INLINE bool is_loopback(const UsualFrame& f) noexcept {
  static_assert(!net::is_ipv4_source(127));
  return source_of(f)[0] == 127;
}
// Its own_bit() is its last byte.
LF_INLINE bool may_be_own(const Table& t, const UsualFrame& f) noexcept {
  return (t.own_filter >> (source_of(f)[3] & 63) & 1) != 0;
}

// Ethernet padding is cut off.
LF_INLINE void set_end(const UsualFrame& f, uint32_t end) noexcept {
  if (end != f.length) f.mbuf->data_len = static_cast<uint16_t>(f.mbuf->pkt_len = end);
}

inline constexpr Meta kEmpty{};

// All of the metadata but its first 56 bytes, as it is new.
struct Rest {
  const __m256i third = kept(load(reinterpret_cast<const uint8_t*>(&kEmpty) + 2 * kVector));
  const __m256i fourth = kept(load(reinterpret_cast<const uint8_t*>(&kEmpty) + 3 * kVector));
};
LF_INLINE void set_rest(const Rest& rest, Meta& meta) noexcept {
  static_assert(offsetof(Meta, authenticated) == 56 && sizeof(Meta) == 4 * kVector);
  auto* to = reinterpret_cast<__m256i*>(&meta);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(&meta.authenticated), _mm_setzero_si128());
  _mm256_store_si256(to + 2, rest.third);
  _mm256_store_si256(to + 3, rest.fourth);
}

// No tag, and no byte of one.
LF_INLINE bool is_untagged(const lcp::Header& h) noexcept {
  const __m128i tag = _mm_loadu_si128(reinterpret_cast<const __m128i*>(h.tag));
  return _mm_testz_si128(tag, tag) != 0;
}

// The place said that the frame ends with the datagram. Looks neither at sums nor for own
// addresses.
LF_INLINE bool is_usual_lcp(const UsualFrame& f, __m128i tail) noexcept {
  constexpr int kPayloadLength =
      (offsetof(lcp::Header, payload_length) - offsetof(lcp::Header, deadline_us)) / 2;
  const lcp::Header& h = f.lcp();
  if (static_cast<uint32_t>(_mm_extract_epi16(tail, kPayloadLength)) + kUsualMin != f.length)
      [[unlikely]]
    return false;
  if ((h.flags & lcp::kFlagTagged) == 0 && !is_untagged(h)) [[unlikely]]
    return false;
  return !is_loopback(f);
}

// A REPLY has a body. The place said that all else is a COMMAND.
LF_INLINE bool is_command(const UsualFrame& f) noexcept {
  return f.lcp().type == static_cast<uint8_t>(lcp::Type::command);
}
LF_INLINE bool has_body(const UsualFrame& f) noexcept {
  return f.length - kUsualMin >= sizeof(lcp::ReplyBody);
}

LF_INLINE void take_usual_lcp(const Table& t, const Place& place, const UsualFrame& f, __m128i tail,
                              const Rest& rest, Meta& meta) noexcept {
  set_rest(rest, meta);
  take_lcp(t, *place.endpoint, f.lcp(), tail, load(place.ids), meta);
}

LF_INLINE Kind usual_flow(const Table& t, const Place& place, const UsualFrame& f,
                          Meta& meta) noexcept {
  const uint32_t end = kUsualIp + lcp::be16(f.ip().total_length);
  if (end > f.length || end < place.least || is_loopback(f) ||
      (may_be_own(t, f) && is_own(t, f.ip().src_addr))) [[unlikely]]
    return Kind::undecided;
  if (place.port_checks_sums ? port_says_wrong(t, f.mbuf, 0)
                             : !net::is_right(net::ipv4_header_sum(&f.ip()))) [[unlikely]]
    return Kind::undecided;
  set_end(f, end);
  set_rest({}, meta);
  auto* to = reinterpret_cast<uint8_t*>(&meta);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + kIds), load(place.ids));
  _mm256_store_si256(reinterpret_cast<__m256i*>(to), _mm256_setzero_si256());
  return Kind::flow;
}

// Command, reply or flow: the packet is usual, its metadata complete; if the sums that it may have
// added to `sums` are right. Undecided: nothing has been changed.
LF_INLINE Kind parse_usual(const Table& t, Places& places, const Place*& last, rte_mbuf* m,
                           Meta& meta, __m256i*& sums) noexcept {
  const UsualFrame f = usual_frame(m);
  if (!is_for(*last, f)) [[unlikely]] {
    const Place* place = other_place(t, places, m);
    if (place == nullptr) return Kind::undecided;
    last = place;
  }
  if (last->flow != nullptr) return usual_flow(t, *last, f, meta);
  const __m128i tail = tail_of(f.lcp());
  if (!is_usual_lcp(f, tail) || (may_be_own(t, f) && is_own(t, f.ip().src_addr)) ||
      !(is_command(f) || has_body(f))) [[unlikely]]
    return Kind::undecided;
  if (last->port_checks_sums) {
    if (port_says_wrong(t, f.mbuf, f.length - kUsualUdp)) [[unlikely]]
      return Kind::undecided;
  } else {
    *sums++ = sums_of({}, f.data, f.length);
  }
  const Kind kind = is_command(f) ? Kind::command : Kind::reply;
  take_usual_lcp(t, *last, f, tail, {}, meta);
  return kind;
}

}  // namespace lf::parse
