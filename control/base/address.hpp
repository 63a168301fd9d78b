// SPDX-License-Identifier: Apache-2.0
// IP addresses as text and back, and what an address is (multicast, in a prefix …). Control side
// only: workers compare IpAddress values and never see text. IPv4 is kept v4-mapped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/core/burst.hpp"

namespace lf {

struct ParsedAddress {
  IpAddress address;
  uint8_t ip_version = 4;
};

// "192.0.2.1" or "2001:db8::1"; no prefix length, zone or port. A v4-mapped IPv6 text is refused.
std::optional<ParsedAddress> parse_address(std::string_view text);

// As people write it: dotted for v4-mapped, RFC 5952 else.
std::string format_address(const IpAddress& address);
bool is_ipv4(const IpAddress& address) noexcept;

// `length` counts within the address's family, as in "192.0.2.0/24".
bool in_prefix(const IpAddress& address, const IpAddress& prefix, uint8_t length) noexcept;

bool is_unspecified(const IpAddress& address) noexcept;
bool is_loopback(const IpAddress& address) noexcept;
bool is_multicast(const IpAddress& address) noexcept;  // IPv4 limited broadcast included
bool is_link_local(const IpAddress& address) noexcept;

}  // namespace lf
