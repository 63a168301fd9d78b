// SPDX-License-Identifier: Apache-2.0
#include "control/health/node.hpp"

#include <algorithm>

namespace lf::health {
namespace {

constexpr MonoNs kMs = 1'000'000;

Outcomes outcomes_of(const NodeCounts& d) {
  return {d.ok + d.other, d.failed + d.busy + d.unreachable, d.timeouts};
}

void take_latency(NodeRecord& node, MonoNs now) {
  const auto ms = node.interval_latency.take_ms();
  if (!ms) return;
  if (!node.latency_of_commands) node.latency.restart();  // probes know another latency
  node.latency.add(now, *ms);
  node.latency_of_commands = true;
}

// What was sent longer ago than the time-out is in flight no more, whatever the counters say
// (replies lost with their ledger entry, time-outs that nobody could watch).
void find_lost(NodeRecord& node, MonoNs timeout_ns, MonoNs now) {
  if (now - node.newer_mark.at >= timeout_ns) {
    node.older_mark = node.newer_mark;
    node.newer_mark = {now, node.counts.sent};
  }
  const auto possible = static_cast<int64_t>(node.counts.sent - node.older_mark.sent);
  const int64_t on_the_books = node.counts.in_flight();
  node.lost = on_the_books - std::clamp<int64_t>(on_the_books, 0, possible);
}

}  // namespace

std::string_view breaker_name(forward::BreakerFlag flag) {
  switch (flag) {
    case forward::BreakerFlag::closed:
      return "closed";
    case forward::BreakerFlag::open:
      return "open";
    case forward::BreakerFlag::half_open:
      break;
  }
  return "half-open";
}

std::string_view name(NodeState state) {
  switch (state) {
    case NodeState::active:
      return "active";
    case NodeState::warming:
      return "warming";
    case NodeState::ejected:
      return "ejected";
    case NodeState::draining:
      return "draining";
    case NodeState::down:
      return "down";
  }
  return "unknown";
}

NodeState state_of(const NodeRecord& node) {
  if (node.draining()) return NodeState::draining;
  if (node.breaker == forward::BreakerFlag::open || !node.resolved) return NodeState::down;
  switch (node.phase.phase) {
    case Phase::ejected:
      return NodeState::ejected;
    case Phase::warming:
      return NodeState::warming;
    case Phase::active:
      break;
  }
  return node.breaker == forward::BreakerFlag::half_open ? NodeState::warming : NodeState::active;
}

void update_service(NodeRecord& node, MonoNs now) {
  const bool in_service = !node.draining() && node.breaker == forward::BreakerFlag::closed;
  if (in_service && !node.in_service) node.phase = come_back(node.phase, now);
  node.in_service = in_service;
}

void remember(NodeRecord& node, Cause cause, Now now) {
  const NodeState to = state_of(node);
  node.history.push_back(
      {now.unix_us, node.shown, to, cause, node.window.health(), node.base_weight});
  if (node.history.size() > kHistoryMax) node.history.pop_front();
  node.shown = to;
}

void take_part(NodeRecord& node, const NodeCounts& counts) {
  const NodeCounts d = counts - node.part_mark;
  node.part_mark = counts;
  node.interval_latency.add(d.replies() + d.timeouts, d.latency_sum_us);
}

void take_sample(NodeRecord& node, const config::Service& service, const NodeCounts& counts,
                 MonoNs now) {
  take_part(node, counts);
  const NodeCounts d = counts - node.counts;
  node.counts = counts;
  const bool answers_pass_us = service.mode == forward::Mode::proxy;
  node.pending += answers_pass_us ? outcomes_of(d) : node.reported;
  node.reported = {};
  const bool degraded = node.has_fresh_report(now) && node.report->degraded;
  const auto value = sample(node.pending, node.probes, degraded, service.health.min_samples);
  if (node.pending.total() >= std::max(service.health.min_samples, 1u)) node.pending = {};
  node.probes = {};
  if (value) node.window.add(now, *value);

  uint32_t patience_ms = service.health.interval_ms;
  if (service.probe.kind != config::ProbeKind::none)
    patience_ms = std::max(patience_ms, 2 * service.probe.interval_ms);
  node.stale = !node.window.newest() || now - *node.window.newest() > patience_ms * kMs;
  if (answers_pass_us) take_latency(node, now);
  const MonoNs timeout_ns = MonoNs{service.timeout_ms} * kMs;
  find_lost(node, timeout_ns + MonoNs{service.health.interval_ms} * kMs, now);
}

RouteNode current_route_node(const NodeRecord& node, MonoNs now) {
  RouteNode r;
  r.name = node.settings.name;
  const bool reported = node.has_fresh_report(now);
  const bool measured = node.latency.ms() && now - node.latency.measured_at() <= kFreshNs;
  if (reported) {
    r.latency_ms = node.report->latency_ms;
    r.queue_depth = node.report->queue_depth;
    r.saturation = node.report->saturation;
    r.degraded = node.report->degraded;
  }
  if (measured || (!reported && node.latency.ms())) r.latency_ms = *node.latency.ms();
  if (const auto health = node.window.health())
    r.health = NodeHealth{*health, node.window.trend(now)};
  return r;
}

}  // namespace lf::health
