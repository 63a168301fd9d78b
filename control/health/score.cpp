// SPDX-License-Identifier: Apache-2.0
#include "control/health/score.hpp"

#include <algorithm>

namespace lf::health {
namespace {

constexpr double kPerQueued = 3, kPerSaturation = 120, kDegraded = 500;
constexpr double kPerLostHealth = 400, kPerFallingHealth = 200;

}  // namespace

double score_node(const RouteNode& node) {
  double score = node.latency_ms + kPerQueued * node.queue_depth +
                 kPerSaturation * node.saturation + (node.degraded ? kDegraded : 0);
  if (node.health)
    score += kPerLostHealth * (1 - node.health->health) +
             kPerFallingHealth * std::max(0.0, -node.health->trend);
  return score;
}

Result<RouteNode> select_primary_node(std::span<const RouteNode> nodes,
                                      std::span<const std::string> blocked) {
  const RouteNode* best = nullptr;
  double best_score = 0;
  for (const RouteNode& node : nodes) {
    if (std::ranges::find(blocked, node.name) != blocked.end()) continue;
    const double score = score_node(node);
    if (best != nullptr && !(score < best_score)) continue;
    best = &node;
    best_score = score;
  }
  if (best == nullptr) return fail(ErrorCode::not_found, "no route nodes available");
  return *best;
}

std::vector<std::string> build_route_chain(std::span<const config::Intent> intents,
                                           std::string_view intent) {
  const auto it = std::ranges::find(intents, intent, &config::Intent::name);
  if (it != intents.end() && !it->chain.empty()) return it->chain;
  return {"intake", "policy", "audit"};
}

}  // namespace lf::health
