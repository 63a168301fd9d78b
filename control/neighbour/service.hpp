// SPDX-License-Identifier: Apache-2.0
// Keeps the next hop of every node: picks the port and the own address by prefix or gateway, asks
// for MAC addresses and refreshes them, and says when the forwarding table must be built anew.
// Frames go out through a function that the daemon gives. Thread: control.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "control/base/clock.hpp"
#include "control/config/config.hpp"
#include "control/forward/slots.hpp"
#include "control/forward/table_builder.hpp"
#include "control/neighbour/table.hpp"

namespace lf::neighbour {

// What the service must know of a port.
struct PortView {
  uint16_t id = 0;
  rte_ether_addr mac{};
  uint16_t vlan = 0;
  uint16_t mtu = 1500;
  std::vector<config::Prefix> addresses;
  std::vector<IpAddress> gateways;
};

// How an address is reached: on link when a prefix of a port holds it, else by the first gateway
// of its family.
struct Route {
  const PortView* port = nullptr;  // nullptr: not at all
  IpAddress source;                // own address on the port, of the same family
  IpAddress via;                   // the address to resolve
};
Route route_to(std::span<const PortView> ports, const IpAddress& address, uint8_t ip_version);

class Service {
 public:
  // Sends a frame from a port; false when it could not be queued (it is asked again later).
  using SendFrame = std::function<bool(uint16_t port, std::span<const uint8_t> frame)>;

  Service(std::vector<PortView> ports, SendFrame send)
      : ports_(std::move(ports)), send_(std::move(send)) {}

  // Follows a configuration; keeps what is known of neighbours that stay.
  void configure(const config::Config& config, const forward::Slots& slots, MonoNs now);

  // Sends what is due. True when a next hop was lost.
  bool tick(MonoNs now);
  // A frame from the exception path. True when a next hop became known or changed.
  bool heard(uint16_t port, std::span<const uint8_t> frame, MonoNs now);

  // By NodeSlot.
  const std::vector<forward::NextHop>& next_hops() const { return next_hops_; }
  const std::map<Key, Entry>& entries() const { return table_.entries(); }

 private:
  struct Watched {
    NodeSlot slot;
    Key key;
  };
  void refresh();

  std::vector<PortView> ports_;
  SendFrame send_;
  Table table_;
  std::vector<Watched> watched_;
  std::map<Key, uint8_t> ip_version_;
  std::vector<forward::NextHop> next_hops_;
};

}  // namespace lf::neighbour
