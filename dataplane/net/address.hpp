// SPDX-License-Identifier: Apache-2.0
// IP addresses as values. IPv4 addresses are kept v4-mapped (::ffff:a.b.c.d), so one comparison
// serves both families; a v4-mapped address inside an IPv6 packet is refused by parse, so the two
// can't be confused. Pure functions, used by stages and by control.
#pragma once

#include <rte_byteorder.h>
#include <rte_ip.h>

#include <cstdint>
#include <cstring>

#include "dataplane/core/burst.hpp"

namespace lf::net {

// The second half of a v4-mapped address before the IPv4 address is put in: 0000 ffff, wire order.
inline constexpr uint64_t kMappedPrefix = 0xffff0000;

// From and to an IPv4 address in wire order.
constexpr IpAddress from_ipv4(uint32_t wire) noexcept {
  return {0, kMappedPrefix | uint64_t{wire} << 32};
}
constexpr uint32_t to_ipv4(const IpAddress& a) noexcept {
  return static_cast<uint32_t>(a.lo >> 32);
}
constexpr bool is_ipv4(const IpAddress& a) noexcept {
  return a.hi == 0 && static_cast<uint32_t>(a.lo) == kMappedPrefix;
}

// From and to the 16 bytes of an IPv6 address.
inline IpAddress from_ipv6(const void* bytes) noexcept {
  IpAddress a;
  std::memcpy(&a.hi, bytes, 8);
  std::memcpy(&a.lo, static_cast<const uint8_t*>(bytes) + 8, 8);
  return a;
}
inline void to_ipv6(const IpAddress& a, void* bytes) noexcept {
  std::memcpy(bytes, &a.hi, 8);
  std::memcpy(static_cast<uint8_t*>(bytes) + 8, &a.lo, 8);
}

// Source and destination of the IP header at `l3`.
inline void load_addresses(const uint8_t* l3, uint8_t ip_version, IpAddress& source,
                           IpAddress& destination) noexcept {
  if (ip_version == 4) {
    const auto* ip = reinterpret_cast<const rte_ipv4_hdr*>(l3);
    source = from_ipv4(ip->src_addr);
    destination = from_ipv4(ip->dst_addr);
  } else {
    const auto* ip = reinterpret_cast<const rte_ipv6_hdr*>(l3);
    source = from_ipv6(ip->src_addr);
    destination = from_ipv6(ip->dst_addr);
  }
}

// Bytes of an address for tests of prefixes: byte 0 is the first on the wire.
constexpr uint8_t byte_of(const IpAddress& a, unsigned n) noexcept {
  return static_cast<uint8_t>((n < 8 ? a.hi : a.lo) >> (n % 8 * 8));
}

// Whether an IPv4 address (wire order) can be the source of a unicast packet: not "this network",
// loopback, multicast, reserved or broadcast. 240/4 is refused with 255.255.255.255.
constexpr bool is_ipv4_source(uint32_t wire) noexcept {
  const uint8_t first = static_cast<uint8_t>(wire);
  return first != 0 && first != 127 && first < 224;
}
// The same for IPv6: not unspecified, loopback, multicast or v4-mapped.
constexpr bool is_ipv6_source(const IpAddress& a) noexcept {
  if (a.hi == 0) return (a.lo & ~(uint64_t{1} << 56)) != 0 && !net::is_ipv4(a);
  return static_cast<uint8_t>(a.hi) != 0xff;
}

constexpr bool is_ipv6_link_local(const IpAddress& a) noexcept {
  return static_cast<uint8_t>(a.hi) == 0xfe && (a.hi >> 8 & 0xc0) == 0x80;
}

}  // namespace lf::net
