// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "control/policy/arguments.hpp"
#include "control/policy/commands.hpp"
#include "control/policy/compare.hpp"

namespace lf::policy {
namespace {

using rpc::Json;

std::optional<std::string> from_base64(std::string_view text) {
  static constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0, count = 0;
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  for (const char c : text) {
    const size_t d = digits.find(c);
    if (d == digits.npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(d);
    if (++count % 4 == 1) continue;
    const uint32_t shift = (3 - (count - 1) % 4) * 2;
    out += static_cast<char>(bits >> shift & 0xff);
  }
  if (count % 4 == 1) return std::nullopt;
  return out;
}

// What policy.evaluate was asked, as inputs of the engine and of the functions.
struct Question {
  Inputs inputs;
  int clearance = 0, mfa_level = 0, severity = 1;
  double risk = 0;
  std::optional<uint32_t> version;
};

class QuestionReader {
 public:
  QuestionReader(Engine& engine, const Json& params) : engine_(engine), args_(params) {}

  Result<Question> read() {
    organisation();
    intent();
    // Beyond int's range nothing changes: severity is clamped to 1..5, the others compared.
    q_.severity = static_cast<int>(args_.integer("severity", 1, -1'000'000, 1'000'000));
    actor();
    target();
    q_.risk = args_.number("risk", q_.risk, -1e300, 1e300);
    q_.inputs.comms_degraded = args_.boolean("comms_degraded", q_.inputs.comms_degraded);
    q_.inputs.severity = small(q_.severity);
    q_.inputs.clearance = small(q_.clearance);
    q_.inputs.mfa_level = small(q_.mfa_level);
    q_.inputs.risk_centi = risk_to_centi(q_.risk);
    if (args_.has("version"))
      q_.version = static_cast<uint32_t>(args_.integer("version", 0, 1, UINT32_MAX));
    payload();
    if (auto error = args_.error()) return tl::unexpected(std::move(*error));
    return q_;
  }

 private:
  static uint8_t small(int v) { return static_cast<uint8_t>(std::clamp(v, 0, 15)); }

  void organisation() {
    if (!args_.has("org")) return;
    if (args_.raw("org").is_string()) {
      const auto it = engine_.vocabulary().orgs.find(args_.text("org"));
      if (it == engine_.vocabulary().orgs.end())
        args_.complain("org", "is no configured organisation");
      else
        q_.inputs.org_id = it->second;
    } else {
      q_.inputs.org_id = static_cast<uint32_t>(args_.integer("org", 0, 0, UINT32_MAX));
    }
  }

  void intent() {
    const Vocabulary& v = engine_.vocabulary();
    if (!args_.has("intent") || args_.raw("intent").is_string()) {
      const IntentSpec* spec = v.intent(args_.text("intent"));
      q_.inputs.intent = spec ? spec->code : v.unconfigured_code();
    } else {
      q_.inputs.intent = static_cast<uint8_t>(args_.integer("intent", 0, 0, 255));
    }
  }

  void actor() {
    const auto roles = args_.texts("roles");
    for (const std::string& role : roles)
      if (const auto bit = engine_.vocabulary().roles.find(role)) q_.inputs.role_bits |= 1u << *bit;
    q_.clearance = operator_clearance(roles);
    if (args_.has("operator")) {
      const auto id = static_cast<uint32_t>(args_.integer("operator", 0, 0, UINT32_MAX));
      known_operator(id);
    }
    q_.clearance = static_cast<int>(args_.integer("clearance", q_.clearance, -1000, 1000));
    q_.mfa_level = static_cast<int>(args_.integer("mfa_level", q_.mfa_level, -1000, 1000));
  }

  void known_operator(uint32_t id) {
    const identity::OperatorEntry* e = engine_.identity().find_operator(id);
    const auto member = [&] {
      return e->every_org ||
             std::find(e->org_ids.begin(), e->org_ids.end(), q_.inputs.org_id) != e->org_ids.end();
    };
    if (!e || !member()) return;  // clearance 0, no roles, as on the worker
    const auto now_s = engine_.clock().unix_us() / 1'000'000;
    const bool valid = e->mfa_expires_s == 0 || now_s < int64_t{e->mfa_expires_s};
    q_.clearance = e->clearance;
    q_.mfa_level = valid ? e->mfa_level : 0;
    q_.inputs.role_bits = e->role_bits;
  }

  // A number is a target's id: its row gives what is not given. A text is a target group.
  void target() {
    if (!args_.has("target")) return;
    if (args_.raw("target").is_string()) {
      const auto group = engine_.vocabulary().groups.find(args_.text("target"));
      q_.inputs.group = static_cast<uint16_t>(group.value_or(kGroupsMax));
      return;
    }
    const auto id = static_cast<uint32_t>(args_.integer("target", 0, 0, UINT32_MAX));
    if (const identity::TargetEntry* e = engine_.identity().find_target(id)) {
      q_.inputs.group = e->group;
      q_.risk = e->risk_centi / 100.0;
      q_.inputs.comms_degraded = e->comms_degraded;
    }
  }

  void payload() {
    std::string bytes = args_.text("payload");
    if (args_.has("payload_base64")) {
      const auto decoded = from_base64(args_.text("payload_base64"));
      if (!decoded)
        args_.complain("payload_base64", "is not base64");
      else
        bytes = *decoded;
    }
    if (bytes.empty() || args_.error()) return;
    const uint32_t version = q_.version.value_or(engine_.version_of(q_.inputs.org_id));
    q_.inputs.pattern_bits = engine_.scan_payload(version, bytes);
  }

  Engine& engine_;
  Arguments args_;
  Question q_;
};

Json by_functions(Engine& engine, const Question& q) {
  PolicyOutcome outcome = PolicyOutcome::deny;
  std::string_view reason = "authorize_intent says no";
  const int intent_clearance = engine.vocabulary().intent_clearance(q.inputs.intent);
  if (functions::authorize(q.clearance, q.mfa_level, intent_clearance, q.severity)) {
    const bool hold = functions::requires_hold(q.risk, q.inputs.comms_degraded);
    outcome = hold ? PolicyOutcome::hold : PolicyOutcome::allow;
    reason = hold ? "requires_hold says yes" : "";
  }
  return {{"outcome", outcome_name(outcome)},
          {"rule", "functions"},
          {"version", nullptr},
          {"reason", reason}};
}

Result<Json> evaluate_handler(CommandContext& context, const Json& params) {
  Engine& engine = context.engine;
  const auto q = QuestionReader(engine, params).read();
  if (!q) return tl::unexpected(q.error());
  const std::string path = params.value("path", "engine");
  if (path == "functions") return by_functions(engine, *q);
  if (path != "engine" && path != "plain")
    return fail(ErrorCode::invalid, "path must be engine, plain or functions");
  const uint32_t version = q->version.value_or(engine.version_of(q->inputs.org_id));
  const auto loaded = engine.loaded(version);
  if (!loaded) return tl::unexpected(loaded.error());
  const RuleSet& rules = (*loaded)->rules;
  Decision decision;
  if (path == "plain") {
    decision = policy::evaluate(rules, q->inputs);
  } else {
    const auto answer = engine.evaluate(q->inputs, version);
    if (!answer) return tl::unexpected(answer.error());
    decision = answer->decision;
  }
  Json result = {{"outcome", outcome_name(decision.outcome)},
                 {"rule", rule_id(rules, decision.rule)},
                 {"version", version},
                 {"reason", rule_reason(rules, decision.rule)}};
  if (params.value("explain", false)) result["explain"] = explain(rules, q->inputs);
  return result;
}

Result<Json> gate_handler(CommandContext& context, const Json& params) {
  Engine& engine = context.engine;
  Arguments args(params);
  TargetState state{20, 1000};
  if (args.has("snapshot")) {
    if (!args.raw("snapshot").is_object()) return fail(ErrorCode::invalid, "snapshot is no object");
    Arguments snapshot(args.raw("snapshot"));
    state.temperature_c = snapshot.number("temperature_c", state.temperature_c, -1e9, 1e9);
    state.fuel_kg = snapshot.number("fuel_kg", state.fuel_kg, -1e9, 1e12);
    if (auto error = snapshot.error()) return tl::unexpected(std::move(*error));
  }
  std::vector<int> incidents;
  for (const double severity : args.numbers("incidents"))
    incidents.push_back(static_cast<int>(std::clamp(severity, -1e6, 1e6)));
  GateRequest request;
  request.risk = functions::evaluate_risk(state, args.numbers("burns"), incidents);
  request.comms_degraded = args.boolean("comms_degraded", false);
  request.operator_clearance = static_cast<int>(args.integer("operator_clearance", 0, -1000, 1000));
  request.required_clearance = static_cast<int>(args.integer("required_clearance", 3, -1000, 1000));
  request.manual_override = args.boolean("manual_override", false);
  const auto approvals = args.texts("approvals");
  if (auto error = args.error()) return tl::unexpected(std::move(*error));
  const GateDecision d = engine.evaluate_policy_gate(request);
  return Json{{"risk", d.risk},
              {"hold", d.hold},
              {"approved", d.approved},
              {"tags", engine.compliance_tags(d.risk)},
              {"reasons", d.reasons},
              {"dual_control", engine.enforce_dual_control(d, approvals)},
              {"escalation", engine.escalation_band(d.risk, d.hold)}};
}

}  // namespace

std::vector<rpc::Command> evaluate_commands(CommandContext& context) {
  return {
      {"policy.evaluate",
       "what the policy says to these inputs",
       {{"org", "any", false, "organisation, name or id"},
        {"intent", "any", false, "name or code; an unknown name is 'any other'"},
        {"severity", "integer", false, "default 1"},
        {"clearance", "integer", false, "default: what the roles give"},
        {"mfa_level", "integer", false, "default 0"},
        {"roles", "array", false, "role names"},
        {"risk", "number", false, "0..100; default: the target's, or 0"},
        {"comms_degraded", "boolean", false, "default: the target's, or false"},
        {"target", "any", false, "target id, or the name of a target group"},
        {"payload", "string", false, "for payload patterns"},
        {"payload_base64", "string", false, "the same, binary"},
        {"operator", "integer", false, "operator id: clearance, MFA and roles from the table"},
        {"version", "integer", false, "default: the organisation's active one"},
        {"path", "string", false, "engine (default), plain, or functions"},
        {"explain", "boolean", false, "say of every rule why it did not match"}},
       false,
       [&context](const Json& params) { return evaluate_handler(context, params); }},
      {"policy.gate",
       "risk gate, tags, dual control and escalation for a target's state",
       {{"snapshot", "object", false, "{temperature_c, fuel_kg}"},
        {"burns", "array", false, "delta_v of each burn"},
        {"incidents", "array", false, "severity of each incident"},
        {"comms_degraded", "boolean", false, ""},
        {"operator_clearance", "integer", false, ""},
        {"required_clearance", "integer", false, "default 3"},
        {"manual_override", "boolean", false, ""},
        {"approvals", "array", false, "names of those who approved"}},
       false,
       [&context](const Json& params) { return gate_handler(context, params); }},
  };
}

}  // namespace lf::policy
