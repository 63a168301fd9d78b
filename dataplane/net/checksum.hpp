// SPDX-License-Identifier: Apache-2.0
// Internet checksums (RFC 1071) and their incremental update (RFC 1624). Sums are plain 64-bit
// numbers of which only the value modulo 0xffff counts, over 16-bit words as they lie in memory,
// so a folded sum is in wire order. Pure functions, called by stages on workers.
#pragma once

#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/net/address.hpp"

namespace lf::net {

// Folds a sum to 16 bits (one's complement), not inverted; 0 only for 0. The halves of a number and
// the same number turned by half its bits: their sum is in the upper half, with its carry brought
// around.
constexpr uint16_t fold(uint64_t sum) noexcept {
  const auto half = static_cast<uint32_t>((sum + std::rotl(sum, 32)) >> 32);
  return static_cast<uint16_t>((half + std::rotl(half, 16)) >> 16);
}

// Whether a sum that includes its checksum is right: it folds to 0xffff. All 64 bits set are 0xffff
// times `ones`, so a multiple of 0xffff times `ones` is its factor subtracted from 2^64, and the
// factor is at most `ones`.
inline bool is_right(uint64_t sum) noexcept {
  uint64_t ones = 0x0001'0001'0001'0001;
  asm("" : "+r"(ones));  // or the compiler makes shifts and additions of the multiplication
  const uint64_t product = sum * ones;
  return product + ones < ones;
}

constexpr uint64_t half_sum(uint64_t words) noexcept {
  return (words & 0xffffffff) + (words >> 32);
}

// Sum over `length` bytes, which need not be aligned; an odd last byte counts as its word's first.
// Bounded by 2^33 times the number of 8-byte words, so a few of them add up without carries.
uint64_t sum_bytes(const void* bytes, size_t length) noexcept;

// Sum over an IPv4 header without options; its folded value is 0xffff when the checksum is right.
inline uint64_t ipv4_header_sum(const void* header) noexcept {
  uint32_t last;
  std::memcpy(&last, static_cast<const uint8_t*>(header) + 16, sizeof last);
  uint64_t sum = last;
  asm("addq (%1), %0\n\t"
      "adcq 8(%1), %0\n\t"
      "adcq $0, %0"
      : "+r"(sum)
      : "r"(header), "m"(*static_cast<const uint8_t(*)[16]>(header))
      : "cc");
  return sum;
}

// Sum over the pseudo-header of an upper-layer protocol; `length` in host order.
constexpr uint64_t pseudo_sum(const IpAddress& source, const IpAddress& destination,
                              uint8_t protocol, uint32_t length) noexcept {
  // The prefix of v4-mapped addresses adds 0xffff each, which is 0.
  return half_sum(source.hi) + half_sum(source.lo) + half_sum(destination.hi) +
         half_sum(destination.lo) + (uint64_t{protocol} << 8) + __builtin_bswap32(length);
}
constexpr uint64_t pseudo_sum_ipv4(uint32_t source, uint32_t destination, uint8_t protocol,
                                   uint32_t length) noexcept {
  return uint64_t{source} + destination + (uint64_t{protocol} << 8) + __builtin_bswap32(length);
}
inline uint64_t pseudo_sum_ipv6(const rte_ipv6_hdr& ip, uint8_t protocol,
                                uint32_t length) noexcept {
  return pseudo_sum(from_ipv6(ip.src_addr), from_ipv6(ip.dst_addr), protocol, length);
}

// The checksum field for a sum; for UDP, 0 means "none" and goes out as its other form.
constexpr uint16_t checksum_of(uint64_t sum) noexcept {
  return static_cast<uint16_t>(~fold(sum));
}
constexpr uint16_t udp_checksum_of(uint64_t sum) noexcept {
  const uint16_t checksum = checksum_of(sum);
  return checksum == 0 ? 0xffff : checksum;
}

// RFC 1624, equation 3: the checksum after words that summed to `before` (below 2^47) became
// `after`. In one subtraction, as 2^32 times 0xffff is nothing modulo 0xffff.
constexpr uint16_t updated(uint16_t checksum, uint64_t before, uint64_t after) noexcept {
  constexpr uint64_t kNothing = uint64_t{0xffff} << 32;
  return checksum_of(static_cast<uint16_t>(~checksum) + after + (kNothing - before));
}

// Writes a full header checksum.
inline void set_ipv4_checksum(rte_ipv4_hdr& ip) noexcept {
  ip.hdr_checksum = 0;
  ip.hdr_checksum = checksum_of(ipv4_header_sum(&ip));
}

// Writes a full UDP checksum; `l3` is the IPv4 or IPv6 header that the datagram belongs to.
void set_udp_checksum(const uint8_t* l3, uint8_t ip_version, rte_udp_hdr& udp) noexcept;

}  // namespace lf::net
