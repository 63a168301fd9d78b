// SPDX-License-Identifier: Apache-2.0
// Sends the packets of flows on: to their nodes as the service's mode says, or back to the client.
// nat changes both ends and counts the TTL down; dsr-l2 changes MAC addresses alone; ipip and gue
// put the packet as it is behind an outer header (net/encapsulate.hpp). Called by the pipeline on a
// worker, after find and open.
#pragma once

#include "dataplane/core/burst.hpp"
#include "dataplane/flow/flow.hpp"
#include "dataplane/flow/table.hpp"
#include "dataplane/forward/table.hpp"
#include "dataplane/net/ports.hpp"

namespace lf::flow {

// Packets to meta.node. What does not fit the node's MTU is decided too_big, moved to `too_big`
// and left as it was received; sets out_port.
void to_nodes(const Table& table, const forward::Table& nodes, State& state, Burst& burst,
              Selection& live, Selection& too_big) noexcept;

// Packets from nodes to the clients of their mappings; those without one go to `strangers`, and
// are nobody's flow.
void to_clients(const Table& table, const net::Ports& ports, State& state, Burst& burst,
                Selection& live, Selection& too_big, Selection& strangers) noexcept;

}  // namespace lf::flow
