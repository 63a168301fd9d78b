// SPDX-License-Identifier: Apache-2.0
// Flow services as workers read them: how each is reached, and its Maglev table, which says what
// node a flow has that nobody remembers. Built by control/flow, immutable in the Snapshot. The
// nodes themselves are those of the forwarding table.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/core/types.hpp"
#include "dataplane/flow/encapsulate.hpp"
#include "dataplane/flow/organisations.hpp"
#include "dataplane/forward/table.hpp"

namespace lf::flow {

// Coarse time for ages: TSC ticks shifted, about 30 ms at 2 GHz.
using Stamp = uint32_t;
inline constexpr uint32_t kStampShift = 26;
constexpr Stamp stamp_of(Tsc now) noexcept {
  return static_cast<Stamp>(now >> kStampShift);
}

// How long a flow is remembered after its last packet.
struct Ages {
  Stamp tcp_idle = 0, udp_idle = 0;
  Stamp opening = 0;  // only one packet was seen
  Stamp closing = 0;  // FIN was seen
  Stamp reset = 0;    // RST was seen
};

struct Service {
  uint32_t first = 0;  // into Table::places
  uint32_t count = 0;  // 0: no node takes flows
  forward::Mode mode = forward::Mode::nat;
  bool configured = false;
  uint16_t mss = 0;                   // 0: left as it is
  Outer outer;                        // modes ipip and gue
  IntentIndex intent = kOtherIntent;  // that quotas count new flows under
  uint8_t intent_code = 0;            // the same for policy
  uint32_t operator_id = 0;           // as whose commands policy judges new flows; 0: it does not
};

struct Table {
  std::vector<Service> services;  // by ServiceIndex
  std::vector<NodeSlot> places;   // all Maglev tables, one after the other
  // By slot: epoch of the node that may keep the flows it has; 0: they go to other nodes. A slot's
  // next node has another epoch, so nobody's flows are taken for somebody else's.
  std::vector<uint32_t> keeps;
  Ages ages;
  uint16_t nat_first = 1, nat_last = 0;                // ports of own addresses, host order
  std::shared_ptr<const Organisations> organisations;  // null: no flow is anybody's
};

}  // namespace lf::flow
