// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/commands.hpp"

#include <string>
#include <utility>

#include "control/resilience/failover.hpp"
#include "control/resilience/replay_plan.hpp"

namespace lf::resilience {
namespace {

using rpc::Json;

constexpr MonoNs kMs = 1'000'000;

Result<std::string> text(const Json& params, const char* name) {
  const auto it = params.find(name);
  if (it == params.end() || !it->is_string())
    return fail(ErrorCode::invalid, "{}: must be a string", name);
  return it->get<std::string>();
}

Result<int64_t> integer(const Json& params, const char* name) {
  const auto it = params.find(name);
  if (it == params.end() || !it->is_number_integer())
    return fail(ErrorCode::invalid, "{}: must be an integer", name);
  if (it->is_number_unsigned() && it->get<uint64_t>() > INT64_MAX)
    return fail(ErrorCode::invalid, "{}: {} is more than {}", name, it->get<uint64_t>(), INT64_MAX);
  return it->get<int64_t>();
}

// Missing: none.
Result<std::vector<std::string>> texts(const Json& params, const char* name) {
  std::vector<std::string> list;
  const auto it = params.find(name);
  if (it == params.end() || it->is_null()) return list;
  if (!it->is_array()) return fail(ErrorCode::invalid, "{}: must be a list of strings", name);
  for (const Json& item : *it) {
    if (!item.is_string()) return fail(ErrorCode::invalid, "{}: must be a list of strings", name);
    list.push_back(item.get<std::string>());
  }
  return list;
}

struct Regions {
  std::string primary;
  std::vector<std::string> candidates, degraded;
};

Result<Regions> regions(const Json& params) {
  auto primary = text(params, "primary");
  if (!primary) return tl::unexpected(primary.error());
  auto candidates = texts(params, "candidates");
  if (!candidates) return tl::unexpected(candidates.error());
  auto degraded = texts(params, "degraded");
  if (!degraded) return tl::unexpected(degraded.error());
  return Regions{std::move(*primary), std::move(*candidates), std::move(*degraded)};
}

const std::vector<rpc::Parameter> kRegionParameters{
    {"primary", "string", true, "the region that is used normally"},
    {"candidates", "array", false, "regions that may take over, in order"},
    {"degraded", "array", false, "regions that are degraded"},
};

Result<Json> failover_plan(const Json& params) {
  const auto r = regions(params);
  if (!r) return tl::unexpected(r.error());
  return Json{
      {"region", choose_failover_region<std::string>(r->primary, r->candidates, r->degraded)}};
}

Result<Json> replay_plan(const Json& params) {
  const auto r = regions(params);
  if (!r) return tl::unexpected(r.error());
  const auto events = integer(params, "events");
  if (!events) return tl::unexpected(events.error());
  const auto timeout_s = integer(params, "timeout_s");
  if (!timeout_s) return tl::unexpected(timeout_s.error());
  const ReplayPlan plan =
      build_replay_plan(*events, *timeout_s, r->primary, r->candidates, r->degraded);
  return Json{{"budget", plan.budget},
              {"batch_size", plan.batch_size},
              {"retries", plan.retries},
              {"region", plan.region},
              {"outage_class", name(plan.outage_class)}};
}

Json describe(const BoardNode& node, Breaker& b) {
  Json json{{"node", node.name},
            {"service", node.service},
            {"id", node.id},
            {"state", name(b.state())},
            {"for_ms", b.in_state_ns() / kMs},
            {"cause", name(b.last_cause())},
            {"epoch", b.epoch()},
            {"openings", b.openings()}};
  if (b.state() == BreakerState::closed) json["failures"] = b.failures_in_window();
  if (b.state() == BreakerState::open) json["open_left_ms"] = b.open_left_ns() / kMs;
  if (b.state() == BreakerState::half_open) json["trials_left"] = b.trials_left();
  return json;
}

Result<Json> list(BreakerBoard& board, const Json& params) {
  const bool one_service = params.contains("service");
  const auto service = one_service ? text(params, "service") : std::string();
  if (!service) return tl::unexpected(service.error());
  Json breakers = Json::array();
  for (const BoardNode& node : board.nodes())
    if (!one_service || node.service == *service)
      breakers.push_back(describe(node, *board.breaker(node.slot)));
  if (one_service && breakers.empty())
    return fail(ErrorCode::not_found, "service: no node in '{}'", *service);
  return Json{{"breakers", std::move(breakers)}};
}

Result<NodeSlot> node_of(const BreakerBoard& board, const Json& params) {
  const auto it = params.find("node");
  if (it != params.end() && it->is_number_integer()) return board.find(it->dump());
  const auto node = text(params, "node");
  if (!node) return tl::unexpected(node.error());
  return board.find(*node);
}

Result<Json> by_operator(BreakerBoard& board, const Json& params, const Clock& clock,
                         bool (BreakerBoard::*action)(NodeSlot, MonoNs)) {
  const auto slot = node_of(board, params);
  if (!slot) return tl::unexpected(slot.error());
  (board.*action)(*slot, clock.mono_ns());
  for (const BoardNode& node : board.nodes())
    if (node.slot == *slot) return describe(node, *board.breaker(*slot));
  return fail(ErrorCode::internal, "node: slot {} has a breaker but no node", *slot);
}

}  // namespace

std::vector<rpc::Command> breaker_commands(BreakerBoard& board, const Clock& clock) {
  const rpc::Parameter node{"node", "string|integer", true,
                            "service/node, or a name or id that only one node has"};
  return {
      {.name = "breakers.list",
       .help = "each node's circuit breaker: state, for how long, why",
       .parameters = {{"service", "string", false, "only this service's nodes"}},
       .handler = [&board](const Json& params) { return list(board, params); }},
      {.name = "breaker.trip",
       .help = "opens a node's breaker at once; it goes half-open after its open time as usual",
       .parameters = {node},
       .mutates = true,
       .handler =
           [&board, &clock](const Json& params) {
             return by_operator(board, params, clock, &BreakerBoard::trip);
           }},
      {.name = "breaker.reset",
       .help = "closes a node's breaker and forgets its failures; the node warms up",
       .parameters = {node},
       .mutates = true,
       .handler =
           [&board, &clock](const Json& params) {
             return by_operator(board, params, clock, &BreakerBoard::reset);
           }},
  };
}

std::vector<rpc::Command> plan_commands() {
  std::vector<rpc::Parameter> replay{
      {"events", "integer", true, "commands to send again"},
      {"timeout_s", "integer", true, "time for it, in seconds"},
  };
  replay.insert(replay.end(), kRegionParameters.begin(), kRegionParameters.end());
  return {
      {.name = "failover.plan",
       .help = "the region that takes over: the first candidate neither primary nor degraded",
       .parameters = kRegionParameters,
       .handler = failover_plan},
      {.name = "replay.plan",
       .help = "how commands lost in an outage would be sent again: how many, how fast, where to",
       .parameters = std::move(replay),
       .handler = replay_plan},
  };
}

}  // namespace lf::resilience
