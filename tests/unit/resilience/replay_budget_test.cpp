// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/replay_budget.hpp"

#include <gtest/gtest.h>

#include <bit>

#include "tests/support/property.hpp"

namespace lf::resilience {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// Rounds a positive number to the 53 significant bits of a double, ties to even.
Int128 round53(Int128 value, int* dropped_bits) {
  int width = 0;
  for (Int128 v = value; v > 0; v >>= 1) ++width;
  *dropped_bits = width > 53 ? width - 53 : 0;
  if (*dropped_bits == 0) return value;
  const Int128 half = Int128{1} << (*dropped_bits - 1);
  const Int128 rest = value & ((half << 1) - 1);
  Int128 kept = value >> *dropped_bits;
  if (rest > half || (rest == half && (kept & 1))) ++kept;
  return kept << *dropped_bits;
}

// int(0.9 * min(events, 12 * timeout_s)) with the floating point done by hand in integers: the
// double 0.9 is 8106479329266893 / 2^53.
int64_t model(int64_t events, int64_t timeout_s) {
  if (events <= 0 || timeout_s <= 0) return 0;
  Int128 bound = Int128{12} * timeout_s;
  if (events < bound) bound = events;
  int bits = 0;
  const Int128 product = round53(round53(bound, &bits) * 8106479329266893, &bits);
  const auto whole = static_cast<int64_t>(product >> 53);
  return whole < 1 ? 1 : whole;
}

TEST(ReplayBudget, NothingWithoutEventsOrTime) {
  EXPECT_EQ(replay_budget(0, 10), 0);
  EXPECT_EQ(replay_budget(10, 0), 0);
  EXPECT_EQ(replay_budget(-5, 10), 0);
  EXPECT_EQ(replay_budget(5, kMin), 0);
}

TEST(ReplayBudget, NineTenthsOfTheSmallerBound) {
  EXPECT_EQ(replay_budget(100, 100), 90);
  EXPECT_EQ(replay_budget(1000, 10), 108);
  EXPECT_EQ(replay_budget(15, 10), 13);
}

TEST(ReplayBudget, AtLeastOne) {
  EXPECT_EQ(replay_budget(1, 1), 1);
}

TEST(ReplayBudget, HugeTimesDoNotOverflow) {
  EXPECT_EQ(replay_budget(1000, kMax), 900);
  EXPECT_EQ(replay_budget(kMax, kMax), 8301034833169298432);  // CPython: int((2**63 - 1) * 0.9)
}

TEST(ReplayBudget, IsNineTenthsInExactIntegersWhereDoublesAreExact) {
  test::check_property(20'000, [] {
    const int64_t events = *rc::gen::inRange<int64_t>(2, int64_t{1} << 49);
    RC_ASSERT(replay_budget(events, kMax) == events / 10 * 9 + events % 10 * 9 / 10);
  });
}

TEST(ReplayBudget, AgreesWithModel) {
  static_assert(std::bit_cast<uint64_t>(0.9) == 0x3feccccccccccccd);  // 8106479329266893 * 2^-53
  test::check_property(20'000, [] {
    const int64_t events = *test::any_int64();
    const int64_t timeout_s = *test::any_int64();
    RC_ASSERT(replay_budget(events, timeout_s) == model(events, timeout_s));
  });
}

}  // namespace
}  // namespace lf::resilience
