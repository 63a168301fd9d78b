// SPDX-License-Identifier: Apache-2.0
#include "control/health/shares.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "tests/support/property.hpp"

namespace lf::health {
namespace {

TEST(Split, ProportionalWithoutCaps) {
  const std::vector<Candidate> c = {{1}, {3}, {0}};
  const Split s = split(c, 1000);
  EXPECT_DOUBLE_EQ(s.shares[0], 0.25);
  EXPECT_DOUBLE_EQ(s.shares[1], 0.75);
  EXPECT_EQ(s.shares[2], 0);
  EXPECT_EQ(s.left_over, 0);
}

TEST(Split, ExcessSpillsToTheOthers) {
  const std::vector<Candidate> c = {{1, 100}, {1}, {2}};  // 100 of 1000 a second
  const Split s = split(c, 1000);
  EXPECT_DOUBLE_EQ(s.shares[0], 0.1);
  EXPECT_DOUBLE_EQ(s.shares[1], 0.3);
  EXPECT_DOUBLE_EQ(s.shares[2], 0.6);
  EXPECT_EQ(s.left_over, 0);
}

TEST(Split, SpillMayReachAnotherCap) {
  const std::vector<Candidate> c = {{1, 100}, {1, 350}, {1}};
  const Split s = split(c, 1000);  // 333 each; the first spills, then the second is full too
  EXPECT_DOUBLE_EQ(s.shares[0], 0.1);
  EXPECT_DOUBLE_EQ(s.shares[1], 0.35);
  EXPECT_DOUBLE_EQ(s.shares[2], 0.55);
}

TEST(Split, AllNewNodesAreProtected) {
  const std::vector<Candidate> c = {{1, 100}, {1, 100}, {1, 100}};
  const Split s = split(c, 1000);
  for (const double share : s.shares) EXPECT_DOUBLE_EQ(share, 0.1);
  EXPECT_DOUBLE_EQ(s.left_over, 0.7);
}

TEST(Split, NoDemandNoCaps) {
  const std::vector<Candidate> c = {{1, 0.001}, {1}};
  EXPECT_DOUBLE_EQ(split(c, 0).shares[0], 0.5);
  EXPECT_DOUBLE_EQ(split(c, -1).shares[0], 0.5);
}

TEST(Split, NobodyWithWeight) {
  const double nan = std::nan("");
  const std::vector<Candidate> c = {{0}, {-1}, {nan}, {std::numeric_limits<double>::infinity()}};
  const Split s = split(c, 1000);
  EXPECT_EQ(s.left_over, 1);
  EXPECT_EQ(std::accumulate(s.shares.begin(), s.shares.end(), 0.0), 0);
  EXPECT_EQ(split({}, 5).left_over, 1);
}

// Shares sum to one, no cap is passed, and whoever is below its cap has its proportion: no two
// nodes below their caps differ in share per weight, and those at their cap have less of it.
TEST(Split, AnyWeightsAndCaps) {
  test::check_property(
      500, [](const std::vector<std::pair<uint16_t, uint16_t>>& input, uint16_t demand) {
        std::vector<Candidate> c;
        for (const auto& [w, cap] : input)
          c.push_back({w * 1e300, cap % 3 == 0 ? kNoCap : cap * 1.0});
        const Split s = split(c, demand);
        double sum = s.left_over, free_level = -1;
        for (size_t i = 0; i < c.size(); ++i) {
          RC_ASSERT(std::isfinite(s.shares[i]) && s.shares[i] >= 0 && s.shares[i] <= 1);
          if (c[i].weight == 0) RC_ASSERT(s.shares[i] == 0);
          sum += s.shares[i];
          RC_ASSERT(s.shares[i] * demand <= c[i].cap * (1 + 1e-9));
          if (c[i].weight > 0 && (demand == 0 || s.shares[i] * demand < c[i].cap * (1 - 1e-9)))
            free_level = std::max(free_level, s.shares[i] / (c[i].weight / 1e300));
        }
        RC_ASSERT(std::abs(sum - 1) < 1e-9);
        for (size_t i = 0; i < c.size(); ++i) {
          if (c[i].weight == 0 || free_level < 0) continue;
          RC_ASSERT(s.shares[i] / (c[i].weight / 1e300) <= free_level * (1 + 1e-9));
          if (demand == 0 || s.shares[i] * demand < c[i].cap * (1 - 1e-9))
            RC_ASSERT(s.shares[i] / (c[i].weight / 1e300) >= free_level * (1 - 1e-9));
        }
        if (free_level >= 0) RC_ASSERT(s.left_over < 1e-9);
      });
}

}  // namespace
}  // namespace lf::health
