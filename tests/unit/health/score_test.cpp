// SPDX-License-Identifier: Apache-2.0
#include "control/health/score.hpp"

#include <gtest/gtest.h>

#include "tests/support/property.hpp"

namespace lf::health {
namespace {

TEST(ScoreNode, WithoutHealthDataAsEver) {
  EXPECT_DOUBLE_EQ(score_node({"a", 10, 2, 0.5, false}), 10 + 6 + 60);
  EXPECT_DOUBLE_EQ(score_node({"a", 10, 2, 0.5, true}), 576);
  EXPECT_DOUBLE_EQ(score_node({"a"}), 0);
}

TEST(ScoreNode, HealthAndFallingTrendCost) {
  EXPECT_DOUBLE_EQ(score_node({"a", 1, 0, 0, false, NodeHealth{0.75, 0}}), 101);
  EXPECT_DOUBLE_EQ(score_node({"a", 1, 0, 0, false, NodeHealth{0.75, -0.1}}), 121);
  EXPECT_DOUBLE_EQ(score_node({"a", 1, 0, 0, false, NodeHealth{0.75, 0.5}}), 101);  // rising: free
  EXPECT_DOUBLE_EQ(score_node({"a", 1, 0, 0, false, NodeHealth{1, 0}}), 1);
}

TEST(SelectPrimaryNode, LowestScoreFirstOnTies) {
  const std::vector<RouteNode> nodes = {{"a", 5}, {"b", 3}, {"c", 3}};
  EXPECT_EQ(select_primary_node(nodes)->name, "b");
  EXPECT_EQ(select_primary_node(nodes, std::vector<std::string>{"b"})->name, "c");
  EXPECT_EQ(select_primary_node(nodes, std::vector<std::string>{"b", "c", "x"})->name, "a");
}

TEST(SelectPrimaryNode, NobodyLeftIsAnError) {
  EXPECT_EQ(select_primary_node({}).error().code, ErrorCode::not_found);
  const std::vector<RouteNode> nodes = {{"a", 5}};
  EXPECT_FALSE(select_primary_node(nodes, std::vector<std::string>{"a"}));
}

TEST(SelectPrimaryNode, IsTheFirstMinimum) {
  test::check_property(300, [](const std::vector<std::pair<uint8_t, bool>>& input) {
    std::vector<RouteNode> nodes;
    std::vector<std::string> blocked;
    for (size_t i = 0; i < input.size(); ++i) {
      nodes.push_back({std::to_string(i), input[i].first % 7 * 1.0});
      if (input[i].second) blocked.push_back(nodes.back().name);
    }
    std::optional<size_t> best;
    for (size_t i = 0; i < input.size(); ++i)
      if (!input[i].second && (!best || nodes[i].latency_ms < nodes[*best].latency_ms)) best = i;
    const auto got = select_primary_node(nodes, blocked);
    RC_ASSERT(got.has_value() == best.has_value());
    if (best) RC_ASSERT(got->name == std::to_string(*best));
  });
}

TEST(BuildRouteChain, ConfiguredIntentsAndTheRest) {
  config::Intent patch;
  patch.name = "firmware-patch";
  patch.chain = {"intake", "security", "policy", "mission"};
  config::Intent bare;
  bare.name = "bare";
  const std::vector<config::Intent> intents = {patch, bare};
  const std::vector<std::string> rest = {"intake", "policy", "audit"};
  EXPECT_EQ(build_route_chain(intents, "firmware-patch"), patch.chain);
  EXPECT_EQ(build_route_chain(intents, "no-such"), rest);
  EXPECT_EQ(build_route_chain(intents, "bare"), rest);
  EXPECT_EQ(build_route_chain({}, ""), rest);
}

}  // namespace
}  // namespace lf::health
