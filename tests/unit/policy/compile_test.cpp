// SPDX-License-Identifier: Apache-2.0
// The compiled evaluator agrees with the plain one on everything.
#include "control/policy/compile.hpp"

#include <gtest/gtest.h>

#include "control/policy/default_rules.hpp"
#include "control/policy/evaluate.hpp"
#include "control/policy/parse.hpp"
#include "control/policy/run_compiled.hpp"
#include "tests/unit/policy/random_rules.hpp"

namespace lf::policy {
namespace {

OrgIds org_ids(uint32_t count) {
  OrgIds ids;
  for (uint32_t i = 0; i < count; ++i) ids.push_back(i % 5 == 3 ? kNoOrgId : i + 1);
  return ids;
}

OrgIndex index_of(const OrgIds& ids, uint32_t id) {
  for (uint32_t i = 0; i < ids.size(); ++i)
    if (ids[i] == id) return i;
  return kNoOrg;
}

void expect_agreement(uint32_t rules, uint32_t orgs, const CompileLimits& limits, uint64_t seed,
                      uint32_t inputs) {
  RandomRules random(seed, orgs, true);
  const RuleSet set = random.rules(rules);
  const OrgIds ids = org_ids(orgs);
  const auto program = compile(set, ids, 1, limits);
  ASSERT_TRUE(program) << program.error().message;
  ASSERT_LE((*program)->finals.size(), kDims);  // the evaluator has room for no more
  uint32_t decided = 0;
  for (uint32_t n = 0; n < inputs; ++n) {
    Inputs in = random.inputs();
    const OrgIndex org = index_of(ids, in.org_id);
    if (org == kNoOrg) in.org_id = 999'999;  // what is not configured is named by no rule
    const Decision plain = evaluate(set, in);
    ASSERT_EQ(run_compiled(**program, in, org), plain) << "seed " << seed << " input " << n;
    decided += plain.rule != 0;
  }
  EXPECT_GT(decided, 0u);
}

TEST(Compiled, AgreesWithThePlainEvaluator) {
  for (uint64_t seed = 1; seed <= 60; ++seed)
    expect_agreement(1 + static_cast<uint32_t>(seed * 7 % 100), 6, {}, seed, 500);
}

TEST(Compiled, AgreesWhenNothingMayBeMerged) {
  for (uint64_t seed = 1; seed <= 30; ++seed)
    expect_agreement(1 + static_cast<uint32_t>(seed * 5), 6, {1, 0}, seed, 300);
}

TEST(Compiled, AgreesWhenSomeMergesAreTooBig) {
  for (uint64_t seed = 1; seed <= 10; ++seed)
    expect_agreement(700, 40, {256, 4096, 200'000}, seed, 500);
}

TEST(Compiled, AgreesAcrossCacheLinesAndSummaryWords) {
  expect_agreement(3000, 50, {64, 256, 1u << 20}, 5, 1500);
}

TEST(Compiled, DefaultRulesOnEverySmallInput) {
  Vocabulary vocabulary;
  const auto set = load_rules(kDefaultRules, "default", vocabulary, NameCheck::strict);
  ASSERT_TRUE(set);
  const auto program = compile(*set, {1, 2}, 0);
  ASSERT_TRUE(program);
  EXPECT_EQ((*program)->finals.size(), 1u);  // all dimensions merge into one
  uint32_t wrong = 0;
  for (uint32_t intent = 0; intent < 256; intent += intent < 7 ? 1 : 62)
    for (uint32_t clearance = 0; clearance <= 5; ++clearance)
      for (uint32_t mfa = 0; mfa <= 3; ++mfa)
        for (uint32_t severity = 0; severity <= 6; ++severity)
          for (uint32_t risk = 0; risk <= 10'000; risk += risk % 500 < 498 ? 249 : 1)
            for (const bool comms : {false, true}) {
              Inputs in;
              in.intent = static_cast<uint8_t>(intent);
              in.clearance = static_cast<uint8_t>(clearance);
              in.mfa_level = static_cast<uint8_t>(mfa);
              in.severity = static_cast<uint8_t>(severity);
              in.risk_centi = static_cast<uint16_t>(risk);
              in.comms_degraded = comms;
              wrong += run_compiled(**program, in, 0) != evaluate(*set, in);
            }
  EXPECT_EQ(wrong, 0u);
}

TEST(Compiled, RuleThatMatchesEverythingIsEnough) {
  RuleSet set;
  set.rules.push_back({"all", "", 0, PolicyOutcome::allow, {Condition{}}, 1, 1});
  const auto program = compile(set, {}, 0);
  ASSERT_TRUE(program);
  EXPECT_EQ(run_compiled(**program, {}, kNoOrg), (Decision{PolicyOutcome::allow, 1}));
}

TEST(Compiled, TooManyRolesAreRefused) {
  RuleSet set;
  set.rules.push_back({"roles", "", 0, PolicyOutcome::allow, {Condition{}}, 1, 1});
  set.rules[0].alternatives[0].roles.any = (1u << 17) - 1;
  EXPECT_FALSE(compile(set, {}, 0));
}

TEST(Compiled, TooMuchMemoryIsRefused) {
  RandomRules random(3, 50, false);
  EXPECT_FALSE(compile(random.rules(500), org_ids(50), 0, {1, 0, 0, 4096}));
}

}  // namespace
}  // namespace lf::policy
