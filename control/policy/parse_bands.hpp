// SPDX-License-Identifier: Apache-2.0
// The sections approvals, escalation and tags of a policy: what hangs on risk besides the outcome.
// Part of the rule parser.
#pragma once

#include "control/policy/condition_parser.hpp"

namespace lf::policy {

// A section that the text does not have gets the defaults of the plain functions.
void parse_bands(const YAML::Node& root, ConditionParser& conditions, Diagnostics& diagnostics,
                 RuleSet& set);

}  // namespace lf::policy
