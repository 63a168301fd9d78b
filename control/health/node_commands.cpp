// SPDX-License-Identifier: Apache-2.0
#include <fmt/chrono.h>

#include <algorithm>
#include <utility>

#include "control/base/address.hpp"
#include "control/health/commands.hpp"

namespace lf::health {
namespace {

using rpc::Json;

const std::vector<rpc::Parameter> kNodeParameters = {
    {"node", "string|integer", true, "name, \"service/name\" or id"},
    {"service", "string", false, "where the name alone is not enough"},
};

Now now_of(const Clock& clock) {
  return {clock.mono_ns(), clock.unix_us()};
}

std::string text_or(const Json& params, const char* name, std::string fallback) {
  const auto it = params.find(name);
  return it != params.end() && it->is_string() ? it->get<std::string>() : fallback;
}

Result<NodeSlot> slot_of(const HealthEngine& engine, const Json& params) {
  const auto it = params.find("node");
  if (it != params.end() && it->is_number_integer())
    return engine.find(text_or(params, "service", ""), it->dump());
  if (it == params.end() || !it->is_string())
    return fail(ErrorCode::invalid, "node: must be a name or an id");
  const std::string name = it->get<std::string>();
  const size_t slash = name.find('/');
  if (slash != std::string::npos) return engine.find(name.substr(0, slash), name.substr(slash + 1));
  return engine.find(text_or(params, "service", ""), name);
}

Json describe_report(const NodeRecord& n, MonoNs now) {
  if (!n.report) return nullptr;
  return Json{{"age_ms", (now - n.report_at) / 1'000'000},
              {"fresh", n.has_fresh_report(now)},
              {"latency_ms", n.report->latency_ms},
              {"queue_depth", n.report->queue_depth},
              {"saturation", n.report->saturation},
              {"degraded", n.report->degraded},
              {"draining", n.report->draining}};
}

Json describe(const NodeRecord& n, const ServiceRecord& s, MonoNs now) {
  const NodeCounts c = n.totals();
  return Json{
      {"name", n.settings.name},
      {"id", n.settings.id},
      {"service", n.service},
      {"region", n.settings.region},
      {"address", format_address(n.settings.address)},
      {"port", n.settings.port},
      {"state", name(state_of(n))},
      {"health", n.window.health().value_or(1)},
      {"measured", n.window.health().has_value()},
      {"stale", n.stale},
      {"trend", n.window.trend(now)},
      {"score", n.score},
      {"ramp", n.ramp},
      {"weight", n.share},
      {"base_weight", n.base_weight},
      {"rated_per_s", n.settings.rated_per_s},
      {"breaker", breaker_name(n.breaker)},
      {"resolved", n.resolved},
      {"drained_by_operator", n.drained_by_operator},
      {"drained_by_node", n.drained_by_node},
      {"held_in", n.phase.held_in},
      {"panic", s.panic},
      {"latency_us", {{"p50", n.recent.quantile_us(0.5)}, {"p99", n.recent.quantile_us(0.99)}}},
      {"inflight", n.in_flight()},
      {"sent", c.sent},
      {"replies", c.replies()},
      {"timeouts", c.timeouts},
      {"failures", c.failed + c.busy + c.unreachable},
      {"slow", c.slow},
      {"answered_late", c.answered_late},
      {"flows", c.flows_opened - c.flows_closed},
      {"flows_opened", c.flows_opened},
      {"flow_packets", c.flow_packets},
      {"report", describe_report(n, now)}};
}

Result<Json> list(const HealthEngine& engine, const Json& params, MonoNs now) {
  const std::string service = text_or(params, "service", "");
  Json nodes = Json::array();
  bool known = service.empty();
  for (const auto& s : engine.services()) {
    if (!service.empty() && s->settings.name != service) continue;
    known = true;
    for (const auto& n : s->nodes) nodes.push_back(describe(*n, *s, now));
  }
  if (!known) return fail(ErrorCode::not_found, "no service {}", service);
  return nodes;
}

std::string iso_time(UnixUs at_us) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03d}Z",
                     fmt::gmtime(static_cast<std::time_t>(at_us / 1'000'000)), at_us / 1000 % 1000);
}

