// SPDX-License-Identifier: Apache-2.0
// An Ethernet frame that carries an LCP datagram from us to a node, as the forwarding table says
// it is reached. For what control itself sends (probes); commands are rewritten by workers. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/forward/table.hpp"

namespace lf::probe {

// Checksums are filled in; padded to 60 bytes where it is shorter.
std::vector<uint8_t> frame_to(const forward::Node& node, std::span<const uint8_t> datagram);

}  // namespace lf::probe
