// SPDX-License-Identifier: Apache-2.0
// Every mbuf of our pools has a private area for one Note: a copy of the packet's metadata for the
// time that it is outside a burst (in a delay wheel, in a ring to or from control), and why it
// travels. Writer: whoever owns the mbuf; it changes hands with it, so no atomics.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <cstring>

#include "dataplane/core/burst.hpp"

namespace lf {

// What a packet in a worker's ring to control is.
enum class ToControl : uint8_t {
  neighbour,    // ARP reply, neighbour advertisement
  icmp_error,   // ICMP or ICMPv6 error
  report,       // REPORT, authenticated; meta.node is the sender
  approval,     // APPROVAL, authenticated
  probe_reply,  // PROBE_REPLY; meta.node is the sender
  held,         // command that policy holds
  reply,        // REPLY to a command that control submitted
};

struct Note {
  Meta meta;
  Tsc received = 0;  // burst time of the worker that noted it
  ToControl kind = ToControl::neighbour;
  uint8_t worker = 0;
};

inline constexpr uint16_t kMbufPrivateSize = RTE_ALIGN_CEIL(sizeof(Note), RTE_MBUF_PRIV_ALIGN);

// The private area follows the mbuf structure; valid for mbufs of pools made with kMbufPrivateSize.
inline Note& note_of(rte_mbuf* m) noexcept {
  return *static_cast<Note*>(rte_mbuf_to_priv(m));
}

}  // namespace lf
