// SPDX-License-Identifier: Apache-2.0
#include "control/policy/evaluate.hpp"

#include <algorithm>

namespace lf::policy {

Inputs normalized(Inputs in) {
  constexpr uint8_t top = kSmallValues - 1;
  in.severity = std::clamp<uint8_t>(in.severity, kSeverityMin, kSeverityMax);
  in.clearance = std::min(in.clearance, top);
  in.mfa_level = std::min(in.mfa_level, top);
  in.risk_centi = std::min<uint16_t>(in.risk_centi, kRiskValues - 1);
  return in;
}

std::string_view first_mismatch(const Condition& c, const Inputs& in) {
  if (!(c.clearance >> in.clearance & 1)) return "clearance";
  if (!(c.mfa >> in.mfa_level & 1)) return "mfa";
  if (!(c.severity >> in.severity & 1)) return "severity";
  if (!(c.comms >> in.comms_degraded & 1)) return "comms_degraded";
  if (!c.intents.test(in.intent)) return "intent";
  if (!in_ranges(c.risk, in.risk_centi)) return "risk";
  if (!c.roles.test(in.role_bits)) return "role";
  if (!c.orgs.contains(in.org_id)) return "org";
  if (!c.groups.contains(in.group)) return "target";
  if (!c.patterns.test(in.pattern_bits)) return "payload";
  return {};
}

Decision evaluate(const RuleSet& rules, const Inputs& inputs) {
  const Inputs in = normalized(inputs);
  for (size_t n = 0; n < rules.rules.size(); ++n)
    for (const Condition& c : rules.rules[n].alternatives)
      if (first_mismatch(c, in).empty())
        return {rules.rules[n].outcome, static_cast<uint16_t>(n + 1)};
  return {};
}

std::string_view rule_id(const RuleSet& rules, uint16_t rule) {
  if (rule == 0 || rule > rules.rules.size()) return "default-deny";
  return rules.rules[rule - 1u].id;
}

std::string_view rule_reason(const RuleSet& rules, uint16_t rule) {
  if (rule == 0 || rule > rules.rules.size()) return "no rule matches";
  return rules.rules[rule - 1u].reason;
}

std::vector<std::string> explain(const RuleSet& rules, const Inputs& inputs) {
  const Inputs in = normalized(inputs);
  std::vector<std::string> lines;
  for (const Rule& rule : rules.rules) {
    std::string why;
    for (const Condition& c : rule.alternatives) {
      const std::string_view mismatch = first_mismatch(c, in);
      if (mismatch.empty()) {
        lines.push_back(fmt::format("{}: matches: {}", rule.id, outcome_name(rule.outcome)));
        return lines;
      }
      why += why.empty() ? "" : ", ";
      why += mismatch;
    }
    lines.push_back(fmt::format("{}: no match ({})", rule.id, why));
  }
  lines.push_back("default-deny: no rule matches: deny");
  return lines;
}

}  // namespace lf::policy
