// SPDX-License-Identifier: Apache-2.0
#include "control/config/check_network.hpp"

#include <fmt/format.h>

#include <map>

namespace lf::config {
namespace {

std::string show(const IpAddress& address) {
  return quote(format_address(address));
}

bool is_tunnel(forward::Mode mode) {
  return mode == forward::Mode::ipip || mode == forward::Mode::gue;
}

// Whether the reader left an address here; a missing or bad one has its own message already.
bool given(const IpAddress& address) {
  return address != IpAddress{};
}

// What a unicast host address must not be; empty when it is fine.
std::string_view unfit(const IpAddress& address) {
  if (is_unspecified(address)) return "is the unspecified address";
  if (is_multicast(address)) return "is a multicast or broadcast address";
  if (is_loopback(address)) return "is a loopback address";
  return {};
}

bool overlap(const Prefix& a, const Prefix& b) {
  const uint8_t length = std::min(a.length, b.length);
  return a.ip_version == b.ip_version && in_prefix(a.address, b.address, length);
}

void check_own_addresses(Context& context, const Config& config,
                         std::map<std::pair<uint64_t, uint64_t>, std::string>& own) {
  for (size_t i = 0; i < config.ports.size(); ++i) {
    const Port& port = config.ports[i];
    for (size_t k = 0; k < port.addresses.size(); ++k) {
      const Prefix& prefix = port.addresses[k];
      const std::string path = fmt::format("ports[{}].addresses[{}]", i, k);
      if (const auto why = unfit(prefix.address); !why.empty())
        context.error_at(path, fmt::format("{} {}", show(prefix.address), why));
      const auto [first, fresh] = own.try_emplace({prefix.address.hi, prefix.address.lo}, path);
      if (!fresh)
        context.error_at(path,
                         fmt::format("{} is {} already", show(prefix.address), first->second));
      if (is_link_local(prefix.address)) continue;  // every link has the same
      for (size_t other = 0; other < i; ++other)
        for (const Prefix& theirs : config.ports[other].addresses)
          if (fresh && overlap(prefix, theirs))
            context.error_at(path,
                             fmt::format("\"{}\" overlaps {} of port {}", format_prefix(prefix),
                                         format_prefix(theirs), config.ports[other].name));
    }
    if (port.mtu < 1280)
      for (const Prefix& prefix : port.addresses)
        if (prefix.ip_version == 6) {
          context.error_at(fmt::format("ports[{}].mtu", i),
                           fmt::format("\"{}\" is below 1280, which IPv6 requires", port.mtu));
          break;
        }
  }
}

void check_gateways(Context& context, const Config& config,
                    const std::map<std::pair<uint64_t, uint64_t>, std::string>& own) {
  for (size_t i = 0; i < config.ports.size(); ++i) {
    const Port& port = config.ports[i];
    bool seen[2] = {false, false};
    for (size_t k = 0; k < port.gateways.size(); ++k) {
      const IpAddress& gateway = port.gateways[k];
      const std::string path = fmt::format("ports[{}].gateways[{}]", i, k);
      if (const auto why = unfit(gateway); !why.empty())
        context.error_at(path, fmt::format("{} {}", show(gateway), why));
      else if (own.contains({gateway.hi, gateway.lo}))
        context.error_at(path, fmt::format("{} is an own address", show(gateway)));
      else if (!(is_link_local(gateway) && !is_ipv4(gateway)) &&
               port_on_link(config, gateway) != static_cast<int>(i))
        context.error_at(path, fmt::format("{} is on no subnet of its port", show(gateway)));
      bool& family = seen[is_ipv4(gateway) ? 0 : 1];
      if (family)
        context.error_at(path, fmt::format("{} is a second gateway of its address family; a port "
                                           "has one",
                                           show(gateway)));
      family = true;
    }
  }
}

void check_service(Context& context, const Config& config, const Service& service,
                   const std::string& path,
                   const std::map<std::pair<uint64_t, uint64_t>, std::string>& own) {
  if (given(service.address)) {
    if (const auto why = unfit(service.address); !why.empty())
      context.error_at(path + ".address", fmt::format("{} {}", show(service.address), why));
    else if (port_towards(config, service.address) < 0)
      context.error_at(
          path + ".address",
          fmt::format("{} is on no port's subnet, and no port has an {} gateway",
                      show(service.address), service.ip_version == 4 ? "IPv4" : "IPv6"));
  }
  for (size_t k = 0; k < service.nodes.size(); ++k) {
    const Node& node = service.nodes[k];
    const std::string node_path = fmt::format("{}.nodes[{}].address", path, k);
    if (!given(node.address)) continue;
    if (const auto why = unfit(node.address); !why.empty())
      context.error_at(node_path, fmt::format("{} {}", show(node.address), why));
    else if (given(service.address) && node.ip_version != service.ip_version &&
             !is_tunnel(service.mode))
      context.error_at(node_path, fmt::format("{} is IPv{}, but the service's address {} is IPv{}",
                                              show(node.address), node.ip_version,
                                              show(service.address), service.ip_version));
    else if (own.contains({node.address.hi, node.address.lo}) || node.address == service.address)
      context.error_at(node_path, fmt::format("{} is an own address", show(node.address)));
    else if (port_towards(config, node.address) < 0)
      context.error_at(node_path,
                       fmt::format("{} is on no port's subnet, and no port has an {} gateway",
                                   show(node.address), node.ip_version == 4 ? "IPv4" : "IPv6"));
    else if (service.mode == forward::Mode::dsr_l2 && port_on_link(config, node.address) < 0)
      context.error_at(node_path, fmt::format("{} is on no port's subnet, which mode dsr-l2 needs",
                                              show(node.address)));
  }
}

// One node or LCP service for an address and port: replies are told apart by them. Flow services
// have a protocol besides, and share nodes freely.
void check_endpoints(Context& context, const Config& config) {
  using Endpoint = std::tuple<uint64_t, uint64_t, uint16_t, Protocol>;
  std::map<Endpoint, std::string> services, nodes;
  const auto add = [&](auto& map, const IpAddress& address, uint16_t port, Protocol protocol,
                       std::string path) {
    if (!given(address)) return;
    const auto [first, fresh] = map.try_emplace({address.hi, address.lo, port, protocol}, path);
    if (!fresh)
      context.error_at(path + ".address", fmt::format("{} port {} is used by {} already",
                                                      show(address), port, first->second));
  };
  for (size_t i = 0; i < config.services.size(); ++i) {
    const Service& service = config.services[i];
    const bool flow = service.kind == ServiceKind::flow;
    add(services, service.address, service.port, flow ? service.protocol : Protocol::udp,
        fmt::format("services[{}]", i));
    if (flow) continue;
    for (size_t k = 0; k < service.nodes.size(); ++k)
      add(nodes, service.nodes[k].address, service.nodes[k].port, Protocol::udp,
          fmt::format("services[{}].nodes[{}]", i, k));
  }
}

}  // namespace

int port_on_link(const Config& config, const IpAddress& address) {
  for (size_t i = 0; i < config.ports.size(); ++i)
    for (const Prefix& prefix : config.ports[i].addresses)
      if (in_prefix(address, prefix.address, prefix.length)) return static_cast<int>(i);
  return -1;
}

int port_towards(const Config& config, const IpAddress& address) {
  if (const int port = port_on_link(config, address); port >= 0) return port;
  for (size_t i = 0; i < config.ports.size(); ++i)
    for (const IpAddress& gateway : config.ports[i].gateways)
      if (is_ipv4(gateway) == is_ipv4(address)) return static_cast<int>(i);
  return -1;
}

void check_network(Context& context, const Config& config) {
  std::map<std::pair<uint64_t, uint64_t>, std::string> own;
  check_own_addresses(context, config, own);
  check_gateways(context, config, own);
  for (size_t i = 0; i < config.services.size(); ++i)
    check_service(context, config, config.services[i], fmt::format("services[{}]", i), own);
  check_endpoints(context, config);
}

}  // namespace lf::config
