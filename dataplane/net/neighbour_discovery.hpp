// SPDX-License-Identifier: Apache-2.0
// Neighbour discovery on the wire (RFC 4861, 4.3, 4.4 and 4.6.1): what asks for an IPv6 neighbour's
// MAC address and what answers. Used by the exception stage and by lf-gen.
#pragma once

#include <rte_ether.h>

#include <cstdint>

namespace lf::net {

inline constexpr uint8_t kNeighbourSolicitation = 135, kNeighbourAdvertisement = 136;
inline constexpr uint8_t kDiscoveryHopLimit = 255;
inline constexpr uint8_t kSourceLinkLayer = 1, kTargetLinkLayer = 2;  // options
inline constexpr uint32_t kSolicited = 0x40000000, kOverride = 0x20000000;  // flags, host order

// Solicitation and advertisement; options follow.
struct NeighbourMessage {
  uint8_t type, code;
  uint16_t checksum;
  uint32_t flags;
  uint8_t target[16];
} __attribute__((packed));
static_assert(sizeof(NeighbourMessage) == 24);

struct LinkLayerOption {
  uint8_t type, length;  // length in 8 bytes
  uint8_t mac[RTE_ETHER_ADDR_LEN];
} __attribute__((packed));

}  // namespace lf::net
