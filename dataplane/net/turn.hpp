// SPDX-License-Identifier: Apache-2.0
// Turns a received UDP packet around: what is sent back starts here, so it gets a fresh TTL and no
// inherited options of service. Called by the answer and exception stages on workers.
#pragma once

#include <cstdint>

#include "dataplane/core/burst.hpp"

namespace lf::net {

inline constexpr uint8_t kOwnTtl = 64;

// Swaps MAC addresses, IP addresses and ports and writes all lengths for a datagram of `udp_size`
// bytes, UDP header included. The IPv4 checksum is right afterwards; the UDP one is left to
// set_udp_checksum(), for when the contents are complete.
void turn_datagram(uint8_t* frame, const Meta& meta, uint16_t udp_size) noexcept;

// The IP part of it, for any payload of `size` bytes after the IP header.
void turn_ip(uint8_t* l3, uint8_t ip_version, uint16_t size) noexcept;

}  // namespace lf::net
