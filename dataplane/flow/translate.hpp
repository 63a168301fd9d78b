// SPDX-License-Identifier: Apache-2.0
// Gives a TCP or UDP packet other ends, or the packet that an ICMP error quotes. Checksums are
// updated for what changed and never made anew (RFC 1624), but for ICMP errors, which are checked
// first. Parts of the flow stage's sending; pure functions on workers.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "dataplane/core/burst.hpp"

namespace lf::flow {

struct Ends {
  const IpAddress& source;
  const IpAddress& destination;
  uint16_t source_port, destination_port;  // wire order
};

// The TTL is counted down, too.
void translate(rte_mbuf* m, const Meta& meta, const Ends& ends) noexcept;

// An ICMP error: the packet goes from `source` to `destination`, and the one that it quotes gets
// `quoted`. False: its checksum is wrong.
bool translate_error(rte_mbuf* m, const Meta& meta, const IpAddress& source,
                     const IpAddress& destination, const Ends& quoted) noexcept;

// Lowers the MSS option of a SYN to `mss` where it asks for more.
void clamp_mss(rte_mbuf* m, const Meta& meta, uint16_t mss) noexcept;

}  // namespace lf::flow
