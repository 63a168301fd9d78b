// SPDX-License-Identifier: Apache-2.0
#include "control/base/address.hpp"

#include <arpa/inet.h>

#include <array>
#include <cstring>

namespace lf {
namespace {

using Bytes = std::array<uint8_t, 16>;
constexpr size_t kMappedBytes = 12;  // of ::ffff:0:0/96

Bytes bytes_of(const IpAddress& a) noexcept {
  Bytes b;
  std::memcpy(b.data(), &a.hi, 8);
  std::memcpy(b.data() + 8, &a.lo, 8);
  return b;
}

IpAddress from_bytes(const Bytes& b) noexcept {
  IpAddress a;
  std::memcpy(&a.hi, b.data(), 8);
  std::memcpy(&a.lo, b.data() + 8, 8);
  return a;
}

bool is_mapped(const Bytes& b) noexcept {
  static constexpr Bytes kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(b.data(), kMapped.data(), kMappedBytes) == 0;
}

}  // namespace

std::optional<ParsedAddress> parse_address(std::string_view text) {
  const std::string copy(text);  // inet_pton wants a terminator
  if (copy.find('\0') != std::string::npos) return std::nullopt;
  Bytes b{};
  if (::inet_pton(AF_INET, copy.c_str(), b.data() + kMappedBytes) == 1) {
    b[10] = b[11] = 0xff;
    return ParsedAddress{from_bytes(b), 4};
  }
  b = {};
  if (::inet_pton(AF_INET6, copy.c_str(), b.data()) != 1 || is_mapped(b)) return std::nullopt;
  return ParsedAddress{from_bytes(b), 6};
}

bool is_ipv4(const IpAddress& address) noexcept {
  return is_mapped(bytes_of(address));
}

std::string format_address(const IpAddress& address) {
  const Bytes b = bytes_of(address);
  char text[INET6_ADDRSTRLEN];
  if (is_mapped(b)) return ::inet_ntop(AF_INET, b.data() + kMappedBytes, text, sizeof text);
  return ::inet_ntop(AF_INET6, b.data(), text, sizeof text);
}

bool in_prefix(const IpAddress& address, const IpAddress& prefix, uint8_t length) noexcept {
  const bool v4 = is_ipv4(prefix);
  if (v4 != is_ipv4(address)) return false;
  const Bytes a = bytes_of(address), p = bytes_of(prefix);
  const unsigned bits = length + (v4 ? kMappedBytes * 8 : 0);
  if (bits > 128) return false;
  if (std::memcmp(a.data(), p.data(), bits / 8) != 0) return false;
  if (bits % 8 == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff00u >> (bits % 8));
  return (a[bits / 8] & mask) == (p[bits / 8] & mask);
}

bool is_unspecified(const IpAddress& address) noexcept {
  const Bytes b = bytes_of(address);
  for (size_t i = is_mapped(b) ? kMappedBytes : 0; i < b.size(); ++i)
    if (b[i] != 0) return false;
  return true;
}

bool is_loopback(const IpAddress& address) noexcept {
  const Bytes b = bytes_of(address);
  if (is_mapped(b)) return b[kMappedBytes] == 127;
  static constexpr Bytes kLoopback{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return b == kLoopback;
}

bool is_multicast(const IpAddress& address) noexcept {
  const Bytes b = bytes_of(address);
  if (!is_mapped(b)) return b[0] == 0xff;
  static constexpr uint8_t kBroadcast[4] = {255, 255, 255, 255};
  return (b[kMappedBytes] & 0xf0) == 0xe0 ||
         std::memcmp(b.data() + kMappedBytes, kBroadcast, 4) == 0;
}

bool is_link_local(const IpAddress& address) noexcept {
  const Bytes b = bytes_of(address);
  if (is_mapped(b)) return b[kMappedBytes] == 169 && b[kMappedBytes + 1] == 254;
  return b[0] == 0xfe && (b[1] & 0xc0) == 0x80;
}

}  // namespace lf
