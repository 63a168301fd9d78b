// SPDX-License-Identifier: Apache-2.0
// A daemon that was killed while it used an interface through AF_XDP leaves the driver's XDP
// program attached, and the next start fails until it is gone. This takes such leftovers away
// before the port is opened, and leaves every other XDP program alone. Thread: main, at start.
#pragma once

#include <string>

namespace lf::ports {

// The kernel's interface in device arguments of net_af_xdp; empty for other devices.
std::string af_xdp_interface(const std::string& device);

// Whether an XDP program of this name is one that the AF_XDP driver attaches (libxdp's default
// program or its dispatcher, or ours with the seats for its sockets).
bool is_af_xdp_leftover(const std::string& program_name);

// For device arguments of net_af_xdp ("net_af_xdp0,iface=eth1,…"); true when something was
// detached. Other devices: nothing happens.
bool detach_stale_xdp(const std::string& device);

}  // namespace lf::ports
