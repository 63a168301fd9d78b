// SPDX-License-Identifier: Apache-2.0
#include "control/audit/query.hpp"
#include "control/policy/arguments.hpp"
#include "control/policy/commands.hpp"

namespace lf::policy {
namespace {

using rpc::Json;

constexpr size_t kExamplesShown = 20;

Json to_json(const CompareReport& r, Engine& engine) {
  const auto rule_name = [&engine](uint32_t version, uint16_t rule) -> std::string {
    const auto v = engine.loaded(version);
    return v ? std::string(rule_id((*v)->rules, rule)) : std::to_string(rule);
  };
  Json examples = Json::array();
  for (size_t i = 0; i < std::min(r.examples.size(), kExamplesShown); ++i) {
    const Disagreement& d = r.examples[i];
    Json j = audit::to_json({d.record, 0, 0}, engine.vocabulary(), rule_name);
    j["other_outcome"] = outcome_name(d.other.outcome);
    if (r.options.version) j["other_rule"] = rule_name(*r.options.version, d.other.rule);
    examples.push_back(std::move(j));
  }
  return {{"running", r.running},
          {"against", r.options.version ? Json(*r.options.version) : Json("functions")},
          {"one_in", r.options.one_in},
          {"since_us", r.since_us},
          {"compared", r.compared},
          {"agreed", r.agreed},
          {"disagreements", r.disagreed},
          {"skipped", r.skipped},
          {"dropped", r.dropped},
          {"examples", examples}};
}

Result<void> compare_history(CommandContext& context) {
  if (context.audit_directory.empty())
    return fail(ErrorCode::conflict, "there is no audit log to compare with");
  audit::Filter filter;
  filter.limit = UINT64_MAX;
  filter.kind = audit::RecordKind::decision;
  const auto done = audit::query(context.audit_directory, filter, [&](const auto& found) {
    if (audit::was_evaluated(found.record)) context.compare.compare(found.record);
  });
  if (!done) return tl::unexpected(done.error());
  context.compare.stop();
  return {};
}

// action start: live decisions from now on. action history: the whole audit log, at once.
Result<Json> compare_handler(CommandContext& context, const Json& params) {
  Arguments args(params);
  const std::string action = args.text("action", "report");
  CompareOptions options;
  if (args.has("version"))
    options.version = static_cast<uint32_t>(args.integer("version", 0, 1, UINT32_MAX));
  const double sample = args.number("sample", 1, 0, 1);
  if (auto error = args.error()) return tl::unexpected(std::move(*error));
  if (action == "start" || action == "history") {
    options.one_in = sample > 0 ? static_cast<uint32_t>(std::min(1 / sample, 1e9)) : 0;
    if (auto started = context.compare.start(options, context.clock.unix_us()); !started)
      return tl::unexpected(std::move(started.error()));
    if (action == "history")
      if (auto done = compare_history(context); !done)
        return tl::unexpected(std::move(done.error()));
  } else if (action == "stop") {
    context.compare.stop();
  } else if (action == "report") {
    context.compare.tick();
  } else {
    return fail(ErrorCode::invalid, "action must be start, stop, report or history");
  }
  return to_json(context.compare.report(), context.engine);
}

Result<Json> risk_set_handler(CommandContext& context, const Json& params) {
  Engine& engine = context.engine;
  Arguments args(params);
  config::Target target;
  target.id = static_cast<uint32_t>(args.integer("target", 0, 0, UINT32_MAX));
  if (const identity::TargetEntry* known = engine.identity().find_target(target.id)) {
    target.risk = known->risk_centi / 100.0;
    target.group = engine.vocabulary().groups.all()[known->group];
    target.comms_degraded = known->comms_degraded;
  }
  if (args.has("snapshot") && args.raw("snapshot").is_object()) {
    Arguments snapshot(args.raw("snapshot"));
    const TargetState state{snapshot.number("temperature_c", 20, -1e9, 1e9),
                            snapshot.number("fuel_kg", 1000, -1e9, 1e12)};
    std::vector<int> incidents;
    for (const double severity : args.numbers("incidents"))
      incidents.push_back(static_cast<int>(std::clamp(severity, -1e6, 1e6)));
    if (auto error = snapshot.error()) return tl::unexpected(std::move(*error));
    target.risk = std::max(0.0, functions::evaluate_risk(state, args.numbers("burns"), incidents));
  }
  target.risk = args.number("risk", target.risk, 0, 100);
  target.group = args.text("group", target.group);
  target.comms_degraded = args.boolean("comms_degraded", target.comms_degraded);
  if (auto error = args.error()) return tl::unexpected(std::move(*error));
  if (auto done =
          engine.identity().set_target(target).and_then([&] { return engine.save_names(); });
      !done)
    return tl::unexpected(std::move(done.error()));
  const bool hold = functions::requires_hold(target.risk, target.comms_degraded);
  return Json{{"target", target.id},
              {"risk", target.risk},
              {"group", target.group},
              {"comms_degraded", target.comms_degraded},
              {"requires_hold", hold}};
}

Result<Json> operator_set_handler(CommandContext& context, const Json& params) {
  Engine& engine = context.engine;
  Arguments args(params);
  config::Operator o;
  o.id = static_cast<uint32_t>(args.integer("operator", 0, 0, UINT32_MAX));
  if (const identity::OperatorEntry* known = engine.identity().find_operator(o.id)) {
    o.roles = engine.vocabulary().role_names(known->role_bits);
    o.mfa_level = known->mfa_level;
    o.mfa_expires_us = int64_t{known->mfa_expires_s} * 1'000'000;
    for (const uint32_t org : known->org_ids)
      o.organisations.push_back(engine.vocabulary().org_name(org));
  }
  o.name = args.text("name");
  if (args.has("roles")) o.roles = args.texts("roles");
  o.mfa_level = static_cast<uint8_t>(args.integer("mfa_level", o.mfa_level, 0, 9));
  o.mfa_expires_us =
      args.integer("mfa_expires", o.mfa_expires_us / 1'000'000, 0, UINT32_MAX) * 1'000'000;
  if (args.has("organisations")) o.organisations = args.texts("organisations");
  if (auto error = args.error()) return tl::unexpected(std::move(*error));
  if (auto done = engine.identity().set_operator(o).and_then([&] { return engine.save_names(); });
      !done)
    return tl::unexpected(std::move(done.error()));
  return Json{{"operator", o.id},
              {"roles", o.roles},
              {"clearance", operator_clearance(o.roles)},
              {"mfa_level", o.mfa_level},
              {"organisations", o.organisations}};
}

}  // namespace

std::vector<rpc::Command> table_commands(CommandContext& context) {
  CommandContext* c = &context;
  return {
      {"policy.compare",
       "decides again, by the plain functions or another version, and reports disagreements",
       {{"action", "string", false, "start, stop, report (default), or history (the audit log)"},
        {"version", "integer", false, "compare with this version; default: the plain functions"},
        {"sample", "number", false, "share of the live decisions, default 1"}},
       true,
       [c](const Json& params) { return compare_handler(*c, params); }},
      {"risk.set",
       "sets a target's risk, group or communications state; what is not given stays",
       {{"target", "integer", true, "target id"},
        {"risk", "number", false, "0..100"},
        {"group", "string", false, "target group that rules may name"},
        {"comms_degraded", "boolean", false, ""},
        {"snapshot", "object", false, "{temperature_c, fuel_kg}: risk is computed from it"},
        {"burns", "array", false, "delta_v of each burn, with snapshot"},
        {"incidents", "array", false, "severity of each incident, with snapshot"}},
       true,
       [c](const Json& params) { return risk_set_handler(*c, params); }},
      {"operator.set",
       "sets an operator's roles, MFA or organisations; what is not given stays",
       {{"operator", "integer", true, "operator id"},
        {"name", "string", false, "for people"},
        {"roles", "array", false, "role names; they give the clearance"},
        {"mfa_level", "integer", false, "0..9"},
        {"mfa_expires", "integer", false, "Unix time in seconds; 0: never"},
        {"organisations", "array", false, "empty: all"}},
       true,
       [c](const Json& params) { return operator_set_handler(*c, params); }},
  };
}

}  // namespace lf::policy
