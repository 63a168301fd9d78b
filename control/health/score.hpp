// SPDX-License-Identifier: Apache-2.0
// The gateway's scoring functions: score_node, select_primary_node, build_route_chain. Pure; used
// by the health engine for weights and by route.score, route.select and route.chain. Without
// health data they answer what they answered before there was any.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/base/result.hpp"
#include "control/config/config.hpp"

namespace lf::health {

struct NodeHealth {
  double health = 1;  // [0, 1]
  double trend = 0;   // [-1, 1]
};

struct RouteNode {
  std::string name;
  double latency_ms = 0;
  double queue_depth = 0;
  double saturation = 0;  // [0, 1]
  bool degraded = false;
  std::optional<NodeHealth> health = {};
};

// Lower is better.
double score_node(const RouteNode& node);

// The node with the lowest score among those not blocked, the first one on ties.
Result<RouteNode> select_primary_node(std::span<const RouteNode> nodes,
                                      std::span<const std::string> blocked = {});

// The services that a command of this intent passes; the last one takes it. An intent that is not
// configured has the default chain.
std::vector<std::string> build_route_chain(std::span<const config::Intent> intents,
                                           std::string_view intent);

}  // namespace lf::health
