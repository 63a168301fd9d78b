// SPDX-License-Identifier: Apache-2.0
// The health engine: from what workers counted, nodes reported, probes found and breakers decided
// to who takes how much of each service's traffic. The runtime feeds it and calls tick() at least
// once an interval, and at once after a breaker's transition or an operator's change; when tick()
// says so, it builds a forwarding table from plans() and publishes it. All decisions go by the
// monotonic time that is passed in. Thread: control; nothing in here blocks or reads a clock.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "control/forward/slots.hpp"
#include "control/forward/table_builder.hpp"
#include "control/health/node.hpp"
#include "control/health/planning.hpp"
#include "control/resilience/regions.hpp"
#include "dataplane/core/fast_random.hpp"

namespace lf::health {

struct ServiceRecord {
  config::Service settings;  // its nodes moved to `nodes`
  ServiceIndex index = kNoService;
  std::vector<std::unique_ptr<NodeRecord>> nodes;  // in configured order
  std::optional<resilience::RegionSelector> regions;
  bool was_away = false;             // another region than the primary took the traffic
  bool returning = false;            // the primary takes it again, as its nodes warm up
  bool panic = false;                // too many are out: all are used, whatever their health
  bool changed = true;               // something happened that the next tick must plan for
  std::optional<MonoNs> sampled_at;  // on the beat
  MonoNs counted_at = 0;             // when that really was
  MonoNs part_at = 0;                // when the latest part of the interval ended
  std::optional<MonoNs> histograms_at;
  double demand_per_s = 0;
  bool planned = false;     // `plan` is of the configuration in force
  Plan plan;                // in force
  uint64_t plans_made = 0;  // that were put in force
};

class HealthEngine {
 public:
  explicit HealthEngine(uint64_t seed) : random_(seed) {}

  // Follows the configuration. A node that stays keeps its history and what it learnt; one that is
  // new, or has moved to another address, starts clean, and warms up unless it is there from the
  // start. `slots` is synced with `config`.
  void configure(const config::Config& config, const forward::Slots& slots,
                 const CountsReader& counts, Now now);

  // What a node says about itself, from `source` (kNoNode: an address that is no node's), under a
  // valid tag of organisation `org_id` (nothing: without one). Only taken from the node itself.
  ReportVerdict report(NodeSlot source, std::optional<uint32_t> org_id, const Report& report,
                       MonoNs now);
  void probe_result(NodeSlot slot, bool ok, double latency_ms, MonoNs now);
  void set_resolved(NodeSlot slot, bool resolved, Now now);

  // Samples what is due, steps every node and plans anew. True when a plan has changed by more
  // than the hysteresis: a table built from plans() should be published. Also tells workers,
  // through `live`, what is in flight in name only.
  bool tick(Now now, const CountsReader& counts, forward::NodeLive& live);

  // By ServiceIndex.
  std::span<const forward::PoolPlan> plans() const { return plans_; }

  // By name, or by id in decimal; the service may be empty when the node's name says enough.
  Result<NodeSlot> find(std::string_view service, std::string_view node) const;
  // Each holds from the next tick. Results: whether anything changed.
  bool drain(NodeSlot slot, Now now);
  bool undrain(NodeSlot slot, Now now);
  bool set_weight(NodeSlot slot, double weight, Now now);

  const NodeRecord* node(NodeSlot slot) const {
    return slot < by_slot_.size() ? by_slot_[slot] : nullptr;
  }
  std::span<const std::unique_ptr<ServiceRecord>> services() const { return services_; }
  const ServiceRecord* service_of(const NodeRecord& node) const;

 private:
  std::unique_ptr<NodeRecord> make_node(const config::Service& service, const config::Node& node,
                                        const forward::Slots& slots, const CountsReader& counts,
                                        Now now);
  void touch(const NodeRecord& node);
  bool tick_service(ServiceRecord& s, Now now, const CountsReader& counts, forward::NodeLive& live);
  bool follow_breakers(ServiceRecord& s, const forward::NodeLive& live, Now now);
  void take_parts(ServiceRecord& s, Now now, const CountsReader& counts);
  void take_samples(ServiceRecord& s, Now now, const CountsReader& counts, forward::NodeLive& live);
  void step_nodes(ServiceRecord& s, Now now);

  FastRandom random_;
  bool started_ = false;
  std::vector<std::unique_ptr<ServiceRecord>> services_;
  std::vector<NodeRecord*> by_slot_;
  std::vector<ServiceRecord*> service_by_slot_;
  std::vector<forward::PoolPlan> plans_;
};

}  // namespace lf::health
