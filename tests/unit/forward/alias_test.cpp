// SPDX-License-Identifier: Apache-2.0
#include "dataplane/forward/alias.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "tests/support/columns.hpp"
#include "tests/support/property.hpp"

namespace lf::forward {
namespace {

constexpr double kExact = 1.0 / (uint64_t{1} << 31);

using test::shares_of;

TEST(Alias, SharesAreTheWeights) {
  test::check_property(500, [](const std::vector<uint16_t>& weights, bool tiny) {
    std::vector<Share> shares;
    double total = 0;
    for (size_t i = 0; i < weights.size(); ++i) {
      const double w = tiny ? std::ldexp(weights[i], -1060) : weights[i];
      shares.push_back({static_cast<NodeSlot>(i), w});
      total += weights[i];
    }
    std::vector<AliasColumn> columns(7);  // a pool may start anywhere
    const Pool pool = append_pool(shares, columns);
    RC_ASSERT(pool.first == 7u);
    RC_ASSERT(columns.size() == 7u + pool.count);
    if (total == 0) {
      RC_ASSERT(pool.count == 0u);
      return;
    }
    auto got = shares_of(columns, pool);
    for (size_t i = 0; i < weights.size(); ++i) {
      const double want = weights[i] / total;
      RC_ASSERT(std::abs(got[static_cast<NodeSlot>(i)] - want) <= kExact);
      if (weights[i] == 0) RC_ASSERT(got[static_cast<NodeSlot>(i)] == 0.0);
    }
  });
}

TEST(Alias, ThousandNodesOfVeryUnequalWeights) {
  std::vector<Share> shares;
  double total = 0;
  for (int i = 0; i < 1000; ++i) {
    shares.push_back({static_cast<NodeSlot>(i), std::pow(1.02, i)});
    total += shares.back().weight;
  }
  std::vector<AliasColumn> columns;
  auto got = shares_of(columns, append_pool(shares, columns));
  for (const Share& s : shares) EXPECT_NEAR(got[s.slot], s.weight / total, kExact) << s.slot;
}

TEST(Alias, WeightsThatAreNoWeights) {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<Share> shares = {{0, std::nan("")}, {1, inf}, {2, -1}, {3, 0}};
  std::vector<AliasColumn> columns;
  EXPECT_EQ(append_pool(shares, columns).count, 0u);
  EXPECT_EQ(append_pool({}, columns).count, 0u);
  EXPECT_TRUE(columns.empty());
}

TEST(Alias, HugeWeightsDoNotOverflow) {
  const double max = std::numeric_limits<double>::max();
  const std::vector<Share> shares = {{0, max}, {1, max}, {2, max / 2}};
  std::vector<AliasColumn> columns;
  auto got = shares_of(columns, append_pool(shares, columns));
  EXPECT_NEAR(got[0], 0.4, kExact);
  EXPECT_NEAR(got[2], 0.2, kExact);
}

TEST(Alias, EveryNodeOwnsOneColumn) {
  const std::vector<Share> shares = {{5, 1}, {kNoNode, 3}, {9, 96}};
  std::vector<AliasColumn> columns;
  const Pool pool = append_pool(shares, columns);
  std::map<NodeSlot, int> owners;
  for (uint32_t i = 0; i < pool.count; ++i) ++owners[columns[i].self];
  EXPECT_EQ(owners, (std::map<NodeSlot, int>{{5, 1}, {9, 1}, {kNoNode, 1}}));
}

TEST(Alias, DrawFollowsTheColumns) {
  const std::vector<AliasColumn> columns = {{0x80000000u, 1, 2}, {0, 3, 4}};
  const Pool pool{0, 2};
  EXPECT_EQ(draw(columns.data(), pool, 0), 1);
  EXPECT_EQ(draw(columns.data(), pool, 0x3fffffffffffffffull), 1);
  EXPECT_EQ(draw(columns.data(), pool, 0x4000000000000000ull), 2);
  EXPECT_EQ(draw(columns.data(), pool, 0x7fffffffffffffffull), 2);
  EXPECT_EQ(draw(columns.data(), pool, 0x8000000000000000ull), 4);
  EXPECT_EQ(draw(columns.data(), pool, UINT64_MAX), 4);
  EXPECT_EQ(draw(columns.data(), Pool{1, 1}, 0), 4);
}

}  // namespace
}  // namespace lf::forward
