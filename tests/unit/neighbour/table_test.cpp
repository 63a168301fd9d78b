// SPDX-License-Identifier: Apache-2.0
#include "control/neighbour/table.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace lf::neighbour {
namespace {

constexpr MonoNs kSecond = 1'000'000'000;
const rte_ether_addr kMac = {{2, 0, 0, 0, 0, 1}};
const rte_ether_addr kOther = {{2, 0, 0, 0, 0, 2}};

Key key(uint64_t n) {
  return {.address = {.hi = 0, .lo = n}, .port = 0};
}

bool same(std::optional<rte_ether_addr> a, rte_ether_addr b) {
  return a.has_value() && rte_is_same_ether_addr(&*a, &b);
}

struct Fixture : testing::Test {
  Table table;
  MonoNs now = kSecond;
  bool changed = false;
  void SetUp() override { table.want({{key(1), std::nullopt}}, now); }
};

using NeighbourTable = Fixture;

TEST_F(NeighbourTable, AsksAtOnceThenOnceASecond) {
  EXPECT_EQ(table.tick(now, changed).size(), 1u);
  EXPECT_TRUE(table.tick(now + kSecond / 2, changed).empty());
  EXPECT_EQ(table.tick(now + kSecond, changed).size(), 1u);
}

TEST_F(NeighbourTable, AnAnswerMakesItKnown) {
  EXPECT_FALSE(table.find(key(1)));
  EXPECT_TRUE(table.heard(key(1), kMac, now));
  ASSERT_TRUE(table.find(key(1)));
  EXPECT_TRUE(same(table.find(key(1)), kMac));
  EXPECT_FALSE(table.heard(key(1), kMac, now)) << "no news the second time";
  EXPECT_TRUE(table.heard(key(1), kOther, now)) << "a new MAC is news";
}

TEST_F(NeighbourTable, LearnsNothingThatNobodyAskedFor) {
  EXPECT_FALSE(table.heard(key(2), kMac, now));
  EXPECT_EQ(table.entries().size(), 1u);
}

TEST_F(NeighbourTable, RefusesGroupAndZeroAddresses) {
  EXPECT_FALSE(table.heard(key(1), rte_ether_addr{{0, 0, 0, 0, 0, 0}}, now));
  EXPECT_FALSE(table.heard(key(1), rte_ether_addr{{1, 0, 0x5e, 0, 0, 1}}, now));
  EXPECT_FALSE(table.find(key(1)));
}

TEST_F(NeighbourTable, RefreshesByUnicastAndKeepsTheMacMeanwhile) {
  table.heard(key(1), kMac, now);
  const auto due = table.tick(now + 30 * kSecond, changed);
  ASSERT_EQ(due.size(), 1u);
  ASSERT_TRUE(due[0].unicast_to);
  EXPECT_TRUE(table.find(key(1)));
  EXPECT_FALSE(changed);
}

TEST_F(NeighbourTable, FailsAfterThreeUnansweredRefreshesAndKeepsTrying) {
  table.heard(key(1), kMac, now);
  for (int s = 30; s < 33; ++s) table.tick(now + s * kSecond, changed);
  EXPECT_TRUE(table.find(key(1)));
  table.tick(now + 33 * kSecond, changed);
  EXPECT_TRUE(changed);
  EXPECT_FALSE(table.find(key(1)));
  EXPECT_EQ(table.tick(now + 38 * kSecond, changed).size(), 1u);
  EXPECT_TRUE(table.heard(key(1), kMac, now + 38 * kSecond)) << "comes back";
}

TEST_F(NeighbourTable, AFixedMacIsNeverAskedForNorChanged) {
  table.want({{key(1), kMac}}, now);
  EXPECT_TRUE(table.tick(now + 100 * kSecond, changed).empty());
  EXPECT_FALSE(table.heard(key(1), kOther, now));
  EXPECT_TRUE(same(table.find(key(1)), kMac));
}

TEST_F(NeighbourTable, AReloadKeepsWhatIsKnown) {
  table.heard(key(1), kMac, now);
  table.want({{key(1), std::nullopt}, {key(2), std::nullopt}}, now);
  EXPECT_TRUE(table.find(key(1)));
  EXPECT_FALSE(table.find(key(2)));
  table.want({{key(2), std::nullopt}}, now);
  EXPECT_FALSE(table.find(key(1)));
}

RC_GTEST_PROP(NeighbourTableProperty, SendsAtMostOneRequestASecondAndEntry, ()) {
  Table table;
  MonoNs now = kSecond;
  table.want({{key(1), std::nullopt}}, now);
  const auto steps = *rc::gen::container<std::vector<int>>(200, rc::gen::inRange(0, 1500));
  MonoNs last = -10 * kSecond;
  for (const int ms : steps) {
    now += ms * 1'000'000ll;
    bool changed = false;
    if (*rc::gen::inRange(0, 10) == 0) table.heard(key(1), kMac, now);
    for ([[maybe_unused]] const auto& r : table.tick(now, changed)) {
      RC_ASSERT(now - last >= kSecond);
      last = now;
    }
  }
}

}  // namespace
}  // namespace lf::neighbour
