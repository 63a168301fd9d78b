// SPDX-License-Identifier: Apache-2.0
// An Ethernet frame that carries an LCP datagram from us to a node, as the forwarding table says
// it is reached; or to us, as a client reaches us, when `node` says that. For what control itself
// makes (probes, commands of a batch, route.explain); commands are rewritten by workers. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/forward/table.hpp"

namespace lf::probe {

// Checksums are filled in; padded to 60 bytes where it is shorter.
std::vector<uint8_t> frame_to(const forward::Node& node, std::span<const uint8_t> datagram);

}  // namespace lf::probe
