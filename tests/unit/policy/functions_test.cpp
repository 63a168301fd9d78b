// SPDX-License-Identifier: Apache-2.0
#include "control/policy/functions.hpp"

#include <gtest/gtest.h>

namespace lf::policy {
namespace {

using Strings = std::vector<std::string>;

TEST(Functions, RoundsLikeDecimalArithmeticOnTheBinaryValue) {
  EXPECT_EQ(round4(12.34565), 12.3456);  // the double is just below the tie
  EXPECT_EQ(round4(2.67545), 2.6755);
  EXPECT_EQ(round4(0.00005), 0.0001);  // the double is just above
  EXPECT_EQ(round4(0.03125), 0.0312);  // exact tie: to even
  EXPECT_EQ(round4(-1.00005), -1.0001);
  EXPECT_EQ(round4(100), 100);
}

TEST(Functions, RolesGiveTheHighestClearance) {
  EXPECT_EQ(operator_clearance(Strings{}), 0);
  EXPECT_EQ(operator_clearance(Strings{"janitor"}), 0);
  EXPECT_EQ(operator_clearance(Strings{"observer", "flight-director", "operator"}), 4);
  EXPECT_EQ(operator_clearance(Strings{"security"}), 5);
}

TEST(Functions, AuthorizeIntent) {
  using functions::authorize_intent;
  const Operator planner{"p", {"planner"}, 1};
  EXPECT_TRUE(authorize_intent(planner, "orbit-adjust", 3));
  EXPECT_FALSE(authorize_intent(planner, "orbit-adjust", 4));  // MFA and clearance
  EXPECT_TRUE(authorize_intent(planner, "something-else", 1));
  EXPECT_FALSE(authorize_intent({"o", {"operator"}, 2}, "something-else", 1));
  EXPECT_FALSE(authorize_intent({"d", {"flight-director"}, 1}, "failover-region", 1));
  EXPECT_TRUE(authorize_intent({"d", {"flight-director"}, 2}, "failover-region", 4));
  EXPECT_FALSE(authorize_intent({"d", {"flight-director"}, 2}, "failover-region", 9));
  EXPECT_FALSE(authorize_intent({"n", {}, 3}, "status-refresh", 0));
}

TEST(Functions, EvaluateRisk) {
  using functions::evaluate_risk;
  EXPECT_EQ(evaluate_risk({20, 500}, {}, {}), 0);
  EXPECT_EQ(evaluate_risk({20, 500}, std::vector{1.25, 0.5}, std::vector{2, 3}), 28.125);
  EXPECT_EQ(evaluate_risk({-26, 119.9}, {}, {}), 40);
  EXPECT_EQ(evaluate_risk({-25, 120}, {}, {}), 0);
  EXPECT_EQ(evaluate_risk({75, 120}, {}, {}), 0);
  EXPECT_EQ(evaluate_risk({75.1, 120}, {}, {}), 18);
  EXPECT_EQ(evaluate_risk({20, 500}, std::vector{50.0}, std::vector{5}), 100);
  EXPECT_EQ(evaluate_risk({20, 500}, std::vector{0.00001}, {}), 0.0001);
}

TEST(Functions, GateReasonsComeInOrder) {
  using functions::evaluate_policy_gate;
  const GateDecision d = evaluate_policy_gate({70, true, 1, 3, true});
  EXPECT_TRUE(d.hold);
  EXPECT_TRUE(d.approved);
  EXPECT_EQ(d.reasons,
            (Strings{"risk-hold", "insufficient-clearance", "manual-override", "comms-degraded"}));
  EXPECT_TRUE(evaluate_policy_gate({64.99, false, 3, 3, false}).approved);
  EXPECT_FALSE(evaluate_policy_gate({50, true, 5, 3, false}).approved);
  EXPECT_FALSE(evaluate_policy_gate({10, false, 2, 3, false}).approved);
}

TEST(Functions, DualControlCountsDistinctApprovers) {
  using functions::enforce_dual_control;
  EXPECT_FALSE(enforce_dual_control({70, true, false, {}}, Strings{"a", "b"}));
  EXPECT_FALSE(enforce_dual_control({66, false, true, {}}, Strings{"a", "a"}));
  EXPECT_TRUE(enforce_dual_control({66, false, true, {}}, Strings{"a", "b"}));
  EXPECT_TRUE(enforce_dual_control({65.9, false, true, {}}, Strings{"a"}));
  EXPECT_FALSE(enforce_dual_control({1, false, true, {}}, Strings{}));
}

TEST(Functions, TagsAndBands) {
  using namespace functions;
  EXPECT_EQ(compliance_tags(70), (Strings{"review-required", "board-notify"}));
  EXPECT_EQ(compliance_tags(69.9999), (Strings{"ops-supervision", "audit-trace"}));
  EXPECT_EQ(compliance_tags(44.9), (Strings{"routine", "auto-approved"}));
  EXPECT_EQ(escalation_band(80, true), "board");
  EXPECT_EQ(escalation_band(79.9, true), "director");
  EXPECT_EQ(escalation_band(80, false), "supervisor");
  EXPECT_EQ(escalation_band(54.9, false), "automatic");
}

}  // namespace
}  // namespace lf::policy
