// SPDX-License-Identifier: Apache-2.0
// The engine's part with the plain functions' interface: the same questions, answered by the rules
// that are active.
#include <algorithm>
#include <set>

#include "control/policy/engine.hpp"

namespace lf::policy {
namespace {

constexpr uint32_t kNoOrganisation = 0;  // an org id that is never configured

uint8_t small(int value) {
  return static_cast<uint8_t>(std::clamp(value, 0, 15));
}

}  // namespace

bool Engine::authorize_intent(const Operator& who, std::string_view intent, int severity) {
  Inputs in;
  in.org_id = kNoOrganisation;
  const IntentSpec* spec = vocabulary_.intent(intent);
  in.intent = spec ? spec->code : vocabulary_.unconfigured_code();
  in.severity = small(severity);
  in.clearance = small(operator_clearance(who.roles));
  in.mfa_level = small(who.mfa_level);
  for (const std::string& role : who.roles)
    if (const auto bit = vocabulary_.roles.find(role)) in.role_bits |= 1u << *bit;
  const auto answer = evaluate(in);
  return answer && answer->decision.outcome != PolicyOutcome::deny;
}

// Whether it is held is asked of the rules, for an operator whom nothing else stops: the one with
// the highest clearance, MFA, and the least demanding intent.
GateDecision Engine::evaluate_policy_gate(const GateRequest& request) {
  Inputs in;
  in.org_id = kNoOrganisation;
  const auto easiest = std::min_element(
      vocabulary_.intents.begin(), vocabulary_.intents.end(),
      [](const IntentSpec& a, const IntentSpec& b) { return a.clearance < b.clearance; });
  in.intent = easiest->code;
  in.severity = kSeverityMin;
  in.clearance = 5;
  in.mfa_level = 9;
  in.risk_centi = risk_to_centi(request.risk);
  in.comms_degraded = request.comms_degraded;
  const auto answer = evaluate(in);
  GateDecision d;
  d.risk = request.risk;
  d.hold = !answer || answer->decision.outcome == PolicyOutcome::hold;
  const bool cleared = request.operator_clearance >= request.required_clearance;
  d.approved = (!d.hold && cleared) || request.manual_override;
  if (d.hold) d.reasons.push_back("risk-hold");
  if (!cleared) d.reasons.push_back("insufficient-clearance");
  if (request.manual_override) d.reasons.push_back("manual-override");
  if (request.comms_degraded) d.reasons.push_back("comms-degraded");
  return d;
}

uint32_t Engine::required_approvals(double risk, uint32_t version) {
  const auto v = loaded(version ? version : active_.base);
  if (!v) return static_cast<uint32_t>(functions::required_approvals(risk));
  const RiskBand* band = find_band((*v)->rules.approvals, risk, true);
  return band ? band->approvers : 1;
}

bool Engine::enforce_dual_control(const GateDecision& decision,
                                  std::span<const std::string> approvals) {
  if (!decision.approved) return false;
  const std::set<std::string_view> distinct(approvals.begin(), approvals.end());
  return distinct.size() >= required_approvals(decision.risk);
}

std::vector<std::string> Engine::compliance_tags(double risk) {
  const auto v = loaded(active_.base);
  const RiskBand* band = v ? find_band((*v)->rules.tags, risk, false) : nullptr;
  return band ? band->tags : std::vector<std::string>{};
}

std::string Engine::escalation_band(double risk, bool hold) {
  const auto v = loaded(active_.base);
  const RiskBand* band = v ? find_band((*v)->rules.escalation, risk, hold) : nullptr;
  return band ? band->band : "";
}

}  // namespace lf::policy
