// SPDX-License-Identifier: Apache-2.0
#include "control/xdp/host_ports.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include "control/base/address.hpp"
#include "control/xdp/host_addresses.hpp"

namespace lf::xdp {
namespace {

std::vector<uint32_t> numbers_in(std::string_view text) {
  std::vector<uint32_t> out;
  const char *at = text.data(), *end = at + text.size();
  while (at < end) {
    uint32_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error == std::errc()) out.push_back(std::min(value, 65535u));
    at = error == std::errc() ? next : at + 1;
  }
  return out;
}

std::string contents_of(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool translates(const config::Config& config, uint8_t ip_version) {
  return std::ranges::any_of(config.services, [&](const config::Service& s) {
    return s.kind == config::ServiceKind::flow && s.mode == forward::Mode::nat &&
           std::ranges::any_of(s.nodes,
                               [&](const config::Node& n) { return n.ip_version == ip_version; });
  });
}

}  // namespace

HostPorts parse_host_ports(std::string_view range, std::string_view reserved) {
  HostPorts out;
  const auto ends = numbers_in(range);
  if (ends.size() == 2) {
    out.first = static_cast<uint16_t>(ends[0]);
    out.last = static_cast<uint16_t>(ends[1]);
  }
  while (!reserved.empty()) {
    const size_t comma = reserved.find(',');
    const auto part = numbers_in(reserved.substr(0, comma));
    if (!part.empty())
      for (uint32_t port = part.front(); port <= part.back(); ++port) out.reserved.set(port);
    reserved = comma == std::string_view::npos ? "" : reserved.substr(comma + 1);
  }
  return out;
}

HostPorts host_ports() {
  return parse_host_ports(contents_of("/proc/sys/net/ipv4/ip_local_port_range"),
                          contents_of("/proc/sys/net/ipv4/ip_local_reserved_ports"));
}

std::vector<std::string> shared_port_warnings(const config::Config& config,
                                              std::span<const HostAddress> host,
                                              const HostPorts& ports) {
  const uint32_t first = std::max(config.flows.nat_port_first, ports.first);
  const uint32_t last = std::min(config.flows.nat_port_last, ports.last);
  uint32_t both = 0;
  for (uint32_t port = first; port <= last; ++port) both += !ports.reserved.test(port);
  std::vector<std::string> warnings;
  if (both == 0) return warnings;
  for (const config::Port& p : config.ports)
    for (const config::Prefix& own : p.addresses) {
      const auto same = [&](const HostAddress& h) { return h.address == own.address; };
      if (!translates(config, own.ip_version) || std::ranges::none_of(host, same)) continue;
      warnings.push_back(fmt::format(
          "flows.nat_ports {}-{} and the host's ip_local_port_range {}-{} share {} ports, and the "
          "host has {}, too: answers to its own connections would be taken for nodes'",
          config.flows.nat_port_first, config.flows.nat_port_last, ports.first, ports.last, both,
          format_address(own.address)));
    }
  return warnings;
}

std::vector<std::string> shared_port_warnings(const config::Config& config) {
  return shared_port_warnings(config, host_addresses(), host_ports());
}

}  // namespace lf::xdp
