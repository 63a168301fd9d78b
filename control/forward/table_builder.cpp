// SPDX-License-Identifier: Apache-2.0
#include "control/forward/table_builder.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "dataplane/forward/overhead.hpp"
#include "dataplane/lcp/header.hpp"

namespace lf::forward {
namespace {

Tsc ticks(uint64_t ms, uint64_t tsc_hz) {
  return static_cast<Tsc>(Int128{static_cast<int64_t>(ms)} * static_cast<int64_t>(tsc_hz) / 1000);
}

Node node_of(const config::Service& service, const config::Node& n, const NextHop& hop) {
  Node node;
  node.address = n.address;
  node.source = hop.source;
  node.port = lcp::be16(n.port);
  node.source_port = lcp::be16(service.port);
  node.mac = hop.mac;
  node.source_mac = hop.source_mac;
  node.vlan_tci = hop.vlan_tci;
  const uint16_t mtu = n.mtu == 0 ? hop.mtu : std::min(n.mtu, hop.mtu);
  node.mtu = static_cast<uint16_t>(mtu - overhead(service.mode, n.ip_version));
  node.out_port = hop.out_port;
  node.ip_version = n.ip_version;
  node.mode = service.mode;
  node.flow = service.kind == config::ServiceKind::flow;
  node.resolved = hop.resolved;
  node.configured = true;
  node.node_id = n.id;
  return node;
}

// The organisation that a node belongs to: the one named, or the first one.
OrgIndex owner_of(const TableInput& in, const config::Node& n) {
  for (const config::Organisation& o : in.config.organisations)
    if (n.owner.empty() || o.name == n.owner) return in.slots.organisation(o.id);
  return kNoOrg;
}

// Entries that a worker indexes, and the settings of services.
Result<void> lay_out(const TableInput& in, Table& table) {
  table.nodes.resize(in.slots.nodes.used());
  table.weights.assign(in.slots.nodes.used(), 0);
  table.services.resize(in.slots.services.used());
  for (const config::Service& s : in.config.services) {
    const ServiceIndex index = in.slots.service(s.name);
    if (index == kNoService) return fail(ErrorCode::internal, "service {}: no index", s.name);
    Service& service = table.services[index];
    service.balance = s.balance;
    service.timeout_tsc = ticks(s.timeout_ms, in.tsc_hz);
    service.mode = s.mode;
    service.slow_tsc = ticks(s.breaker.slow_ms, in.tsc_hz);
    service.adaptive_timeout = s.adaptive_timeout;
    for (const config::Node& n : s.nodes) {
      const NodeSlot slot = in.slots.node(s.name, n.name);
      if (slot == kNoNode) return fail(ErrorCode::internal, "node {}/{}: no slot", s.name, n.name);
      const NextHop hop = slot < in.next_hops.size() ? in.next_hops[slot] : NextHop{};
      table.nodes[slot] = node_of(s, n, hop);
      table.nodes[slot].service = index;
      table.nodes[slot].owner = owner_of(in, n);
      const auto region = in.slots.regions.find(n.region);
      table.nodes[slot].region = static_cast<uint8_t>(region ? region->index : 0);
    }
  }
  return {};
}

// Two services may share a node's address and port; the lower slot answers for it. Nodes of flow
// services do not speak LCP, and may have anybody's.
void map_addresses(Table& table) {
  size_t configured = 0;
  for (const Node& n : table.nodes) configured += n.configured && !n.flow;
  table.by_address.assign(std::bit_ceil(std::max<size_t>(2 * configured, 2)), kNoNode);
  const size_t mask = table.by_address.size() - 1;
  for (size_t slot = 0; slot < table.nodes.size(); ++slot) {
    const Node& n = table.nodes[slot];
    if (!n.configured || n.flow || find_node(table, n.address, n.port) != kNoNode) continue;
    size_t i = address_hash(n.address, n.port) & mask;
    while (table.by_address[i] != kNoNode) i = (i + 1) & mask;
    table.by_address[i] = static_cast<NodeSlot>(slot);
  }
}

bool has_weight(const Share& s) {
  return s.slot != kNoNode && std::isfinite(s.weight) && s.weight > 0;
}

// Adds one pool; `unresolved` is set when a node with weight had to be left out.
Pool add_pool(Table& table, std::span<const Share> plan, bool& unresolved) {
  std::vector<Share> shares;
  double sum = 0;
  for (const Share& s : plan) {
    if (!has_weight(s) || s.slot >= table.nodes.size()) continue;
    if (!table.nodes[s.slot].resolved) {
      unresolved = true;
      continue;
    }
    shares.push_back(s);
    sum += s.weight;
  }
  if (shares.empty()) return {};
  for (const Share& s : shares)
    table.weights[s.slot] = static_cast<uint32_t>(
        std::clamp(std::round(s.weight / sum * 4294967296.0), 1.0, 4294967295.0));
  for (const Share& s : plan)
    if (s.slot == kNoNode) shares.push_back(s);
  return append_pool(shares, table.columns);
}

}  // namespace

Result<std::shared_ptr<const Table>> build_table(const TableInput& in) {
  auto table = std::make_shared<Table>();
  if (auto r = lay_out(in, *table); !r) return tl::unexpected(r.error());
  make_images(*table);
  map_addresses(*table);
  for (size_t i = 0; i < table->services.size() && i < in.pool_plans.size(); ++i) {
    Service& service = table->services[i];
    bool unresolved = false;
    service.primary = add_pool(*table, in.pool_plans[i].primary, unresolved);
    service.failover = add_pool(*table, in.pool_plans[i].failover, unresolved);
    service.unresolved = unresolved && service.primary.count + service.failover.count == 0;
  }
  return table;
}

std::vector<PoolPlan> fixed_plans(const config::Config& config, const Slots& slots) {
  std::vector<PoolPlan> plans(slots.services.used());
  for (const config::Service& s : config.services) {
    PoolPlan& plan = plans[slots.service(s.name)];
    const auto of_region = [&](const std::string& region) {
      std::vector<Share> shares;
      for (const config::Node& n : s.nodes)
        if (n.region == region && n.weight > 0)
          shares.push_back({slots.node(s.name, n.name), static_cast<double>(n.weight)});
      return shares;
    };
    plan.primary = of_region(s.region);
    for (size_t i = 0; i < s.failover.size() && plan.failover.empty(); ++i)
      plan.failover = of_region(s.failover[i]);
  }
  return plans;
}

}  // namespace lf::forward
