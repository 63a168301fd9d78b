// SPDX-License-Identifier: Apache-2.0
// The rule language: what each form means, and that bad rules are refused whole, with position.
#include "control/policy/parse.hpp"

#include <gtest/gtest.h>

#include "control/policy/evaluate.hpp"

namespace lf::policy {
namespace {

Vocabulary vocabulary() {
  Vocabulary v;
  v.orgs = {{"acme", 1}, {"globex", 2}, {"initech", 3}};
  return v;
}

RuleSet rules(const std::string& text) {
  Vocabulary v = vocabulary();
  auto set = load_rules(text, "t", v, NameCheck::strict);
  EXPECT_TRUE(set) << (set ? "" : set.error().message);
  return set ? *set : RuleSet{};
}

// The set of clearances etc. that one condition accepts, through a one-rule policy.
Condition condition(const std::string& text) {
  const RuleSet set = rules("rules: [{id: r, outcome: allow, when: {" + text + "}}]");
  return set.rules.empty() ? Condition{} : set.rules[0].alternatives[0];
}

TEST(RuleLanguage, NumbersSetsAndRanges) {
  EXPECT_EQ(condition("clearance: 3").clearance, 1u << 3);
  EXPECT_EQ(condition("clearance: [1, 3]").clearance, 0b1010);
  EXPECT_EQ(condition("clearance: \"< 3\"").clearance, 0b111);
  EXPECT_EQ(condition("clearance: \"<= 3\"").clearance, 0b1111);
  EXPECT_EQ(condition("clearance: 1..3").clearance, 0b1110);
  EXPECT_EQ(condition("clearance: \">= 4\"").clearance, 0xfff0);  // 5 stands for what is above
  EXPECT_EQ(condition("clearance: {not: [0, 2..4]}").clearance, 0xffe2);
  EXPECT_EQ(condition("severity: 1").severity, 0b11);  // 1 stands for what is below
  EXPECT_EQ(condition("risk: \">= 49.5\"").risk, (std::vector<Range>{{4950, 10000}}));
  EXPECT_EQ(condition("risk: \"< 65\"").risk, (std::vector<Range>{{0, 6499}}));
  EXPECT_EQ(condition("risk: [1..2, 0.5, 2.01..3]").risk,
            (std::vector<Range>{{50, 50}, {100, 300}}));
  EXPECT_EQ(condition("risk: {not: 20..30}").risk, (std::vector<Range>{{0, 1999}, {3001, 10000}}));
}

TEST(RuleLanguage, NamesAndNegation) {
  EXPECT_TRUE(condition("intent: [orbit-adjust]").intents.test(3));
  EXPECT_EQ(condition("intent: [orbit-adjust]").intents.count(), 1u);
  EXPECT_EQ(condition("intent: {not: orbit-adjust}").intents.count(), 255u);
  EXPECT_EQ(condition("intent: other").intents.count(), 251u);
  EXPECT_EQ(condition("intent_clearance: \">= 4\"").intents.count(), 2u);
  EXPECT_EQ(
      condition("intent: [orbit-adjust, firmware-patch], intent_clearance: 3").intents.count(), 1u);
  const IdSet orgs = condition("org: {not: [globex, acme]}").orgs;
  EXPECT_EQ(orgs.ids, (std::vector<uint32_t>{1, 2}));
  EXPECT_FALSE(orgs.contains(2));
  EXPECT_TRUE(orgs.contains(3));
  const BitTest roles = condition("role: {any: [observer, planner], not: security}").roles;
  EXPECT_TRUE(roles.test(0b000001));
  EXPECT_FALSE(roles.test(0b010001));
  EXPECT_FALSE(roles.test(0b000010));
  EXPECT_TRUE(condition("role: {all: [observer, planner]}").roles.test(0b101));
  EXPECT_EQ(condition("comms_degraded: true").comms, 2);
}

TEST(RuleLanguage, NamedListsPatternsAndAlternatives) {
  const RuleSet set = rules(R"(
lists:
  privileged: [failover-region, firmware-patch]
patterns:
  wipe: {regex: "wipe|erase", caseless: true}
  exec: exec\(
rules:
  - id: either        # a list of conditions: one of them is enough
    outcome: deny
    when:
      - {intent: $privileged, clearance: "< 4"}
      - {intent: [orbit-adjust, $privileged], payload: wipe}
)");
  ASSERT_EQ(set.rules.size(), 1u);
  ASSERT_EQ(set.rules[0].alternatives.size(), 2u);
  EXPECT_EQ(set.rules[0].alternatives[0].intents.count(), 2u);
  EXPECT_EQ(set.rules[0].alternatives[1].intents.count(), 3u);
  EXPECT_EQ(set.rules[0].alternatives[1].patterns.any, 1u);
  EXPECT_EQ(set.patterns[0].flags & kSmallValues, 0u);
}

TEST(RuleLanguage, FirstMatchWinsAndTiesKeepTheOrderOfTheFile) {
  const RuleSet set = rules(R"(
rules:
  - {id: late, priority: 20, outcome: allow}
  - {id: first-of-ties, priority: 10, outcome: hold, when: {clearance: ">= 2"}}
  - {id: second-of-ties, priority: 10, outcome: deny, when: {clearance: ">= 2"}}
)");
  Inputs in;
  in.clearance = 3;
  EXPECT_EQ(rule_id(set, evaluate(set, in).rule), "first-of-ties");
  in.clearance = 1;
  EXPECT_EQ(rule_id(set, evaluate(set, in).rule), "late");
}

TEST(RuleLanguage, DefaultIsDeny) {
  const RuleSet set = rules("rules: [{id: r, outcome: allow, when: {org: acme}}]");
  Inputs in;
  in.org_id = 2;
  EXPECT_EQ(evaluate(set, in), (Decision{PolicyOutcome::deny, 0}));
  EXPECT_EQ(rule_id(set, 0), "default-deny");
  EXPECT_EQ(explain(set, in),
            (std::vector<std::string>{"r: no match (org)", "default-deny: no rule matches: deny"}));
}

TEST(RuleLanguage, StoredVersionsOutliveTheNamesTheyUse) {
  Vocabulary v = vocabulary();
  const char* text = "rules: [{id: r, outcome: allow, when: {org: gone, intent: gone-too}}]";
  EXPECT_FALSE(load_rules(text, "t", v, NameCheck::strict));
  const auto set = load_rules(text, "t", v, NameCheck::lenient);
  ASSERT_TRUE(set);
  EXPECT_EQ(evaluate(*set, {}).rule, 0);
}

TEST(RuleLanguage, ARefusedTextLeavesNoNamesBehind) {
  Vocabulary v = vocabulary();
  EXPECT_FALSE(load_rules("rules: [{id: r, outcome: never, when: {role: typo}}]", "t", v,
                          NameCheck::strict));
  EXPECT_FALSE(v.roles.find("typo"));
  EXPECT_TRUE(load_rules("rules: [{id: r, outcome: deny, when: {role: pilot}}]", "t", v,
                         NameCheck::strict));
  EXPECT_EQ(v.roles.find("pilot"), 6u);
}

struct Bad {
  const char* name;
  std::string text;
  const char* position;  // line:column
  const char* message;   // part of it
};

std::string rule_with(const std::string& rest) {
  return "rules:\n  - id: r\n    outcome: deny\n    " + rest;
}
std::string when(const std::string& condition) {
  return rule_with("when: {" + condition + "}");
}

const Bad kBad[] = {
    {"not_yaml", "rules:\n  - id: a: b", "2:10", "not YAML"},
    {"root_is_list", "[1, 2]", "1:1", "expected a map"},
    {"empty_text", "", "1:1", "expected a map"},
    {"unknown_section", "rule: []\nrules: [{id: r, outcome: deny}]", "1:1", "unknown key 'rule'"},
    {"no_rules_key", "description: x", "1:1", "'rules' is missing"},
    {"rules_not_list", "rules: {id: r}", "1:8", "must be a list"},
    {"no_rule_at_all", "rules: []", "1:8", "at least one rule"},
    {"rule_not_map", "rules:\n  - deny", "2:5", "must be a map"},
    {"unknown_rule_key", rule_with("wehn: {}"), "4:5", "unknown key 'wehn'"},
    {"key_twice", rule_with("outcome: allow"), "4:5", "comes twice"},
    {"no_id", "rules:\n  - outcome: deny", "2:5", "without an id"},
    {"bad_id", "rules: [{id: 'a b', outcome: deny}]", "1:14", "an id has"},
    {"id_twice", "rules:\n - {id: a, outcome: deny}\n - {id: a, outcome: deny}", "3:9",
     "in line 2 already"},
    {"no_outcome", "rules:\n  - id: r", "2:5", "without an outcome"},
    {"bad_outcome", "rules: [{id: r, outcome: maybe}]", "1:26", "none of allow, deny, hold"},
    {"priority_word", rule_with("priority: high"), "4:15", "whole number"},
    {"priority_fraction", rule_with("priority: 1.5"), "4:15", "whole number"},
    {"priority_negative", rule_with("priority: -1"), "4:15", "outside 0.."},
    {"unknown_condition", when("colour: red"), "4:12", "unknown key 'colour'"},
    {"condition_not_map", rule_with("when: always"), "4:11", "must be a map"},
    {"no_alternative", rule_with("when: []"), "4:11", "1..64 alternatives"},
    {"clearance_range", when("clearance: 6"), "4:23", "outside 0..5"},
    {"clearance_word", when("clearance: high"), "4:23", "not a number"},
    {"severity_zero", when("severity: 0"), "4:22", "outside 1..5"},
    {"risk_range", when("risk: \"> 100.5\""), "4:18", "outside 0..100"},
    {"risk_decimals", when("risk: 64.999"), "4:18", "at most 2 decimals"},
    {"risk_negative", when("risk: -1"), "4:18", "not a number"},
    {"range_backwards", when("risk: 70..60"), "4:18", "backwards"},
    {"empty_list", when("clearance: []"), "4:23", "empty list"},
    {"impossible", when("clearance: \"< 0\""), "4:12", "no value can match"},
    {"impossible_not", when("clearance: {not: \">= 0\"}"), "4:12", "no value can match"},
    {"impossible_role", when("role: {all: [planner], not: [planner]}"), "4:18", "no value can"},
    {"unknown_intent", when("intent: [firmware-pitch]"), "4:21", "unknown intent"},
    {"unknown_org", when("org: umbrella"), "4:17", "unknown organisation"},
    {"unknown_list", when("intent: $everything"), "4:20", "unknown list '$everything'"},
    {"unknown_pattern", when("payload: wipe"), "4:21", "unknown pattern"},
    {"list_in_list", "lists: {a: [x], b: [$a]}\nrules: [{id: r, outcome: deny}]", "1:21",
     "expected a plain value"},
    {"list_no_list", "lists: {a: x}\nrules: [{id: r, outcome: deny}]", "1:12", "must be a list"},
    {"nested_value", when("clearance: [[1]]"), "4:24", "expected a value"},
    {"not_and_more", when("clearance: {not: 1, any: 2}"), "4:23", "expected a value, a list"},
    {"role_key", when("role: {some: planner}"), "4:19", "unknown key 'some'"},
    {"bad_boolean", when("comms_degraded: yes"), "4:28", "true or false"},
    {"bad_regex", "patterns: {p: 'a('}\nrules: [{id: r, outcome: deny}]", "1:15", "pattern 'p'"},
    {"empty_regex", "patterns: {p: 'a*'}\nrules: [{id: r, outcome: deny}]", "1:15",
     "matches the empty payload"},
    {"pattern_key", "patterns: {p: {rexeg: a}}\nrules: [{id: r, outcome: deny}]", "1:16",
     "unknown key 'rexeg'"},
    {"bad_band", "rules: [{id: r, outcome: deny}]\napprovals: [{risk: 1}]", "2:13",
     "'distinct' is missing"},
    {"bad_approvers", "rules: [{id: r, outcome: deny}]\napprovals: [{distinct: many}]", "2:24",
     "distinct must be"},
    {"bad_reason", rule_with("reason: [a]"), "4:13", "reason must be text"},
};

class BadRules : public testing::TestWithParam<Bad> {};

TEST_P(BadRules, AreRefusedWholeWithPosition) {
  Vocabulary v = vocabulary();
  const auto set = load_rules(GetParam().text, "f.yaml", v, NameCheck::strict);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, ErrorCode::invalid);
  const std::string& message = set.error().message;
  EXPECT_EQ(message.find(std::string("f.yaml:") + GetParam().position + ": "), 0u) << message;
  EXPECT_NE(message.find(GetParam().message), std::string::npos) << message;
}

INSTANTIATE_TEST_SUITE_P(All, BadRules, testing::ValuesIn(kBad),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(BadRulesList, HasThirtyKinds) {
  EXPECT_GE(std::size(kBad), 30u);
}

}  // namespace
}  // namespace lf::policy
