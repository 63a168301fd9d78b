// SPDX-License-Identifier: Apache-2.0
// The plain evaluator: reads a rule set as it stands, one rule after the other, and can say why.
// The compiled one (dataplane/policy/match.hpp) must agree with it on every input. Pure; any
// thread; any version.
#pragma once

#include <string>
#include <vector>

#include "control/policy/rules.hpp"
#include "control/policy/vocabulary.hpp"

namespace lf::policy {

struct Decision {
  PolicyOutcome outcome = PolicyOutcome::deny;
  uint16_t rule = 0;  // number of the rule; 0: no rule matched, default deny
  bool operator==(const Decision&) const = default;
};

// Brings numbers into the domain that rules speak about (severity 1..5, the rest 0..15).
Inputs normalized(Inputs inputs);

Decision evaluate(const RuleSet& rules, const Inputs& inputs);

// Name and reason of a decision's rule, for people.
std::string_view rule_id(const RuleSet& rules, uint16_t rule);  // "default-deny" for 0
std::string_view rule_reason(const RuleSet& rules, uint16_t rule);

// Which condition kept an alternative from matching; empty: it matches.
std::string_view first_mismatch(const Condition& condition, const Inputs& inputs);

// One line for each rule up to the one that decided: why it did not match, or that it did.
std::vector<std::string> explain(const RuleSet& rules, const Inputs& inputs);

}  // namespace lf::policy
