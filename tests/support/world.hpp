// SPDX-License-Identifier: Apache-2.0
// The little world that packet tests live in: one port with the addresses kOwn4 and kOwn6, two
// organisations, the intents of the shipped configuration, and services in both families. A test
// changes what it is about and builds the tables from it.
#pragma once

#include <vector>

#include "control/config/config.hpp"
#include "control/ports/port_set.hpp"
#include "tests/support/packet.hpp"

namespace lf::test {

IpAddress ip(const std::string& text);
rte_ether_addr mac(const Mac& m);

// Services, by their order: "commands" (kOwn4, node 1 and 2), "commands6" (kOwn6, nodes 3 and 4).
config::Config world();
// Its port as started: DPDK port 0, kPortMac, no offloads.
std::vector<ports::PortInfo> world_ports();

// A service on `address` with nodes at the given addresses, ids from `first_node_id`.
config::Service service(const std::string& name, const std::string& address,
                        const std::vector<std::string>& nodes, uint32_t first_node_id);

inline constexpr Key kAcmeKey{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
inline constexpr Key kGlobexKey{9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};

}  // namespace lf::test