Json describe(const NodeRecord& n, const Transition& t) {
  return Json{{"at", iso_time(t.at_us)},
              {"at_us", t.at_us},
              {"node", n.settings.name},
              {"service", n.service},
              {"from", name(t.from)},
              {"to", name(t.to)},
              {"cause", name(t.cause)},
              {"why", explain(t.cause)},
              {"health", t.health ? Json(*t.health) : Json(nullptr)},
              {"base_weight", t.weight}};
}

// Oldest first; of one node, or of all together.
Result<Json> history(const HealthEngine& engine, const Json& params) {
  std::vector<std::pair<const NodeRecord*, const Transition*>> all;
  const auto add = [&](const NodeRecord& n) {
    for (const Transition& t : n.history) all.emplace_back(&n, &t);
  };
  if (params.contains("node")) {
    const auto slot = slot_of(engine, params);
    if (!slot) return tl::unexpected(slot.error());
    add(*engine.node(*slot));
  } else {
    const std::string service = text_or(params, "service", "");
    for (const auto& s : engine.services())
      if (service.empty() || s->settings.name == service)
        for (const auto& n : s->nodes) add(*n);
  }
  std::ranges::stable_sort(all, {}, [](const auto& entry) { return entry.second->at_us; });
  Json result = Json::array();
  for (const auto& [n, t] : all) result.push_back(describe(*n, *t));
  return result;
}

// What an operator's command answers: the node as it is now that the change holds.
Result<Json> changed(HealthEngine& engine, const Clock& clock, NodeSlot slot, bool any,
                     const std::function<void()>& apply) {
  if (any) apply();
  const NodeRecord& n = *engine.node(slot);
  Json result = describe(n, *engine.service_of(n), clock.mono_ns());
  result["changed"] = any;
  return result;
}

}  // namespace

std::vector<rpc::Command> node_commands(HealthEngine& engine, const Clock& clock,
                                        std::function<void()> apply) {
  using Change = bool (HealthEngine::*)(NodeSlot, Now);
  const auto change = [&engine, &clock, apply](Change how) {
    return [&engine, &clock, apply, how](const Json& params) -> Result<Json> {
      const auto slot = slot_of(engine, params);
      if (!slot) return tl::unexpected(slot.error());
      const bool any = (engine.*how)(*slot, now_of(clock));
      return changed(engine, clock, *slot, any, apply);
    };
  };
  const auto set_weight = [&engine, &clock, apply](const Json& params) -> Result<Json> {
    const auto slot = slot_of(engine, params);
    if (!slot) return tl::unexpected(slot.error());
    const auto it = params.find("weight");
    if (it == params.end() || !it->is_number() || !(it->get<double>() >= 0) ||
        it->get<double>() > 65535)
      return fail(ErrorCode::invalid, "weight: must be a number from 0 to 65535");
    const bool any = engine.set_weight(*slot, it->get<double>(), now_of(clock));
    return changed(engine, clock, *slot, any, apply);
  };
  std::vector<rpc::Parameter> weight_parameters = kNodeParameters;
  weight_parameters.insert(weight_parameters.begin() + 1,
                           {"weight", "number", true, "base weight, 0 to 65535"});
  std::vector<rpc::Parameter> history_parameters = kNodeParameters;
  history_parameters[0].required = false;
  return {
      {"nodes.list",
       "Nodes with their state, health, share of the traffic and counts",
       {{"service", "string", false, "only this service's nodes"}},
       false,
       [&engine, &clock](const Json& p) { return list(engine, p, clock.mono_ns()); }},
      {"nodes.history", "When and why nodes changed their state, oldest first",
       std::move(history_parameters), false,
       [&engine](const Json& p) { return history(engine, p); }},
      {"node.drain", "Send a node no new commands; those in flight finish", kNodeParameters, true,
       change(&HealthEngine::drain)},
      {"node.undrain", "Take a node back into service, through warm-up", kNodeParameters, true,
       change(&HealthEngine::undrain)},
      {"node.set_weight", "Set a node's base weight until the configuration changes it",
       std::move(weight_parameters), true, set_weight},
  };
}

}  // namespace lf::health
