// SPDX-License-Identifier: Apache-2.0
// All that the health engine knows about one node: what it is, what was heard of it, and what
// follows from that. Plain data; the engine writes it, the control socket's methods read it, all
// on the control thread.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "control/base/clock.hpp"
#include "control/config/config.hpp"
#include "control/health/latency.hpp"
#include "control/health/node_counts.hpp"
#include "control/health/phase.hpp"
#include "control/health/report.hpp"
#include "control/health/score.hpp"
#include "control/health/telemetry.hpp"
#include "dataplane/forward/node_live.hpp"

namespace lf::health {

// The one moment that a call is about. Only `unix_us` is shown, only `mono` is reckoned with.
struct Now {
  MonoNs mono = 0;
  UnixUs unix_us = 0;
};

// What an operator sees: the phase, and what lies over it.
enum class NodeState : uint8_t { active, warming, ejected, draining, down };
std::string_view name(NodeState state);
std::string_view breaker_name(forward::BreakerFlag flag);

struct Transition {
  UnixUs at_us = 0;
  NodeState from = NodeState::active, to = NodeState::active;
  Cause cause = Cause::started;
  std::optional<double> health;
  double weight = 0;  // base weight; what weight_set set
};

inline constexpr size_t kHistoryMax = 64;          // transitions kept for a node
inline constexpr MonoNs kFreshNs = 5'000'000'000;  // a REPORT or a latency counts for so long

struct NodeRecord {
  // -- what it is
  config::Node settings;
  std::string service;
  NodeSlot slot = kNoNode;
  uint32_t epoch = 0;                // of the slot's assignment
  uint32_t region = 0;               // position in the service's order
  std::optional<uint32_t> owner_id;  // organisation that its REPORTs are signed by
  double base_weight = 0;            // as configured, or as an operator set it

  // -- what was heard of it
  HealthWindow window{0, 1, 0.3};
  NodeCounts counts_before;  // what the slot's last owner left
  NodeCounts counts;         // at the latest sample
  Outcomes pending;          // of commands, too few for a sample so far
  Outcomes probes;           // since the latest sample
  Outcomes reported;         // by the node itself, since the latest sample
  NodeCounts part_mark;             // at the end of the interval's latest part
  IntervalLatency interval_latency;  // since the latest sample
  LatencyEstimate latency;
  bool latency_of_commands = false;  // else of probes
  RecentLatency recent;
  std::optional<Report> report;
  MonoNs report_at = 0;
  bool drained_by_operator = false, drained_by_node = false;
  forward::BreakerFlag breaker = forward::BreakerFlag::closed;
  bool resolved = true;  // its MAC address is known
  struct Mark {
    MonoNs at = 0;
    uint64_t sent = 0;
  } older_mark, newer_mark;  // what was sent by two earlier moments, to find what was lost
  int64_t lost = 0;          // on the books as in flight, but older than the time-out

  // -- what follows
  PhaseState phase;
  bool in_service = true;  // neither draining nor behind a breaker that is not closed
  bool stale = true;       // no sample for a while: the health may be out of date
  double score = 0;
  double ramp = 1;
  double share = 0;  // of the service's traffic, by the plan in force
  NodeState shown = NodeState::active;
  std::deque<Transition> history;  // newest last

  bool draining() const { return drained_by_operator || drained_by_node; }
  bool has_fresh_report(MonoNs now) const { return report && now - report_at <= kFreshNs; }
  NodeCounts totals() const { return counts - counts_before; }
  int64_t in_flight() const {
    const int64_t n = counts.in_flight() - lost;
    return n > 0 ? n : 0;
  }
};

NodeState state_of(const NodeRecord& node);
// Follows draining and breaker: sets in_service, and starts the warm-up when it has become so.
void update_service(NodeRecord& node, MonoNs now);
void remember(NodeRecord& node, Cause cause, Now now);  // updates `shown`, adds to the history

// A part of an interval is over: its answers, for the interval's latency.
void take_part(NodeRecord& node, const NodeCounts& counts);
// The interval's outcomes from counts (and, where answers do not pass us, from REPORTs), as a
// sample into the window; latency, staleness and what was lost.
void take_sample(NodeRecord& node, const config::Service& service, const NodeCounts& counts,
                 MonoNs now);
// The node as score_node sees it now.
RouteNode current_route_node(const NodeRecord& node, MonoNs now);

}  // namespace lf::health
