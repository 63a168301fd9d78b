// SPDX-License-Identifier: Apache-2.0
// Ports that the host's own connections leave from (net.ipv4.ip_local_port_range, for both
// families). Where the host has an own address, too, and flows are translated to it, these must
// not be among flows.nat_ports: the host's answers would be taken for nodes'. Thread: control.
#pragma once

#include <bitset>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/config/config.hpp"
#include "control/xdp/contents.hpp"

namespace lf::xdp {

struct HostPorts {
  uint16_t first = 1, last = 0;  // none
  std::bitset<65536> reserved;   // within the range, but not used
};

// `range`: "32768\t60999"; `reserved`: "8080,9000-9100". What cannot be read counts as nothing.
HostPorts parse_host_ports(std::string_view range, std::string_view reserved);
HostPorts host_ports();  // of this network namespace

// A warning for each own address that flows are translated to and that the host has, too.
std::vector<std::string> shared_port_warnings(const config::Config& config,
                                              std::span<const HostAddress> host,
                                              const HostPorts& ports);
// The same for this host, now.
std::vector<std::string> shared_port_warnings(const config::Config& config);

}  // namespace lf::xdp
