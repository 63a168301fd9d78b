// SPDX-License-Identifier: Apache-2.0
// Puts a packet, as it is, behind an outer IP header to its node: IPIP, IP6IP6, IP in IPv6 and IPv6
// in IPv4 (RFC 2003, 2473, 4213), or GUE (draft-ietf-intarea-gue, version 0, no options). What the
// outer header varies by flow, so that the node's receive queues share the load: the source
// address within a prefix, the UDP source port, the IPv6 flow label. Called by the flow stage.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "dataplane/core/burst.hpp"
#include "dataplane/forward/table.hpp"

namespace lf::flow {

struct Outer {
  forward::Mode mode = forward::Mode::ipip;  // or gue
  uint16_t gue_port = 0;                     // wire order
  IpAddress source;                          // all zero: the node's own one
  IpAddress vary;                            // bits of the source that the flow's hash fills
  bool operator==(const Outer&) const = default;
};

// Writes the whole frame but for the packet itself, link header included, and sets meta's offsets
// and IP version to the outer ones. False: no headroom; then nothing has changed.
bool encapsulate(rte_mbuf* m, Meta& meta, const Outer& outer, const forward::Node& node,
                 uint64_t hash) noexcept;

}  // namespace lf::flow
