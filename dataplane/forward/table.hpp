// SPDX-License-Identifier: Apache-2.0
// Forwarding table: services, their pools as alias tables, and what a node needs on the wire.
// Built by control (control/forward) at each change of weights or neighbours, read by the choose
// and rewrite stages. Immutable once published.
#pragma once

#include <rte_ether.h>

#include <cstdint>
#include <vector>

#include "dataplane/core/burst.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/forward/image.hpp"

namespace lf::forward {

// proxy is for LCP commands, nat for flows: both pass the answers through us.
enum class Mode : uint8_t { proxy, dsr_l2, ipip, gue, nat };
enum class Balance : uint8_t { weighted_random, least_loaded };

// One cache line and a bit: what rewrite needs to send to a node. Index = NodeSlot.
struct Node {
  IpAddress address;         // v4-mapped for IPv4
  IpAddress source;          // own address that the node sees (proxy), outer source (encapsulation)
  uint16_t port = 0;         // wire order
  uint16_t source_port = 0;  // wire order; where the node sends its replies
  rte_ether_addr mac{};      // next hop: the node or its gateway
  rte_ether_addr source_mac{};
  uint16_t vlan_tci = 0;  // 0: untagged
  uint16_t mtu = 1500;    // largest IP packet
  ServiceIndex service = kNoService;
  uint8_t out_port = 0;  // DPDK port id
  uint8_t ip_version = 4;
  Mode mode = Mode::proxy;
  bool resolved = false;    // mac is known
  bool configured = false;  // slot in use
  bool flow = false;        // of a flow service
  uint8_t region = 0;
  uint32_t node_id = 0;     // the id that it uses in REPORTs
  OrgIndex owner = kNoOrg;  // organisation whose key signs for it; kNoOrg: none
};

// Walker/Vose alias table: draw a column c uniformly and a 32-bit number r; the choice is
// r < threshold ? self : other. O(1) whatever the number of nodes.
struct AliasColumn {
  uint32_t threshold = 0;
  NodeSlot self = kNoNode;
  NodeSlot other = kNoNode;
};

// A column may name kNoNode: that share of the traffic is more than the pool may take (a cap during
// warm-up, a region on its way back) and goes to the failover pool.
struct Pool {
  uint32_t first = 0;  // into Table::columns
  uint32_t count = 0;  // 0: no node in the pool has weight
};

struct Service {
  Pool primary;   // nodes with weight and a known MAC address in the service's active region
  Pool failover;  // used when no node of primary can take a packet (open breakers between tables)
  bool unresolved = false;  // both pools are empty only because no MAC address is known yet
  Balance balance = Balance::weighted_random;
  Mode mode = Mode::proxy;  // of all its nodes
  Tsc timeout_tsc = 0;  // in flight longer: timed out
  Tsc slow_tsc = 0;     // replies slower than this count as slow calls
  bool adaptive_timeout = false;
};

struct Table {
  std::vector<Node> nodes;           // size: highest used slot + 1
  std::vector<Image> images;         // of them, as nearly all commands are sent
  std::vector<Service> services;     // by ServiceIndex
  std::vector<AliasColumn> columns;  // all pools, one after the other
  // By slot: share of its pool's traffic as a 32-bit fraction; 0: takes no new command.
  std::vector<uint32_t> weights;
  // Open-addressed map of node addresses (address, port) -> slot: who sent this reply or report.
  // Size is a power of two, at most half full; kNoNode marks a free place.
  std::vector<NodeSlot> by_address;
};

// Places in Table::by_address.
inline uint32_t address_hash(const IpAddress& a, uint16_t port) noexcept {
  uint64_t h = (a.hi ^ (a.lo * 0x9e3779b97f4a7c15ull) ^ port) * 0xff51afd7ed558ccdull;
  return static_cast<uint32_t>(h >> 32);
}

// Node with this address and port (wire order), or kNoNode.
inline NodeSlot find_node(const Table& t, const IpAddress& a, uint16_t port) noexcept {
  if (t.by_address.empty()) return kNoNode;
  const uint32_t mask = static_cast<uint32_t>(t.by_address.size()) - 1;
  for (uint32_t i = address_hash(a, port) & mask;; i = (i + 1) & mask) {
    const NodeSlot slot = t.by_address[i];
    if (slot == kNoNode) return kNoNode;
    const Node& n = t.nodes[slot];
    if (n.address == a && n.port == port) return slot;
  }
}

}  // namespace lf::forward
