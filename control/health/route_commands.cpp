// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "control/health/commands.hpp"
#include "control/health/score.hpp"

namespace lf::health {
namespace {

using rpc::Json;

Result<double> number(const Json& object, const char* name, double fallback) {
  const auto it = object.find(name);
  if (it == object.end() || it->is_null()) return fallback;
  if (!it->is_number()) return fail(ErrorCode::invalid, "{}: must be a number", name);
  return it->get<double>();
}

Result<RouteNode> route_node(const Json& object) {
  if (!object.is_object()) return fail(ErrorCode::invalid, "a node must be an object");
  RouteNode node;
  for (const auto& [name, field] :
       {std::pair{"latency_ms", &node.latency_ms}, std::pair{"queue_depth", &node.queue_depth},
        std::pair{"saturation", &node.saturation}}) {
    const auto value = number(object, name, 0);
    if (!value) return tl::unexpected(value.error());
    *field = *value;
  }
  if (const auto it = object.find("degraded"); it != object.end() && !it->is_null()) {
    if (!it->is_boolean()) return fail(ErrorCode::invalid, "degraded: must be true or false");
    node.degraded = it->get<bool>();
  }
  if (const auto it = object.find("name"); it != object.end()) {
    if (!it->is_string()) return fail(ErrorCode::invalid, "name: must be a string");
    node.name = it->get<std::string>();
  }
  const auto health = number(object, "health", NAN);
  if (!health) return tl::unexpected(health.error());
  const auto trend = number(object, "trend", NAN);
  if (!trend) return tl::unexpected(trend.error());
  if (!std::isnan(*health) || !std::isnan(*trend))
    node.health = NodeHealth{std::isnan(*health) ? 1 : *health, std::isnan(*trend) ? 0 : *trend};
  return node;
}

Result<std::vector<RouteNode>> nodes_of(const HealthEngine& engine, const Json& params,
                                        MonoNs now) {
  std::vector<RouteNode> nodes;
  if (const auto it = params.find("nodes"); it != params.end()) {
    if (!it->is_array()) return fail(ErrorCode::invalid, "nodes: must be a list of nodes");
    for (const Json& item : *it) {
      auto node = route_node(item);
      if (!node) return tl::unexpected(node.error());
      nodes.push_back(std::move(*node));
    }
    return nodes;
  }
  const auto service = params.find("service");
  if (service == params.end() || !service->is_string())
    return fail(ErrorCode::invalid, "nodes or service must be given");
  for (const auto& s : engine.services()) {
    if (s->settings.name != service->get<std::string>()) continue;
    for (const auto& n : s->nodes)
      if (n->share > 0) nodes.push_back(current_route_node(*n, now));
    return nodes;
  }
  return fail(ErrorCode::not_found, "no service {}", service->get<std::string>());
}

Result<Json> select(const HealthEngine& engine, const Json& params, MonoNs now) {
  const auto nodes = nodes_of(engine, params, now);
  if (!nodes) return tl::unexpected(nodes.error());
  std::vector<std::string> blocked;
  if (const auto it = params.find("blocked"); it != params.end() && !it->is_null()) {
    if (!it->is_array() || !std::ranges::all_of(*it, [](const Json& b) { return b.is_string(); }))
      return fail(ErrorCode::invalid, "blocked: must be a list of names");
    blocked = it->get<std::vector<std::string>>();
  }
  const auto chosen = select_primary_node(*nodes, blocked);
  if (!chosen) return tl::unexpected(chosen.error());
  return Json{{"name", chosen->name}, {"score", score_node(*chosen)}};
}

Result<Json> chain(std::span<const config::Intent> intents, const Json& params) {
  const auto it = params.find("intent");
  std::string intent;
  if (it != params.end() && it->is_string()) {
    intent = it->get<std::string>();
  } else if (it != params.end() && it->is_number_integer()) {
    const auto found = std::ranges::find_if(
        intents, [&](const config::Intent& i) { return i.code == it->get<int64_t>(); });
    intent = found == intents.end() ? it->dump() : found->name;
  } else {
    return fail(ErrorCode::invalid, "intent: must be a name or a code");
  }
  const auto services = build_route_chain(intents, intent);
  return Json{{"intent", intent}, {"chain", services}, {"service", services.back()}};
}

}  // namespace

std::vector<rpc::Command> route_commands(
    const HealthEngine& engine, const Clock& clock,
    std::function<const std::vector<config::Intent>&()> intents) {
  return {
      {"route.score",
       "Score of a node; lower is better",
       {{"latency_ms", "number", false, "its latency"},
        {"queue_depth", "number", false, "work waiting at it"},
        {"saturation", "number", false, "0 to 1"},
        {"degraded", "boolean", false, "it calls itself degraded"},
        {"health", "number", false, "0 to 1; left out: not known"},
        {"trend", "number", false, "change of the health over the window"}},
       false,
       [](const Json& p) -> Result<Json> {
         const auto node = route_node(p);
         if (!node) return tl::unexpected(node.error());
         return Json{{"score", score_node(*node)}};
       }},
      {"route.select",
       "The node with the lowest score, among those given or a service's own",
       {{"nodes", "array", false, "nodes with a name and what route.score takes"},
        {"service", "string", false, "instead: this service's nodes, as they are now"},
        {"blocked", "array", false, "names that must not be chosen"}},
       false,
       [&engine, &clock](const Json& p) { return select(engine, p, clock.mono_ns()); }},
      {"route.chain",
       "Services that a command of an intent passes; the last one takes it",
       {{"intent", "string|integer", true, "name or code"}},
       false,
       [intents](const Json& p) { return chain(intents(), p); }},
  };
}

}  // namespace lf::health
