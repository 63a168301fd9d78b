// SPDX-License-Identifier: Apache-2.0
// Shadowed rules, gaps, and differences between versions: exact, checked against evaluation.
#include "control/policy/analyse.hpp"

#include <gtest/gtest.h>

#include "control/policy/default_rules.hpp"
#include "control/policy/evaluate.hpp"
#include "tests/unit/policy/random_rules.hpp"

namespace lf::policy {
namespace {

using Strings = std::vector<std::string>;

const OrgIds kOrgs = {1, 2};

Vocabulary vocabulary() {
  Vocabulary v;
  v.orgs = {{"acme", 1}, {"globex", 2}};
  return v;
}

RuleSet rules(const std::string& text, Vocabulary& v) {
  auto set = load_rules(text, "t", v, NameCheck::strict);
  EXPECT_TRUE(set) << (set ? "" : set.error().message);
  return set.value_or(RuleSet{});
}

std::vector<std::string> warnings(const std::string& text) {
  Vocabulary v = vocabulary();
  const RuleSet set = rules(text, v);
  std::vector<std::string> out;
  for (const Diagnostic& d : lint(set, v, kOrgs)) out.push_back(to_text(d, "t"));
  return out;
}

std::vector<std::string> diff(const std::string& before, const std::string& after) {
  Vocabulary v = vocabulary();
  const RuleSet a = rules(before, v), b = rules(after, v);
  const auto found = differences(a, b, v, kOrgs);
  EXPECT_TRUE(found) << (found ? "" : found.error().message);
  std::vector<std::string> out;
  for (const Difference& d : found->list)
    out.push_back(fmt::format("{}: {} -> {}", to_text(d.conditions), outcome_name(d.before),
                              outcome_name(d.after)));
  return out;
}

TEST(Lint, ShippedRulesHaveNoGapAndNoRuleInVain) {
  Vocabulary v = vocabulary();
  const RuleSet set = rules(std::string(kDefaultRules), v);
  // Two alternatives are there for intents with a clearance of 0 or of 6, which nobody configured.
  Strings found;
  for (const Diagnostic& d : lint(set, v, kOrgs)) found.push_back(d.message);
  EXPECT_EQ(found, (Strings{"rule 'clearance-below-intent': alternative 6 can never match",
                            "rule 'clearance-below-severity': alternative 1 can never match"}));
}

TEST(Lint, FindsRulesBehindOthers) {
  EXPECT_EQ(warnings(R"(
rules:
  - {id: low, outcome: deny, when: {clearance: "< 3"}}
  - {id: high, outcome: deny, when: {clearance: ">= 3"}}
  - {id: dead, outcome: allow, when: {risk: 5}}
)"),
            (Strings{"t:5:5: rule 'dead' can never match: rules before it, or its own conditions, "
                     "leave nothing"}));
}

TEST(Lint, FindsDeadAlternatives) {
  EXPECT_EQ(warnings(R"(
rules:
  - {id: a, outcome: deny, when: {org: acme}}
  - {id: b, outcome: allow, when: [{org: acme, risk: 3}, {org: [acme, globex]}, {org: {not: acme}}]}
)"),
            (Strings{"t:4:5: rule 'b': alternative 1 can never match"}));
}

TEST(Lint, FindsGaps) {
  EXPECT_EQ(
      warnings("rules: [{id: r, outcome: allow, when: {clearance: \">= 2\", risk: \"< 50\"}}]"),
      (Strings{"t: no rule covers: clearance 0-1 (default deny)",
               "t: no rule covers: clearance 2-5, risk 50-100 (default deny)"}));
}

TEST(Diff, SaysTheRegionsAsPeopleDo) {
  EXPECT_EQ(diff("rules: [{id: r, outcome: allow}]",
                 "rules: [{id: n, priority: 1, outcome: deny, when: {intent: firmware-patch, "
                 "clearance: 3..4}}, {id: r, outcome: allow}]"),
            (Strings{"clearance 3-4, intent firmware-patch: allow -> deny"}));
  EXPECT_EQ(diff("rules: [{id: r, outcome: allow}]", "rules: [{id: r, outcome: allow}]"),
            Strings{});
  EXPECT_EQ(diff("rules: [{id: r, outcome: allow}]", "rules: [{id: r, outcome: deny}]"),
            (Strings{"everything: allow -> deny"}));
  EXPECT_EQ(diff("rules: [{id: r, outcome: allow, when: {org: acme}}]",
                 "rules: [{id: r, outcome: hold, when: {org: {not: globex}}}]"),
            (Strings{"org acme: allow -> hold", "org not acme, globex: deny -> hold"}));
}

TEST(Diff, PatternsCountByTheirExpression) {
  const std::string head =
      "patterns: {NAME: 'wipe'}\nrules: [{id: r, outcome: deny, when: {payload: "
      "NAME}}, {id: s, outcome: allow}]";
  const auto named = [&](const std::string& name) {
    std::string text = head;
    for (size_t at; (at = text.find("NAME")) != text.npos;) text.replace(at, 4, name);
    return text;
  };
  EXPECT_EQ(diff(named("a"), named("b")), Strings{});
  EXPECT_EQ(diff(named("a"), "rules: [{id: s, outcome: allow}]"),
            (Strings{"payload a: deny -> allow"}));
}

// Random pairs: an input's outcomes differ exactly when it lies in one of the regions, and then the
// region says which way.
TEST(Diff, RegionsAreExact) {
  Vocabulary v = vocabulary();
  uint32_t differing = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    RandomRules random(seed, 2, seed % 2 == 0);
    RuleSet a = random.rules(6);
    for (int i = 0; i < 4; ++i) a.patterns.push_back({"p", std::string(1, char('a' + i)), 0});
    RuleSet b = a;
    b.rules[random.below(6)].outcome = PolicyOutcome::hold;
    b.rules[random.below(6)] = random.rules(1).rules[0];
    const auto found = differences(a, b, v, kOrgs);
    ASSERT_TRUE(found) << found.error().message;
    for (int n = 0; n < 500; ++n) {
      Inputs in = random.inputs();
      const OrgIndex org = in.org_id <= 2 ? in.org_id - 1 : kNoOrg;
      const PolicyOutcome before = evaluate(a, in).outcome, after = evaluate(b, in).outcome;
      uint32_t regions = 0;
      for (const Difference& d : found->list) {
        if (!found->contains(d, in, org)) continue;
        ++regions;
        ASSERT_EQ(d.before, before) << seed;
        ASSERT_EQ(d.after, after) << seed;
      }
      ASSERT_EQ(regions, before != after ? 1u : 0u) << seed;
      differing += before != after;
    }
  }
  EXPECT_GT(differing, 100u);
}

TEST(Diff, GivesUpRatherThanAnswerInPart) {
  Vocabulary v = vocabulary();
  RandomRules random(3, 2, false);
  const RuleSet a = random.rules(60), b = random.rules(60);
  EXPECT_FALSE(differences(a, b, v, kOrgs, 100));
}

}  // namespace
}  // namespace lf::policy
