// SPDX-License-Identifier: Apache-2.0
// Who takes a service's traffic, and how much: from each node's weight to the pools that the
// table builder makes columns of. Pure; called by the health engine for each service and tick.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "control/forward/table_builder.hpp"
#include "dataplane/core/types.hpp"

namespace lf::health {

struct PlanNode {
  NodeSlot slot = kNoNode;
  uint32_t region = 0;  // position in the service's order; 0: primary
  double base = 0;      // base weight
  double health = 1;    // 1 while it is unknown
  double ramp = 1;
  double score = 1;
  double rated_per_s = 0;  // 0: not stated
  bool takes = true;       // neither ejected nor draining nor behind an open breaker
};

struct PlanRegions {
  uint32_t count = 1;
  uint32_t active = 0;
  std::vector<bool> degraded;  // by position; missing ones are not
  bool returning = false;      // the primary takes traffic again, as far as its nodes are warm
};

struct Plan {
  forward::PoolPlan pools;
  std::vector<double> shares;  // of the service's traffic, as the nodes given
  uint32_t active = 0;         // region of the primary pool
  double warmth = 1;           // while returning: share that the primary region takes
  double refused = 0;          // share that nobody may take
};

// base * ramp * health * best/score, scores at least 1. A node that takes traffic at all keeps a
// hundredth of its weight however low its health: who is kept in by a limit is not starved.
double weight_of(const PlanNode& node, double best_score);

// demand: commands per second for the service.
Plan make_plan(std::span<const PlanNode> nodes, const PlanRegions& regions, double demand);

// Whether traffic would move noticeably from plan `a` to `b`: a share by more than `hysteresis`
// of itself, or to or from nothing.
bool differs(const Plan& a, const Plan& b, double hysteresis);

}  // namespace lf::health
