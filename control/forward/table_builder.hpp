// SPDX-License-Identifier: Apache-2.0
// Builds the forwarding table from the configuration, the neighbours and the weights. Pure: the
// runtime calls it on the control thread when one of them has changed and publishes the result.
#pragma once

#include <rte_ether.h>

#include <memory>
#include <span>
#include <vector>

#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "control/forward/slots.hpp"
#include "dataplane/forward/alias.hpp"
#include "dataplane/forward/table.hpp"

namespace lf::forward {

// How a node is reached; the runtime's part of the table.
struct NextHop {
  rte_ether_addr mac{};  // of the node or of the gateway to it
  rte_ether_addr source_mac{};
  IpAddress source;  // own address that the node sees
  uint16_t vlan_tci = 0;
  uint16_t mtu = 1500;  // of the port
  uint8_t out_port = 0;
  bool resolved = false;  // mac is known
};

// Who takes a service's traffic. `primary` may have a share of kNoNode, which spills to failover.
struct PoolPlan {
  std::vector<Share> primary;
  std::vector<Share> failover;
};

struct TableInput {
  const config::Config& config;
  const Slots& slots;                    // synced with this configuration
  std::span<const NextHop> next_hops;    // by NodeSlot; those beyond its end are unresolved
  std::span<const PoolPlan> pool_plans;  // by ServiceIndex; those beyond its end are empty
  uint64_t tsc_hz = 0;
};

// Nodes without a known MAC address are left out of the pools; their share goes to the others.
Result<std::shared_ptr<const Table>> build_table(const TableInput& input);

// Configured weights as they are, without health: the primary region's nodes, and those of the
// first failover region that has any.
std::vector<PoolPlan> fixed_plans(const config::Config& config, const Slots& slots);

}  // namespace lf::forward
