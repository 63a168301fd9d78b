// SPDX-License-Identifier: Apache-2.0
// The packets that nearly all are, the short way: a frame to the port's MAC address with one VLAN
// tag or none, IPv4 without options or IPv6 without extension headers, and in it either a whole UDP
// datagram to an endpoint, a COMMAND or REPLY, or a packet of a flow service to exactly its port;
// all of it right. Headers are compared with those of the place that the packet before went to, all
// fields in two vectors. Refuses nothing: what is different in any way is left to the general way,
// which decides. Both give the same metadata.
#pragma once

#include <immintrin.h>
#include <netinet/in.h>

#include <cstddef>
#include <cstring>

#include "dataplane/net/checksum.hpp"
#include "dataplane/parse/checks.hpp"
#include "dataplane/parse/frame.hpp"
#include "dataplane/parse/place.hpp"
#include "dataplane/parse/sums.hpp"
#include "dataplane/parse/table.hpp"

namespace lf::parse {

// The place of a frame that is not for the last one, or nullptr. Makes it known.
const Place* other_place(const Table& t, Places& places, rte_mbuf* m) noexcept;

// What is rarely asked, apart: the short way needs its registers. They are given what the frame can
// be made of again, as a reference to it would keep it in memory.
bool is_own(const Table& t, rte_mbuf* m, net::Layout layout) noexcept;
bool some_own(const Table& t, rte_mbuf* const* packets, size_t count, net::Layout layout) noexcept;
bool port_says_wrong(const Table& t, rte_mbuf* m, net::Layout layout, uint32_t udp_size) noexcept;

// The place said that its first byte is one of a unicast address, but for IPv4's loopback.
template <uint8_t kIpVersion>
LF_INLINE bool is_loopback(const UsualFrame<kIpVersion>& f) noexcept {
  static_assert(!net::is_ipv4_source(127));
  return kIpVersion == 4 && net::byte_of(f.source(), 12) == 127;
}
template <uint8_t kIpVersion>
LF_INLINE bool may_be_own(const Table& t, const UsualFrame<kIpVersion>& f) noexcept {
  return (t.own_filter >> own_bit(f.source()) & 1) != 0;
}

// Ethernet padding is cut off. `end`: without the tag.
template <uint8_t kIpVersion>
LF_INLINE void set_end(const UsualFrame<kIpVersion>& f, uint32_t end) noexcept {
  if (end == f.length) return;
  const uint32_t padding = f.length - end;
  f.mbuf->pkt_len = f.mbuf->data_len = static_cast<uint16_t>(f.mbuf->data_len - padding);
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
template <uint8_t kIpVersion>
LF_INLINE bool is_usual_lcp(const UsualFrame<kIpVersion>& f, __m128i tail) noexcept {
  constexpr int kPayloadLength =
      (offsetof(lcp::Header, payload_length) - offsetof(lcp::Header, deadline_us)) / 2;
  const lcp::Header& h = f.lcp();
  if (static_cast<uint32_t>(_mm_extract_epi16(tail, kPayloadLength)) + f.kMin != f.length)
      [[unlikely]]
    return false;
  if ((h.flags & lcp::kFlagTagged) == 0 && !is_untagged(h)) [[unlikely]]
    return false;
  if (kIpVersion == 6 && !has_udp_checksum<6>(f.data)) [[unlikely]]
    return false;
  return !is_loopback(f);
}

// A REPLY has a body. The place said that all else is a COMMAND.
template <uint8_t kIpVersion>
LF_INLINE bool is_command(const UsualFrame<kIpVersion>& f) noexcept {
  return f.lcp().type == static_cast<uint8_t>(lcp::Type::command);
}
template <uint8_t kIpVersion>
LF_INLINE bool has_body(const UsualFrame<kIpVersion>& f) noexcept {
  return f.length - f.kMin >= sizeof(lcp::ReplyBody);
}

LF_INLINE void take_usual_lcp(const Table& t, const Place& place, const lcp::Header& h,
                              __m128i tail, const Rest& rest, Meta& meta) noexcept {
  set_rest(rest, meta);
  take_lcp(t, *place.endpoint, h, tail, load(place.ids), meta);
}

template <uint8_t kIpVersion>
LF_INLINE Kind usual_flow(const Table& t, const Place& place, const UsualFrame<kIpVersion>& f,
                          Meta& meta) noexcept {
  const uint32_t end = f.end();
  if (end > f.length || end < place.least || is_loopback(f) ||
      (may_be_own(t, f) && is_own(t, f.mbuf, place.key.layout))) [[unlikely]]
    return Kind::undecided;
  if constexpr (kIpVersion == 4)
    if (place.port_checks_sums ? port_says_wrong(t, f.mbuf, place.key.layout, 0)
                               : !net::is_right(net::ipv4_header_sum(&f.ip()))) [[unlikely]]
      return Kind::undecided;
  set_end(f, end);
  set_rest({}, meta);
  auto* to = reinterpret_cast<uint8_t*>(&meta);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + kIds), load(place.ids));
  _mm256_store_si256(reinterpret_cast<__m256i*>(to), _mm256_setzero_si256());
  return Kind::flow;
}

template <uint8_t kIpVersion>
LF_INLINE Kind usual_lcp(const Table& t, const Place& place, const UsualFrame<kIpVersion>& f,
                         Meta& meta, __m256i*& sums) noexcept {
  const __m128i tail = tail_of(f.lcp());
  if (!is_usual_lcp(f, tail) || (may_be_own(t, f) && is_own(t, f.mbuf, place.key.layout)) ||
      !(is_command(f) || has_body(f))) [[unlikely]]
    return Kind::undecided;
  if (place.port_checks_sums) {
    if (port_says_wrong(t, f.mbuf, place.key.layout, f.length - net::Usual<kIpVersion>::kUdp))
        [[unlikely]]
      return Kind::undecided;
  } else {
    *sums++ = sums_of<kIpVersion>({}, f.data, f.length);
  }
  take_usual_lcp(t, place, f.lcp(), tail, {}, meta);
  return is_command(f) ? Kind::command : Kind::reply;
}

template <uint8_t kIpVersion>
LF_APART Kind usual_at(const Table& t, const Place& place, rte_mbuf* m, Meta& meta,
                       __m256i*& sums) noexcept {
  const auto f = usual_frame<kIpVersion>(m, place.key.layout.start());
  return place.flow != nullptr ? usual_flow(t, place, f, meta) : usual_lcp(t, place, f, meta, sums);
}

// Command, reply or flow: the packet is usual, its metadata complete; if the sums that it may have
// added to `sums` are right. Undecided: nothing has been changed.
LF_INLINE Kind parse_usual(const Table& t, Places& places, const Place*& last, rte_mbuf* m,
                           Meta& meta, __m256i*& sums) noexcept {
  if (!(last->key.layout.ip_version == 6 ? is_for<6>(*last, m) : is_for<4>(*last, m)))
      [[unlikely]] {
    const Place* place = other_place(t, places, m);
    if (place == nullptr) return Kind::undecided;
    last = place;
  }
  return last->key.layout.ip_version == 6 ? usual_at<6>(t, *last, m, meta, sums)
                                          : usual_at<4>(t, *last, m, meta, sums);
}

}  // namespace lf::parse
