// SPDX-License-Identifier: Apache-2.0
// The frames of neighbour resolution: builds ARP requests and IPv6 neighbour solicitations, reads
// their answers. Control side; workers answer requests for own addresses themselves (the exception
// stage). Pure: bytes in, bytes out.
#pragma once

#include <rte_ether.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/core/burst.hpp"

namespace lf::neighbour {

struct Question {
  IpAddress target;
  IpAddress source;  // own address on the port
  uint8_t ip_version = 4;
  rte_ether_addr source_mac{};
  uint16_t vlan = 0;                         // 0: untagged
  std::optional<rte_ether_addr> unicast_to;  // else broadcast, or the solicited-node group
};

// An Ethernet frame, padded to 60 bytes where it is shorter.
std::vector<uint8_t> request_frame(const Question& question);

struct Heard {
  IpAddress address;
  rte_ether_addr mac{};
};

// Who said to have which MAC address: the sender of an ARP reply or request, the target of a
// neighbour advertisement (RFC 4861 7.1.2: hop limit 255, checksum). Nothing for other frames.
std::optional<Heard> read_answer(std::span<const uint8_t> frame);

}  // namespace lf::neighbour
