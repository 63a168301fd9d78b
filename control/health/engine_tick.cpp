// SPDX-License-Identifier: Apache-2.0
// The health engine's clockwork: what one tick does for one service.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "control/health/engine.hpp"

namespace lf::health {
namespace {

using forward::BreakerFlag;

constexpr MonoNs kMs = 1'000'000;
constexpr MonoNs kHistogramEveryNs = 1000 * kMs;  // reading them costs 12 lines a node and worker
constexpr double kHistogramKeep = 0.9;            // a second: half is older than 7 seconds
constexpr double kDemandKeep = 0.7;               // demand rises at once and falls by steps
constexpr double kRefusedMax = 0.999;
constexpr double kBackWarmth = 0.995;  // a region that takes this much is back

bool is_out(const NodeRecord& n) {
  return n.phase.phase == Phase::ejected || n.breaker == BreakerFlag::open;
}

// Largest number of a service's nodes that may be out.
size_t out_max(const ServiceRecord& s) {
  return static_cast<size_t>(s.settings.health.max_ejected * static_cast<double>(s.nodes.size()) +
                             1e-9);
}

std::vector<PlanNode> plan_nodes(const ServiceRecord& s) {
  std::vector<PlanNode> nodes;
  nodes.reserve(s.nodes.size());
  for (const auto& n : s.nodes) {
    PlanNode p{.slot = n->slot, .region = n->region, .base = n->base_weight};
    p.rated_per_s = n->settings.rated_per_s;
    p.takes = !n->draining() && n->breaker != BreakerFlag::open;
    p.ramp = n->ramp;
    if (!s.panic) {
      p.health = n->window.health().value_or(1);
      p.score = n->score;
      p.takes = p.takes && n->phase.phase != Phase::ejected;
    } else if (n->phase.phase == Phase::ejected) {
      p.ramp = 1;
    }
    nodes.push_back(p);
  }
  return nodes;
}

// Base weights by region, for the choice of the active one. Configured is what the file says: an
// operator who sets weights to 0 degrades the region.
std::vector<resilience::RegionWeight> region_weights(const ServiceRecord& s,
                                                     std::span<const PlanNode> nodes) {
  std::vector<resilience::RegionWeight> weights(1 + s.settings.failover.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].region >= weights.size()) continue;
    weights[nodes[i].region].configured += s.nodes[i]->settings.weight;
    if (nodes[i].takes) weights[nodes[i].region].healthy += nodes[i].base;
  }
  return weights;
}

PlanRegions choose_regions(ServiceRecord& s, std::span<const PlanNode> nodes, MonoNs now) {
  s.regions->update(region_weights(s, nodes), now);
  PlanRegions regions;
  regions.count = 1 + static_cast<uint32_t>(s.settings.failover.size());
  regions.active = s.regions->active_index();
  for (uint32_t r = 0; r < regions.count; ++r)
    regions.degraded.push_back(s.regions->is_degraded(r));
  regions.returning = s.returning || s.was_away;
  return regions;
}

void note_regions(ServiceRecord& s, const Plan& plan) {
  if (plan.active != 0) {
    s.was_away = true;
    s.returning = false;
    return;
  }
  if (s.was_away && plan.refused < 1) {
    s.was_away = false;
    s.returning = true;
  }
  if (s.returning && plan.warmth >= kBackWarmth) s.returning = false;
}

}  // namespace

bool HealthEngine::tick(Now now, const CountsReader& counts, forward::NodeLive& live) {
  bool changed = false;
  for (auto& s : services_) changed |= tick_service(*s, now, counts, live);
  return changed;
}

bool HealthEngine::tick_service(ServiceRecord& s, Now now, const CountsReader& counts,
                                forward::NodeLive& live) {
  const MonoNs interval = MonoNs{s.settings.health.interval_ms} * kMs;
  const bool due = !s.sampled_at || now.mono - *s.sampled_at >= interval;
  if (due)
    take_samples(s, now, counts, live);
  else
    take_parts(s, now, counts);
  const bool moved = follow_breakers(s, live, now);
  if (!due && !moved && !s.changed) return false;
  // The dead-band is against noise: what an operator or a transition changes holds exactly.
  const double hysteresis = s.changed || moved ? 0 : s.settings.health.hysteresis;
  s.changed = false;
  step_nodes(s, now);
  const std::vector<PlanNode> nodes = plan_nodes(s);
  Plan plan = make_plan(nodes, choose_regions(s, nodes, now.mono), s.demand_per_s);
  note_regions(s, plan);
  if (s.planned && !differs(s.plan, plan, hysteresis)) return false;
  s.planned = true;
  s.plan = std::move(plan);
  ++s.plans_made;
  for (size_t i = 0; i < s.nodes.size(); ++i) s.nodes[i]->share = s.plan.shares[i];
  plans_[s.index] = s.plan.pools;
  return true;
}

