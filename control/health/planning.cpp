// SPDX-License-Identifier: Apache-2.0
#include "control/health/planning.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "control/health/shares.hpp"

namespace lf::health {
namespace {

constexpr double kHealthFloor = 0.01;
constexpr double kScoreFloor = 1;
constexpr double kNothing = 1e-9;  // shares below are rounding

// One region's nodes with what they may take.
struct Side {
  std::vector<size_t> members;  // into the nodes given
  std::vector<Candidate> candidates;
  bool usable = false;  // somebody in it takes traffic
  double warm = 0, base = 0;
};

std::vector<Side> sides_of(std::span<const PlanNode> nodes, uint32_t regions) {
  std::vector<double> best(regions, std::numeric_limits<double>::infinity());
  for (const PlanNode& n : nodes)
    if (n.takes && n.region < regions) best[n.region] = std::min(best[n.region], n.score);
  std::vector<Side> sides(regions);
  for (size_t i = 0; i < nodes.size(); ++i) {
    const PlanNode& n = nodes[i];
    if (n.region >= regions || !n.takes) continue;
    Side& side = sides[n.region];
    const double weight = weight_of(n, best[n.region]);
    if (!std::isfinite(weight) || weight <= 0) continue;
    side.members.push_back(i);
    side.candidates.push_back({weight, n.rated_per_s > 0 ? n.ramp * n.rated_per_s : kNoCap});
    side.usable = true;
    side.warm += n.base * n.ramp;
    side.base += n.base;
  }
  return sides;
}

std::optional<uint32_t> find_side(const std::vector<Side>& sides, const PlanRegions& regions,
                                  uint32_t except) {
  for (const bool allow_degraded : {false, true})
    for (uint32_t r = 0; r < sides.size(); ++r) {
      const bool degraded = r < regions.degraded.size() && regions.degraded[r];
      if (r != except && sides[r].usable && (allow_degraded || !degraded)) return r;
    }
  return std::nullopt;
}

void add_shares(const Side& side, const Split& split, double of, std::span<const PlanNode> nodes,
                Plan& plan, std::vector<forward::Share>& pool) {
  for (size_t k = 0; k < side.members.size(); ++k) {
    plan.shares[side.members[k]] += of * split.shares[k];
    pool.push_back({nodes[side.members[k]].slot, split.shares[k]});
  }
}

bool moved(double a, double b, double hysteresis) {
  if ((a > 0) != (b > 0)) return true;
  return std::abs(a - b) > hysteresis * std::max(a, b);
}

bool pool_moved(std::span<const forward::Share> a, std::span<const forward::Share> b,
                double hysteresis) {
  if (a.size() != b.size()) return true;
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i].slot != b[i].slot || moved(a[i].weight, b[i].weight, hysteresis)) return true;
  return false;
}

}  // namespace

double weight_of(const PlanNode& node, double best_score) {
  return node.base * node.ramp * std::max(node.health, kHealthFloor) *
         (std::max(best_score, kScoreFloor) / std::max(node.score, kScoreFloor));
}

Plan make_plan(std::span<const PlanNode> nodes, const PlanRegions& regions, double demand) {
  Plan plan;
  plan.shares.assign(nodes.size(), 0.0);
  const std::vector<Side> sides = sides_of(nodes, regions.count);
  plan.active = regions.active;
  if (plan.active >= sides.size() || !sides[plan.active].usable) {
    const auto any = find_side(sides, regions, std::numeric_limits<uint32_t>::max());
    if (!any) {
      plan.refused = 1;
      return plan;
    }
    plan.active = *any;
  }
  const Side& primary = sides[plan.active];
  const auto other = find_side(sides, regions, plan.active);
  if (regions.returning && plan.active == 0 && other && primary.base > 0)
    plan.warmth = std::clamp(primary.warm / primary.base, 0.0, 1.0);

  const Split first = split(primary.candidates, demand * plan.warmth);
  double spill = 1 - plan.warmth * (1 - first.left_over);
  if (spill < kNothing) spill = 0;
  add_shares(primary, first, plan.warmth, nodes, plan, plan.pools.primary);
  if (spill > 0) {
    for (forward::Share& s : plan.pools.primary) s.weight *= plan.warmth;
    plan.pools.primary.push_back({kNoNode, spill});
  }
  if (!other) {
    plan.refused = spill;
    return plan;
  }
  // Without spill the failover pool stands by for all of the demand.
  const Split second = split(sides[*other].candidates, spill > 0 ? demand * spill : demand);
  add_shares(sides[*other], second, spill, nodes, plan, plan.pools.failover);
  if (second.left_over > kNothing) plan.pools.failover.push_back({kNoNode, second.left_over});
  plan.refused = spill * second.left_over;
  return plan;
}

bool differs(const Plan& a, const Plan& b, double hysteresis) {
  return pool_moved(a.pools.primary, b.pools.primary, hysteresis) ||
         pool_moved(a.pools.failover, b.pools.failover, hysteresis);
}

}  // namespace lf::health
