// SPDX-License-Identifier: Apache-2.0
// Makes the table of the parse stage from the configuration and the started ports. Called on the
// control thread at start and at each reload. Pure: the same arguments give the same table.
#pragma once

#include <span>

#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "control/forward/slots.hpp"
#include "control/ports/port_set.hpp"
#include "dataplane/parse/table.hpp"

namespace lf::parse {

// Endpoints are each service's address and port. Every own address also takes nodes' replies and
// reports on the ports of the services, whatever address a command was sent from.
// `slots` is synced with the configuration; without it numbers are positions in the configuration.
Result<Table> build_table(const config::Config& config, std::span<const ports::PortInfo> ports);
Result<Table> build_table(const config::Config& config, const forward::Slots& slots,
                          std::span<const ports::PortInfo> ports);

}  // namespace lf::parse
