// SPDX-License-Identifier: Apache-2.0
// What can be said about rules without sampling: which can never match, which inputs no rule
// covers, and on which inputs two rule sets differ. All three walk the product of equivalence
// classes and prune what is decided, so the answers are exact. The walk is bounded: a set too
// entangled for it is reported as such, never answered in part. Pure; any thread.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "control/base/result.hpp"
#include "control/policy/classes.hpp"
#include "control/policy/parse.hpp"
#include "control/policy/vocabulary.hpp"

namespace lf::policy {

inline constexpr uint64_t kAnalyseSteps = 2'000'000;  // class combinations looked at

// A set of inputs as people say it: {"clearance", "3-4"}; what is not named may be anything.
using Conditions = std::vector<std::pair<std::string, std::string>>;
std::string to_text(const Conditions& conditions);  // "clearance 3-4, intent firmware-patch"

struct Difference {
  Conditions conditions;
  PolicyOutcome before = PolicyOutcome::deny, after = PolicyOutcome::deny;
  std::array<std::vector<uint32_t>, kDims + 1> classes;  // the region, for contains()
};

struct Differences {
  std::vector<Difference> list;
  std::vector<ClassMap> maps;  // by Dim, then payload patterns (numbered as `patterns`)
  uint32_t role_mask = 0, pattern_mask = 0;
  std::vector<Pattern> patterns;  // of both versions

  bool contains(const Difference& d, const Inputs& inputs, OrgIndex org) const;
};

// Every input on which the outcomes differ is in exactly one of the regions, and no other input is.
// Fails when the walk would be too long.
Result<Differences> differences(const RuleSet& before, const RuleSet& after,
                                const Vocabulary& vocabulary, const OrgIds& orgs,
                                uint64_t steps = kAnalyseSteps);

// Warnings: rules and alternatives that can never match, then regions that only the default deny
// covers (at most gaps_max), or that the rules were too entangled to tell.
std::vector<Diagnostic> lint(const RuleSet& rules, const Vocabulary& vocabulary, const OrgIds& orgs,
                             size_t gaps_max = 10, uint64_t steps = kAnalyseSteps);

}  // namespace lf::policy
