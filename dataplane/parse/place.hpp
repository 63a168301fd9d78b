// SPDX-License-Identifier: Apache-2.0
// A place where usual packets go (parse/usual.hpp): an endpoint or a flow service on one port. It
// holds what a frame to it looks like, byte for byte, so that a packet is compared with all of it
// in two vectors; and what its packets have in common in their metadata. Made when a packet goes
// there, and known until there is another table. Thread: the worker.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/core/burst.hpp"
#include "dataplane/parse/table.hpp"

namespace lf::parse {

inline constexpr size_t kVector = 32;
using Bytes32 = std::array<uint8_t, kVector>;

struct alignas(kVector) Place {
  // A frame's first 32 bytes, and which of them count. The ones that do are the same for all
  // places, but for the lengths (usual.hpp), which count where LCP is spoken.
  Bytes32 link{}, link_mask{};
  // The 32 bytes behind the first 18: of each, the bits in `mask` are between `low` and
  // `low` + `span`. A byte that may be anything has an empty mask.
  Bytes32 mask{}, low{}, span{};
  Bytes32 ids{};  // Meta from org_id on, of packets without LCP
  // The same of the second vector of plain ones (together.hpp): what each byte is at least and at
  // most.
  Bytes32 lowest{}, highest{};
  // Meta from vlan_tci to org of a plain one, by its IntentIndex.
  alignas(kVector) std::array<uint8_t, 16> by_intent[kIntentsMax]{};
  // nb_segs (1) and port of the mbuf; 0 fits none.
  uint32_t segments_and_port = 0;
  uint32_t least = 0;     // the end of the shortest packet for it, from the start of the frame
  uint32_t shortest = 0;  // the frame of that packet; shorter ones are left to the general way
  uint64_t key = 0;       // place_key(); 0: none is known here yet
  const Endpoint* endpoint = nullptr;
  const FlowAddress* flow = nullptr;
  bool port_checks_sums = false;  // its verdict on some checksums counts
  bool is_plain = false;          // LCP, and no such port
  // Parts of commands to it are parsed together: it is plain, or the port's verdict on both
  // checksums counts.
  bool takes_commands = false;
};

struct Places {
  static constexpr uint32_t kMax = 4;
  Place place[kMax];
  uint64_t table = 0;         // the id of the one that they are of
  const Place* last = place;  // where the packet before went
  uint32_t next = 0;          // to be made anew
};

}  // namespace lf::parse
