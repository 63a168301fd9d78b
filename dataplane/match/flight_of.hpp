// SPDX-License-Identifier: Apache-2.0
// The flight of a command that still is as it was received: picked from its frame and its metadata
// by shuffles, four words at a time.
#pragma once

#include <immintrin.h>
#include <rte_ether.h>
#include <rte_udp.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/core/burst.hpp"
#include "dataplane/ledger/flight.hpp"
#include "dataplane/rewrite/client.hpp"

namespace lf::match {

// What the flights of a burst have in common.
class Moment {
 public:
  explicit Moment(Tsc now) noexcept
      : words_(_mm256_set_epi64x(
            static_cast<int64_t>(ledger::stamp_of(now) | uint64_t{ledger::kNoReplaySlot} << 32),
            static_cast<int64_t>(ledger::FlightWords::sent_bits(now)), 0, 0)) {}
  __m256i words() const noexcept { return words_; }

 private:
  __m256i words_;
};

namespace detail {

// A shuffle of a vector's two halves, each within itself.
class Picks {
 public:
  constexpr Picks() { for (char& b : bytes_) b = -1; }
  // `count` bytes from `from` of what the half was loaded with go to `to` of the flight's half.
  constexpr Picks put(size_t half, size_t to, size_t from, size_t count) const {
    Picks p = *this;
    for (size_t i = 0; i < count; ++i) p.bytes_[half * 16 + to + i] = static_cast<char>(from + i);
    return p;
  }
  __m256i shuffle(__m256i halves) const noexcept {
    return _mm256_shuffle_epi8(
        halves, _mm256_load_si256(reinterpret_cast<const __m256i*>(bytes_.data())));
  }

 private:
  alignas(32) std::array<char, 32> bytes_{};
};

// The bytes that each load begins with.
constexpr size_t kFront = offsetof(Meta, attempt), kBack = offsetof(Meta, node);
constexpr size_t kMacs = RTE_ETHER_ADDR_LEN - 2;  // end of the destination, source
static_assert(offsetof(Meta, replayable) - kFront < 16 && offsetof(Meta, ip_version) > kFront);
static_assert(offsetof(Meta, breaker_epoch) > kBack && kBack + 16 <= sizeof(Meta));
static_assert(ledger::kFlightReplayable == 1);  // as the bool is

constexpr Picks kFromFrame = Picks().put(0, 0, 8, 4)   // ports
                                 .put(0, 4, 2, 6)      // MAC address
                                 .put(1, 0, 0, 2)      // node
                                 .put(1, 2, offsetof(Meta, breaker_epoch) - kBack, 2);
constexpr Picks kFromMeta = Picks()
                                .put(0, 10, offsetof(Meta, vlan_tci) - kFront, 2)
                                .put(0, 12, offsetof(Meta, service) - kFront, 2)
                                .put(0, 14, offsetof(Meta, in_port) - kFront, 1)
                                .put(0, 15, offsetof(Meta, ip_version) - kFront, 1)
                                .put(1, 4, offsetof(Meta, attempt) - kFront, 1)
                                .put(1, 5, offsetof(Meta, replayable) - kFront, 1);

}  // namespace detail

inline ledger::FlightWords flight_of(const Meta& m, const Moment& moment) noexcept {
  // From where the LCP header is: nothing of the mbuf need be read.
  const auto* lcp = reinterpret_cast<const uint8_t*>(m.lcp);
  const uint8_t* frame = lcp - m.lcp_offset;
  const auto* meta = reinterpret_cast<const uint8_t*>(&m);
  int ports;  // source, destination
  std::memcpy(&ports, lcp - sizeof(rte_udp_hdr), sizeof ports);
  const __m128i macs = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(frame + detail::kMacs));
  const __m128i back = _mm_loadu_si128(reinterpret_cast<const __m128i*>(meta + detail::kBack));
  const __m256i front = _mm256_broadcastsi128_si256(
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(meta + detail::kFront)));
  const __m256i ends = _mm256_inserti128_si256(
      _mm256_castsi128_si256(_mm_insert_epi32(macs, ports, 2)), back, 1);
  ledger::FlightWords f;
  f.low = rewrite::client_addresses(frame + m.l3_offset, m.ip_version);
  f.high = _mm256_or_si256(_mm256_or_si256(detail::kFromFrame.shuffle(ends), moment.words()),
                           detail::kFromMeta.shuffle(front));
  return f;
}

}  // namespace lf::match
