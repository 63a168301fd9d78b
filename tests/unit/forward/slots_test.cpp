// SPDX-License-Identifier: Apache-2.0
#include "control/forward/slots.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/property.hpp"

namespace lf::forward {
namespace {

std::vector<std::string> names(std::initializer_list<const char*> list) {
  return {list.begin(), list.end()};
}

TEST(StableIndex, KeepsNumbersOfThoseThatStay) {
  StableIndex index(8);
  ASSERT_TRUE(index.sync(names({"a", "b", "c"})));
  const auto b = index.find("b");
  ASSERT_TRUE(index.sync(names({"d", "b"})));
  EXPECT_EQ(index.find("b"), b);
  EXPECT_EQ(index.find("a"), std::nullopt);
  EXPECT_EQ(index.find("d")->index, 3u);  // the numbers of a and c rest
}

TEST(StableIndex, ReusesTheLongestFreeWithANewEpoch) {
  StableIndex index(3);
  ASSERT_TRUE(index.sync(names({"a", "b", "c"})));
  const auto a = *index.find("a");
  ASSERT_TRUE(index.sync(names({"b", "c"})));
  ASSERT_TRUE(index.sync(names({"c"})));
  ASSERT_TRUE(index.sync(names({"c", "x"})));
  EXPECT_EQ(index.find("x")->index, a.index);
  EXPECT_GT(index.find("x")->epoch, a.epoch);
}

TEST(StableIndex, TooManyChangeNothing) {
  StableIndex index(2);
  ASSERT_TRUE(index.sync(names({"a", "b"})));
  const auto r = index.sync(names({"x", "y", "z"}));
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().message, "3 entries, but there is room for 2");
  EXPECT_TRUE(index.find("a"));
  EXPECT_FALSE(index.find("x"));
  EXPECT_TRUE(index.sync(names({"x", "y", "x", "y"})));  // repeated names count once
}

// Against a plain model: any sequence of sets of names.
TEST(StableIndex, NumbersAreUniqueAndStable) {
  test::check_property(200, [](const std::vector<std::vector<uint8_t>>& steps) {
    StableIndex index(16);
    std::map<std::string, StableIndex::Place> before;
    std::set<uint32_t> epochs;
    for (const auto& step : steps) {
      std::vector<std::string> keys;
      for (const uint8_t k : step) keys.push_back(std::to_string(k % 24));
      const bool fits = std::set(keys.begin(), keys.end()).size() <= 16;
      RC_ASSERT(index.sync(keys).has_value() == fits);
      if (!fits) continue;
      std::set<uint32_t> numbers;
      std::map<std::string, StableIndex::Place> now;
      for (const std::string& key : keys) {
        const auto place = index.find(key);
        RC_ASSERT(place.has_value());
        if (now.contains(key)) continue;
        now[key] = *place;
        RC_ASSERT(place->index < 16u);
        RC_ASSERT(numbers.insert(place->index).second);
        if (before.contains(key))
          RC_ASSERT(before[key] == *place);
        else
          RC_ASSERT(epochs.insert(place->epoch).second);
      }
      before = now;
    }
  });
}

config::Config config_of(std::initializer_list<std::pair<const char*, const char*>> nodes) {
  config::Config config;
  for (const auto& [service, node] : nodes) {
    if (config.services.empty() || config.services.back().name != service) {
      config.services.emplace_back();
      config.services.back().name = service;
    }
    config.services.back().nodes.emplace_back();
    config.services.back().nodes.back().name = node;
  }
  return config;
}

TEST(Slots, SameNodeNameInTwoServices) {
  Slots slots;
  ASSERT_TRUE(slots.sync(config_of({{"orbit", "n1"}, {"audit", "n1"}})));
  EXPECT_NE(slots.node("orbit", "n1"), slots.node("audit", "n1"));
  EXPECT_EQ(slots.node("orbit", "n2"), kNoNode);
  EXPECT_EQ(slots.service("intake"), kNoService);
  EXPECT_EQ(slots.service("audit"), 1);
}

TEST(Slots, TooManyNodesAreRefusedWhole) {
  Slots slots;
  ASSERT_TRUE(slots.sync(config_of({{"orbit", "n1"}})));
  config::Config big = config_of({{"other", "x"}});
  for (uint32_t i = 0; i < kNodesMax; ++i) {
    big.services[0].nodes.emplace_back();
    big.services[0].nodes.back().name = "n" + std::to_string(i);
  }
  const auto r = slots.sync(big);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().message, "nodes: 4097 entries, but there is room for 4096");
  EXPECT_EQ(slots.service("orbit"), 0);
  EXPECT_EQ(slots.service("other"), kNoService);
}

}  // namespace
}  // namespace lf::forward
