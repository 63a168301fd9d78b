// SPDX-License-Identifier: Apache-2.0
// A place where usual packets go (parse/usual.hpp): an endpoint or a flow service on one port, in
// one layout of frames. It holds what a frame to it looks like, byte for byte, so that a packet is
// compared with all of it in two vectors; and what its packets have in common in their metadata.
// Made when a packet goes there, and known until there is another table. Thread: the worker.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/core/burst.hpp"
#include "dataplane/net/offsets.hpp"
#include "dataplane/parse/table.hpp"

namespace lf::parse {

inline constexpr size_t kVector = 32;
using Bytes32 = std::array<uint8_t, kVector>;

// What each byte of a vector is at least and at most.
struct alignas(kVector) Bounds {
  Bytes32 low{}, high{};
};

// What tells places apart.
struct PlaceKey {
  IpAddress destination;
  uint16_t port = 0;  // wire order
  uint8_t protocol = 0;
  uint8_t in_port = 0;                  // DPDK port id
  uint16_t vlan_tci = 0;                // wire order
  net::Layout layout{.ip_version = 0};  // of no frame: none is known here yet
  bool operator==(const PlaceKey&) const = default;
};

struct alignas(kVector) Place {
  // Of a frame's first 32 bytes, and of the 32 that end with LCP's first eight; of a tagged frame
  // all is kTagSize later. Lengths are compared as what they differ from those that a frame should
  // have (lengths_of()), and count where LCP is spoken.
  Bounds first, second;
  Bytes32 ids{};  // Meta from org_id on, of packets without LCP
  // Meta from vlan_tci to org of a command, by its IntentIndex.
  alignas(kVector) std::array<uint8_t, 16> by_intent[kIntentsMax]{};
  PlaceKey key;
  // nb_segs (1) and port of the mbuf; 0 fits none.
  uint32_t segments_and_port = 0;
  uint32_t mac_start = 0;  // the first bytes of the frame, for those of a tagged one in no vector
  uint32_t least = 0;      // the end of the shortest packet for it, in a frame without a tag
  uint32_t shortest = 0;   // the whole frame of that packet; shorter ones go the general way
  const Endpoint* endpoint = nullptr;
  const FlowAddress* flow = nullptr;
  bool port_checks_sums = false;  // its verdict on some checksums counts
  bool is_plain = false;          // LCP, and no such port
  // How parts of commands to it are parsed together (parse.cpp), by its layout and by whether the
  // port checks their checksums; 0: not, as there are none, or the port checks but one of two.
  uint8_t together = 0;
};

struct Places {
  static constexpr uint32_t kMax = 8;
  Place place[kMax];
  uint64_t table = 0;         // the id of the one that they are of
  const Place* last = place;  // where the packet before went
  uint32_t next = 0;          // to be made anew
};

}  // namespace lf::parse
