// SPDX-License-Identifier: Apache-2.0
#include "control/neighbour/service.hpp"

#include <algorithm>
#include <cstring>

#include "control/base/address.hpp"
#include "control/neighbour/frames.hpp"

namespace lf::neighbour {
namespace {

const config::Prefix* own_prefix(const PortView& port, uint8_t ip_version) {
  for (const config::Prefix& p : port.addresses) {
    if (p.ip_version == ip_version) return &p;
  }
  return nullptr;
}

const PortView* port_by_id(std::span<const PortView> ports, uint16_t id) {
  const auto it = std::find_if(ports.begin(), ports.end(), [&](auto& p) { return p.id == id; });
  return it == ports.end() ? nullptr : &*it;
}

}  // namespace

Route route_to(std::span<const PortView> ports, const IpAddress& address, uint8_t ip_version) {
  for (const PortView& port : ports) {
    for (const config::Prefix& p : port.addresses) {
      if (p.ip_version == ip_version && in_prefix(address, p.address, p.length)) {
        return {.port = &port, .source = p.address, .via = address};
      }
    }
  }
  for (const PortView& port : ports) {
    const config::Prefix* own = own_prefix(port, ip_version);
    if (own == nullptr) continue;
    for (const IpAddress& gateway : port.gateways) {
      if (is_ipv4(gateway) == (ip_version == 4)) {
        return {.port = &port, .source = own->address, .via = gateway};
      }
    }
  }
  return {};
}

void Service::configure(const config::Config& config, const forward::Slots& slots, MonoNs now) {
  watched_.clear();
  ip_version_.clear();
  next_hops_.clear();
  std::map<Key, std::optional<rte_ether_addr>> wanted;
  for (const config::Service& service : config.services) {
    for (const config::Node& node : service.nodes) {
      const NodeSlot slot = slots.node(service.name, node.name);
      const Route route = route_to(ports_, node.address, node.ip_version);
      if (slot == kNoNode || route.port == nullptr) continue;
      if (next_hops_.size() <= slot) next_hops_.resize(slot + 1u);
      next_hops_[slot] = {.source_mac = route.port->mac,
                          .source = route.source,
                          .vlan_tci = route.port->vlan,
                          .mtu = route.port->mtu,
                          .out_port = static_cast<uint8_t>(route.port->id)};
      const Key key{.address = route.via, .port = route.port->id};
      watched_.push_back({slot, key});
      ip_version_[key] = node.ip_version;
      auto& fixed = wanted[key];
      if (node.mac) {
        fixed.emplace();
        std::memcpy(&*fixed, node.mac->data(), RTE_ETHER_ADDR_LEN);
      }
    }
  }
  table_.want({wanted.begin(), wanted.end()}, now);
  refresh();
}

bool Service::tick(MonoNs now) {
  bool changed = false;
  for (const Request& request : table_.tick(now, changed)) {
    const PortView* port = port_by_id(ports_, request.key.port);
    const uint8_t ip_version = ip_version_[request.key];
    const config::Prefix* own = port == nullptr ? nullptr : own_prefix(*port, ip_version);
    if (own == nullptr) continue;
    send_(port->id, request_frame({.target = request.key.address,
                                   .source = own->address,
                                   .ip_version = ip_version,
                                   .source_mac = port->mac,
                                   .vlan = port->vlan,
                                   .unicast_to = request.unicast_to}));
  }
  if (changed) refresh();
  return changed;
}

bool Service::heard(uint16_t port, std::span<const uint8_t> frame, MonoNs now) {
  const auto answer = read_answer(frame);
  if (!answer || !table_.heard({.address = answer->address, .port = port}, answer->mac, now)) {
    return false;
  }
  refresh();
  return true;
}

void Service::refresh() {
  for (const Watched& w : watched_) {
    const auto mac = table_.find(w.key);
    next_hops_[w.slot].resolved = mac.has_value();
    if (mac) next_hops_[w.slot].mac = *mac;
  }
}

}  // namespace lf::neighbour
