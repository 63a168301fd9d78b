// SPDX-License-Identifier: Apache-2.0
// The shipped rule set says what the plain functions say, on every input that matters.
#include "control/policy/default_rules.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "control/policy/evaluate.hpp"
#include "control/policy/parse.hpp"

namespace lf::policy {
namespace {

PolicyOutcome by_functions(int clearance, int mfa, int intent_clearance, int severity, double risk,
                           bool comms) {
  if (!functions::authorize(clearance, mfa, intent_clearance, severity)) return PolicyOutcome::deny;
  return functions::requires_hold(risk, comms) ? PolicyOutcome::hold : PolicyOutcome::allow;
}

TEST(DefaultRules, ReproduceTheFunctionsExhaustively) {
  Vocabulary vocabulary;
  const auto rules = load_rules(kDefaultRules, "default", vocabulary, NameCheck::strict);
  ASSERT_TRUE(rules) << rules.error().message;
  std::vector<double> risks = {0, 100, 99.9999, 1000, -1};
  for (const double edge : {45.0, 50.0, 55.0, 65.0, 66.0, 70.0, 80.0})
    for (const double d : {-0.01, -0.0001, 0.0, 0.0001, 0.01}) risks.push_back(edge + d);
  uint64_t cases = 0, wrong = 0;
  for (const uint8_t code : {1, 2, 3, 4, 5, 77})
    for (int clearance = 0; clearance <= 5; ++clearance)
      for (int mfa = 0; mfa <= 3; ++mfa)
        for (int severity = 0; severity <= 6; ++severity)
          for (const double risk : risks)
            for (const bool comms : {false, true}) {
              Inputs in;
              in.intent = code;
              in.clearance = static_cast<uint8_t>(clearance);
              in.mfa_level = static_cast<uint8_t>(mfa);
              in.severity = static_cast<uint8_t>(severity);
              in.risk_centi = risk_to_centi(risk);
              in.comms_degraded = comms;
              ++cases;
              wrong += evaluate(*rules, in).outcome !=
                       by_functions(clearance, mfa, vocabulary.intent_clearance(code), severity,
                                    risk, comms);
            }
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(cases, 6u * 6 * 4 * 7 * 40 * 2);
}

TEST(DefaultRules, BandsReproduceTheFunctions) {
  Vocabulary vocabulary;
  const auto rules = load_rules(kDefaultRules, "default", vocabulary, NameCheck::strict);
  ASSERT_TRUE(rules);
  for (int i = 0; i <= 100'000; ++i) {
    const double risk = i / 1000.0;
    EXPECT_EQ(static_cast<int>(find_band(rules->approvals, risk, false)->approvers),
              functions::required_approvals(risk));
    EXPECT_EQ(find_band(rules->tags, risk, false)->tags, functions::compliance_tags(risk));
    for (const bool hold : {false, true})
      EXPECT_EQ(find_band(rules->escalation, risk, hold)->band,
                functions::escalation_band(risk, hold));
  }
}

TEST(RiskInHundredths, KeepsEveryThresholdExact) {
  for (int t = 0; t <= 10'000; ++t) {
    const double threshold = t / 100.0;
    EXPECT_EQ(risk_to_centi(threshold), t);
    EXPECT_EQ(risk_to_centi(std::nextafter(threshold, 0.0)), std::max(t - 1, 0));
  }
  EXPECT_EQ(risk_to_centi(std::nan("")), 10'000);
  EXPECT_EQ(risk_to_centi(-3), 0);
  EXPECT_EQ(risk_to_centi(1e300), 10'000);
}

}  // namespace
}  // namespace lf::policy
