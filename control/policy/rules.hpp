// SPDX-License-Identifier: Apache-2.0
// A rule set as a value: what the YAML says, with all names resolved to numbers. Made by
// parse_rules(), read by the plain evaluator, the compiler, the analyser and people who want to
// know why. Immutable after parsing; any thread.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/core/burst.hpp"

namespace lf::policy {

inline constexpr uint32_t kSmallValues = 16;    // clearance, MFA level, severity: 0..15
inline constexpr uint32_t kRiskValues = 10001;  // risk in hundredths: 0..10000
inline constexpr uint32_t kRulesMax = 50'000;
inline constexpr uint32_t kRowsMax = 65'000;  // alternatives over all rules
inline constexpr uint32_t kPatternsMax = 32;

struct Range {  // inclusive
  uint16_t low = 0, high = 0;
  bool operator==(const Range&) const = default;
};

// A set of numbers, or everything but it.
struct IdSet {
  bool negated = true;        // the default is "all but nothing"
  std::vector<uint32_t> ids;  // ascending
  bool contains(uint32_t id) const;
  bool is_all() const { return negated && ids.empty(); }
  bool operator==(const IdSet&) const = default;
};

// any: at least one of these bits (0: no such test); all: every one; none: not one.
struct BitTest {
  uint32_t any = 0, all = 0, none = 0;
  bool test(uint32_t bits) const {
    return (any == 0 || (bits & any) != 0) && (bits & all) == all && (bits & none) == 0;
  }
  uint32_t mentioned() const { return any | all | none; }
  bool operator==(const BitTest&) const = default;
};

// One conjunction. Defaults match everything.
struct Condition {
  uint16_t clearance = 0xffff, mfa = 0xffff, severity = 0xffff;  // bit v: value v matches
  uint8_t comms = 3;  // bit 0: matches normal, bit 1: matches degraded
  std::bitset<256> intents = std::bitset<256>().set();  // by code
  std::vector<Range> risk = {{0, kRiskValues - 1}};     // ascending, disjoint
  BitTest roles, patterns;
  IdSet orgs;    // org ids
  IdSet groups;  // target group ids
  bool operator==(const Condition&) const = default;
};

struct Rule {
  std::string id;
  std::string reason;  // for people; may be empty
  int priority = 100;
  PolicyOutcome outcome = PolicyOutcome::deny;
  std::vector<Condition> alternatives;  // the rule matches when one of them does
  uint32_t line = 0, column = 0;        // from 1
};

struct Pattern {
  std::string name;
  std::string expression;
  uint32_t flags = 0;  // of Hyperscan
  bool operator==(const Pattern&) const = default;
};

// What hangs on risk besides the outcome; the first band that applies counts.
struct RiskBand {
  std::vector<Range> risk = {{0, kRiskValues - 1}};
  uint8_t hold = 3;               // bit 0: applies without hold, bit 1: with
  uint32_t approvers = 0;         // approvals
  std::string band;               // escalation
  std::vector<std::string> tags;  // tags
};

struct RuleSet {
  uint32_t version = 0;  // 0: not stored
  std::string description;
  std::vector<Rule> rules;  // in order of evaluation: rule number n is rules[n - 1]
  std::vector<Pattern> patterns;
  std::vector<RiskBand> approvals, escalation, tags;
};

// What a decision depends on. Numbers above their domain count as its largest value.
struct Inputs {
  uint32_t org_id = 0;
  uint8_t intent = 0;  // code
  uint8_t severity = 0, clearance = 0, mfa_level = 0;
  bool comms_degraded = false;
  uint16_t risk_centi = 0;
  uint16_t group = 0;
  uint32_t role_bits = 0;
  uint32_t pattern_bits = 0;
};

// Risk in hundredths, rounded down, so that `risk >= x` in a rule (x has at most two decimals)
// says the same as on the number itself. Not a number counts as 100.
uint16_t risk_to_centi(double risk);

bool in_ranges(const std::vector<Range>& ranges, uint16_t value);
const RiskBand* find_band(const std::vector<RiskBand>& bands, double risk, bool hold);

std::string_view outcome_name(PolicyOutcome outcome);

}  // namespace lf::policy
