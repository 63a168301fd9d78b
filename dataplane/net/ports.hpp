// SPDX-License-Identifier: Apache-2.0
// What stages know about DPDK ports: a small array in the Snapshot, by port id. Built by control
// from the configuration and what the port said about itself when it was started.
#pragma once

#include <rte_ether.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "dataplane/core/types.hpp"

namespace lf::net {

inline constexpr uint8_t kNoPort = 0xff;

// A MAC address as the low 48 bits of a number, in memory order. One load: 8 bytes are readable.
inline uint64_t mac48(const void* bytes) noexcept {
  uint64_t mac;
  std::memcpy(&mac, bytes, sizeof(mac));
  return mac & 0xffff'ffff'ffff;
}

struct Port {
  rte_ether_addr mac{};   // all zero: not known, frames to any MAC address are taken
  uint16_t vlan_tci = 0;  // of the own addresses; not 0: no other VLAN is taken
  uint16_t mtu = 1500;
  bool rx_ip_checksum = false;    // the port checks IPv4 header checksums, its verdict counts
  bool rx_udp_checksum = false;   // the same for UDP
  bool tx_checksum = false;       // the port can fill in IPv4 and UDP checksums
  uint8_t kernel_port = kNoPort;  // where exceptions of this port go
  uint8_t kernel_of = kNoPort;    // this is the way to the kernel of that port
};

using Ports = std::array<Port, kPortsMax>;

}  // namespace lf::net
