// SPDX-License-Identifier: Apache-2.0
#include "tests/support/world.hpp"

#include <algorithm>
#include <cstring>

#include "dataplane/net/address.hpp"

namespace lf::test {
namespace {

uint8_t version_of(const std::string& text) {
  return text.find(':') == std::string::npos ? 4 : 6;
}

config::Organisation organisation(const std::string& name, uint32_t id, const Key& key) {
  config::Organisation org;
  org.name = name;
  org.id = id;
  org.keys = {{.id = 0, .bytes = key}};
  return org;
}

config::Intent intent(const std::string& name, uint8_t code, bool replayable) {
  config::Intent i;
  i.name = name;
  i.code = code;
  i.clearance = code;
  i.replayable = replayable;
  return i;
}

}  // namespace

IpAddress ip(const std::string& text) {
  const Bytes bytes = ip_bytes(text);
  if (bytes.size() == 16) return net::from_ipv6(bytes.data());
  uint32_t wire;
  std::memcpy(&wire, bytes.data(), 4);
  return net::from_ipv4(wire);
}

rte_ether_addr mac(const Mac& m) {
  rte_ether_addr out;
  std::ranges::copy(m, out.addr_bytes);
  return out;
}

config::Service service(const std::string& name, const std::string& address,
                        const std::vector<std::string>& nodes, uint32_t first_node_id) {
  config::Service s;
  s.name = name;
  s.address = ip(address);
  s.ip_version = version_of(address);
  s.authentication = config::Authentication::off;
  for (size_t i = 0; i < nodes.size(); ++i) {
    config::Node n;
    n.name = name + "-" + std::to_string(i + 1);
    n.id = first_node_id + static_cast<uint32_t>(i);
    n.address = ip(nodes[i]);
    n.ip_version = version_of(nodes[i]);
    n.mac = kNodeMac;
    s.nodes.push_back(n);
  }
  return s;
}

config::Config world() {
  config::Config c;
  c.path = "world";
  config::Port port;
  port.name = "lan";
  port.device = "net_null0";
  port.addresses = {{ip(kOwn4), 24, 4}, {ip(kOwn6), 64, 6}};
  c.ports = {port};
  c.intents = {intent("status-refresh", 1, true), intent("replay-window", 2, true),
               intent("orbit-adjust", 3, false), intent("failover-region", 4, false),
               intent("firmware-patch", 5, false)};
  c.organisations = {organisation("acme", 1, kAcmeKey), organisation("globex", 2, kGlobexKey)};
  c.services = {service("commands", kOwn4, {kNode4, "10.0.0.15"}, 1),
                service("commands6", kOwn6, {kNode6, "fd00::f"}, 3)};
  return c;
}

std::vector<ports::PortInfo> world_ports() {
  ports::PortInfo p;
  p.name = "lan";
  p.id = 0;
  p.mac = mac(kPortMac);
  return {p};
}

}  // namespace lf::test
