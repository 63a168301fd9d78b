// SPDX-License-Identifier: Apache-2.0
#include "control/flow/maglev.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/support/property.hpp"

namespace lf::flow {
namespace {

constexpr uint32_t kPlaces = 65537;

std::vector<MaglevNode> nodes_of(const std::vector<uint32_t>& weights) {
  std::vector<MaglevNode> nodes;
  for (size_t i = 0; i < weights.size(); ++i)
    nodes.push_back({"192.0.2." + std::to_string(i) + "|80", weights[i]});
  return nodes;
}

// By key, so that tables of different lists compare.
std::vector<std::string> owners(const std::vector<MaglevNode>& nodes, uint32_t places = kPlaces) {
  std::vector<std::string> keys;
  for (const uint16_t n : maglev(nodes, places))
    keys.push_back(n == kNobody ? std::string() : nodes[n].key);
  return keys;
}

std::map<std::string, uint32_t> counts(const std::vector<std::string>& owners) {
  std::map<std::string, uint32_t> all;
  for (const std::string& key : owners) ++all[key];
  return all;
}

std::vector<uint32_t> unequal_weights(uint32_t n) {
  std::vector<uint32_t> weights;
  for (uint32_t i = 0; i < n; ++i) weights.push_back(50 + i * 37 % 151);
  return weights;
}

// The table of a fleet: whoever makes it must get this one. Changing it moves everybody's flows.
TEST(Maglev, IsTheSameEverywhereAndForEver) {
  const std::vector<uint16_t> table = maglev(nodes_of({100, 50, 200}), 13);
  const std::vector<uint16_t> expected = {0, 2, 2, 2, 0, 1, 2, 0, 2, 1, 2, 2, 0};
  EXPECT_EQ(table, expected);
}

TEST(Maglev, NobodyWithoutWeight) {
  for (const auto& weights : {std::vector<uint32_t>{}, std::vector<uint32_t>{0, 0}})
    for (const uint16_t n : maglev(nodes_of(weights), 13)) EXPECT_EQ(n, kNobody);
  for (const uint16_t n : maglev(nodes_of({0, 3, 0}), 13)) EXPECT_EQ(n, 1);
}

TEST(Maglev, ANodeThatGoesMovesLittleBesidesItsOwn) {
  std::vector<MaglevNode> nodes = nodes_of(unequal_weights(100));
  const auto before = owners(nodes);
  for (size_t gone = 0; gone < nodes.size(); gone += 9) {
    std::vector<MaglevNode> rest = nodes;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(gone));
    const auto after = owners(rest);
    uint32_t moved = 0;
    for (uint32_t p = 0; p < kPlaces; ++p)
      moved += before[p] != nodes[gone].key && before[p] != after[p];
    EXPECT_LE(moved, kPlaces * (1.0 / 100 + 0.02)) << nodes[gone].key;
  }
}

TEST(Maglev, SharesFollowWeights) {
  const std::vector<MaglevNode> nodes = nodes_of(unequal_weights(100));
  const auto shares = counts(owners(nodes));
  double sum = 0;
  for (const MaglevNode& n : nodes) sum += n.weight;
  for (const MaglevNode& n : nodes) {
    const double wanted = n.weight / sum * kPlaces;
    EXPECT_NEAR(shares.at(n.key), wanted, std::max(2.0, wanted * 0.01)) << n.key;
  }
}

TEST(Maglev, OrderDoesNotMatter) {
  test::check_property(100, [] {
    const auto weights = *rc::gen::container<std::vector<uint32_t>>(rc::gen::inRange(0u, 1000u));
    std::vector<MaglevNode> nodes = nodes_of(weights);
    const auto one = owners(nodes, 1009);
    std::ranges::reverse(nodes);
    RC_ASSERT(owners(nodes, 1009) == one);
    if (nodes.size() > 2) std::rotate(nodes.begin(), nodes.begin() + 1, nodes.end());
    RC_ASSERT(owners(nodes, 1009) == one);
  });
}

TEST(Maglev, EveryPlaceIsSomebodysInProportion) {
  test::check_property(50, [] {
    const auto weights =
        *rc::gen::nonEmpty(rc::gen::container<std::vector<uint32_t>>(rc::gen::inRange(1u, 65535u)));
    constexpr uint32_t kFew = 10007;
    const std::vector<MaglevNode> nodes = nodes_of(weights);
    const auto shares = counts(owners(nodes, kFew));
    RC_ASSERT(!shares.contains(""));
    double sum = 0;
    for (const MaglevNode& n : nodes) sum += n.weight;
    for (const MaglevNode& n : nodes) {
      const auto it = shares.find(n.key);
      const double got = it == shares.end() ? 0 : it->second;
      const double part = n.weight / sum;
      // Down: the last round ends in the middle, and rounding. Up: every node's rounding leaves
      // less than a place, which all nodes get in proportion.
      RC_ASSERT(got > part * kFew - 2);
      RC_ASSERT(got <= part * (kFew + static_cast<double>(nodes.size())) + 1);
    }
  });
}

}  // namespace
}  // namespace lf::flow
