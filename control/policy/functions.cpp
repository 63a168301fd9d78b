// SPDX-License-Identifier: Apache-2.0
#include "control/policy/functions.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

namespace lf::policy {

std::span<const IntentSpec> default_intents() {
  static const std::array<IntentSpec, 5> intents = {{{"status-refresh", 1, 1},
                                                     {"replay-window", 2, 2},
                                                     {"orbit-adjust", 3, 3},
                                                     {"failover-region", 4, 4},
                                                     {"firmware-patch", 5, 5}}};
  return intents;
}

std::span<const RoleSpec> clearance_roles() {
  static constexpr std::array<RoleSpec, 6> roles = {{{"observer", 1},
                                                     {"operator", 2},
                                                     {"planner", 3},
                                                     {"flight-director", 4},
                                                     {"security", 5},
                                                     {"principal-engineer", 5}}};
  return roles;
}

int role_clearance(std::string_view role) {
  for (const RoleSpec& r : clearance_roles())
    if (r.name == role) return r.clearance;
  return 0;
}

int operator_clearance(std::span<const std::string> roles) {
  int best = 0;
  for (const std::string& role : roles) best = std::max(best, role_clearance(role));
  return best;
}

double round4(double value) {
  if (!std::isfinite(value)) return value;
  std::array<char, 400> text;  // the longest double has 309 digits before the point
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, 4);
  double rounded = value;
  std::from_chars(text.data(), end.ptr, rounded);
  return rounded;
}

namespace functions {

bool authorize(int clearance, int mfa_level, int intent_clearance, int severity) {
  const int required = std::max(intent_clearance, std::clamp(severity, kSeverityMin, kSeverityMax));
  if (required >= 4 && mfa_level < 2) return false;
  return clearance >= required;
}

bool authorize_intent(const Operator& who, std::string_view intent, int severity) {
  int intent_clearance = kOtherIntentClearance;
  for (const IntentSpec& spec : default_intents())
    if (spec.name == intent) intent_clearance = spec.clearance;
  return authorize(operator_clearance(who.roles), who.mfa_level, intent_clearance, severity);
}

double evaluate_risk(const TargetState& target, std::span<const double> burns_delta_v,
                     std::span<const int> incident_severities) {
  double burns = 0;
  for (const double delta_v : burns_delta_v) burns += delta_v;
  int64_t incidents = 0;
  for (const int severity : incident_severities) incidents += severity;
  double risk = burns * 7.5 + static_cast<double>(incidents) * 3.0;
  if (target.temperature_c < -25 || target.temperature_c > 75) risk += 18;
  if (target.fuel_kg < 120) risk += 22;
  return round4(std::min(100.0, risk));
}

bool requires_hold(double risk, bool comms_degraded) {
  return risk >= 65 || (comms_degraded && risk >= 50);
}

std::vector<std::string> compliance_tags(double risk) {
  if (risk >= 70) return {"review-required", "board-notify"};
  if (risk >= 45) return {"ops-supervision", "audit-trace"};
  return {"routine", "auto-approved"};
}

GateDecision evaluate_policy_gate(const GateRequest& request) {
  GateDecision d;
  d.risk = request.risk;
  d.hold = requires_hold(request.risk, request.comms_degraded);
  const bool cleared = request.operator_clearance >= request.required_clearance;
  d.approved = (!d.hold && cleared) || request.manual_override;
  if (d.hold) d.reasons.push_back("risk-hold");
  if (!cleared) d.reasons.push_back("insufficient-clearance");
  if (request.manual_override) d.reasons.push_back("manual-override");
  if (request.comms_degraded) d.reasons.push_back("comms-degraded");
  return d;
}

int required_approvals(double risk) {
  return risk >= 66 ? 2 : 1;
}

bool enforce_dual_control(const GateDecision& decision, std::span<const std::string> approvals) {
  if (!decision.approved) return false;
  const std::set<std::string_view> distinct(approvals.begin(), approvals.end());
  return static_cast<int>(distinct.size()) >= required_approvals(decision.risk);
}

std::string_view escalation_band(double risk, bool hold) {
  if (hold && risk >= 80) return "board";
  if (hold) return "director";
  if (risk >= 55) return "supervisor";
  return "automatic";
}

}  // namespace functions
}  // namespace lf::policy
