// SPDX-License-Identifier: Apache-2.0
// The addresses that the kernel has, in this network namespace. An own address of the data plane
// that is among them is shared with the host (contents.hpp). Thread: control.
#pragma once

#include <vector>

#include "control/xdp/contents.hpp"

namespace lf::xdp {

// In the kernel's order; empty when it does not say.
std::vector<HostAddress> host_addresses();

}  // namespace lf::xdp
