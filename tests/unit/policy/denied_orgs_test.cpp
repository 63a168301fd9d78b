// SPDX-License-Identifier: Apache-2.0
#include "control/policy/denied_orgs.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "control/policy/evaluate.hpp"
#include "tests/unit/policy/random_rules.hpp"

namespace lf::policy {
namespace {

constexpr uint32_t kAcme = 1, kGlobex = 2;

Condition of(std::vector<uint32_t> orgs, bool negated = false) {
  Condition c;
  c.orgs = {negated, std::move(orgs)};
  return c;
}

Rule rule(PolicyOutcome outcome, Condition condition) {
  Rule r;
  r.outcome = outcome;
  r.alternatives = {std::move(condition)};
  return r;
}

TEST(DeniedOrgs, WithoutAnyRuleEverybody) {
  EXPECT_TRUE(denies_all_of({}, kAcme));
}

TEST(DeniedOrgs, AnAllowOrHoldThatMayBeItsOwnCounts) {
  for (const auto outcome : {PolicyOutcome::allow, PolicyOutcome::hold}) {
    RuleSet rules;
    rules.rules = {rule(outcome, of({kGlobex}))};
    EXPECT_TRUE(denies_all_of(rules, kAcme));
    EXPECT_FALSE(denies_all_of(rules, kGlobex));
    rules.rules = {rule(outcome, of({kGlobex}, true))};
    EXPECT_FALSE(denies_all_of(rules, kAcme));
    EXPECT_TRUE(denies_all_of(rules, kGlobex));
  }
}

TEST(DeniedOrgs, NothingBehindADenyOfAllIsReached) {
  RuleSet rules;
  rules.rules = {rule(PolicyOutcome::deny, of({kAcme})), rule(PolicyOutcome::allow, {})};
  EXPECT_TRUE(denies_all_of(rules, kAcme));
  EXPECT_FALSE(denies_all_of(rules, kGlobex));
  rules.rules[0].alternatives[0].severity = 1;  // not every command
  EXPECT_FALSE(denies_all_of(rules, kAcme));
}

// Never yes where any input would be allowed or held.
RC_GTEST_PROP(DeniedOrgsProperty, YesIsNeverWrong, (uint64_t seed)) {
  RandomRules random(seed, 3, true);
  const RuleSet rules = random.rules(1 + random.below(6));
  for (int i = 0; i < 200; ++i) {
    const Inputs in = random.inputs();
    if (denies_all_of(rules, in.org_id))
      RC_ASSERT(evaluate(rules, in).outcome == PolicyOutcome::deny);
  }
}

}  // namespace
}  // namespace lf::policy