// Ticks need not be on time: a part may be a little short.
void HealthEngine::take_parts(ServiceRecord& s, Now now, const CountsReader& counts) {
  const MonoNs least = MonoNs{s.settings.health.interval_ms} * kMs / (kLatencyParts + 1);
  if (now.mono - s.part_at < least) return;
  s.part_at = now.mono;
  for (auto& n : s.nodes) take_part(*n, counts.read(n->slot));
}

void HealthEngine::take_samples(ServiceRecord& s, Now now, const CountsReader& counts,
                                forward::NodeLive& live) {
  const MonoNs interval = MonoNs{s.settings.health.interval_ms} * kMs;
  const bool first = !s.sampled_at;
  const MonoNs passed = first ? 0 : now.mono - s.counted_at;
  const bool late = first || now.mono - *s.sampled_at >= 2 * interval;
  s.sampled_at = late ? now.mono : *s.sampled_at + interval;  // keeps the beat
  s.counted_at = s.part_at = now.mono;
  const bool histograms = !s.histograms_at || now.mono - *s.histograms_at >= kHistogramEveryNs;
  if (histograms) s.histograms_at = now.mono;
  uint64_t sent = 0;
  for (auto& n : s.nodes) {
    const NodeCounts c = counts.read(n->slot);
    sent += c.sent - n->counts.sent;
    take_sample(*n, s.settings, c, now.mono);
    live.set_lost(n->slot, n->lost);
    if (histograms) n->recent.update(counts.latencies(n->slot), kHistogramKeep);
  }
  if (passed <= 0 || s.plan.refused >= 1) return;  // nobody took any: the demand is not known
  const double rate = static_cast<double>(sent) / (static_cast<double>(passed) * 1e-9) /
                      (1 - std::min(s.plan.refused, kRefusedMax));
  s.demand_per_s = std::max(rate, kDemandKeep * s.demand_per_s + (1 - kDemandKeep) * rate);
}

// Transitions of breakers and the nodes' own wish to drain. True when there was one.
bool HealthEngine::follow_breakers(ServiceRecord& s, const forward::NodeLive& live, Now now) {
  bool moved = false;
  for (auto& n : s.nodes) {
    const BreakerFlag flag = live.breaker(n->slot).flag;
    if (flag != n->breaker) {
      n->breaker = flag;
      update_service(*n, now.mono);
      remember(*n,
               flag == BreakerFlag::open     ? Cause::breaker_opened
               : flag == BreakerFlag::closed ? Cause::breaker_closed
                                             : Cause::breaker_half_open,
               now);
      moved = true;
    }
    if (n->report && n->report->draining != n->drained_by_node) {
      n->drained_by_node = n->report->draining;
      update_service(*n, now.mono);
      remember(*n, n->drained_by_node ? Cause::drained_self : Cause::undrained_self, now);
      moved = true;
    }
  }
  return moved;
}

void HealthEngine::step_nodes(ServiceRecord& s, Now now) {
  const config::Health& settings = s.settings.health;
  std::vector<size_t> order(s.nodes.size());
  std::iota(order.begin(), order.end(), 0);
  const size_t limit = settings.panic ? s.nodes.size() : out_max(s);
  if (limit < s.nodes.size())  // the worst go first, for not all may
    std::ranges::stable_sort(order, {},
                             [&](size_t i) { return s.nodes[i]->window.health().value_or(1); });
  size_t out =
      static_cast<size_t>(std::ranges::count_if(s.nodes, [](const auto& n) { return is_out(*n); }));
  for (const size_t i : order) {
    NodeRecord& n = *s.nodes[i];
    const bool was_out = is_out(n);
    PhaseSignals in;
    in.health = n.window.health();
    in.in_service = n.in_service;
    in.may_eject = was_out || out + 1 <= limit;
    in.blind = s.settings.probe.kind == config::ProbeKind::none;
    in.random = static_cast<double>(random_.next() >> 11) * 0x1p-53;
    const PhaseStep next = step(n.phase, in, settings, now.mono);
    n.phase = next.state;
    if (next.cause == Cause::retried) n.window.clear();  // what was measured is out of date
    if (next.cause)
      remember(n, *next.cause, now);
    else
      n.shown = state_of(n);
    if (was_out != is_out(n)) out += was_out ? -1 : 1;
    n.ramp =
        n.in_service ? ramp(n.phase, settings) : ramp(0, MonoNs{settings.warmup_s} * 1000 * kMs);
    n.score = score_node(current_route_node(n, now.mono));
  }
  s.panic = settings.panic && out > out_max(s);
}

}  // namespace lf::health
