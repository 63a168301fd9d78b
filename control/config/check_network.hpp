// SPDX-License-Identifier: Apache-2.0
// The address plan: every address makes sense where it stands, none is used twice, and everything
// that we must reach is on a port's subnet or behind a gateway.
#pragma once

#include "control/config/reader.hpp"

namespace lf::config {

void check_network(Context& context, const Config& config);

// Port whose subnet holds the address, else the first one with a gateway of its family, else -1.
// The rule by which the daemon picks the port towards a node or a client.
int port_towards(const Config& config, const IpAddress& address);
// Only the first half of that rule.
int port_on_link(const Config& config, const IpAddress& address);

}  // namespace lf::config
