// SPDX-License-Identifier: Apache-2.0
// The tiers' boundaries, exactly: u = count / limit against 0.70 and 0.90, delays by sixths.
#include "dataplane/quota/table.hpp"

#include <gtest/gtest.h>

#include "tests/support/property.hpp"

namespace lf::quota {
namespace {

TEST(QuotaTiers, BoundariesOfAHundred) {
  const Table t;
  const Bounds b = bounds_of(t, 100);
  EXPECT_EQ(b.allow_max, 69u);  // 0.70 is delayed already
  EXPECT_EQ(b.admit_max, 90u);  // 0.90 is delayed still
  EXPECT_EQ(delay_step(t, b, 69), 0u);
  EXPECT_EQ(delay_step(t, b, 70), 1u);
  EXPECT_EQ(delay_step(t, b, 73), 1u);  // 0.73 < 0.70 + 0.20 / 6
  EXPECT_EQ(delay_step(t, b, 74), 2u);
  EXPECT_EQ(delay_step(t, b, 80), 4u);  // exactly 0.70 + 3 sixths
  EXPECT_EQ(delay_step(t, b, 90), 6u);
}

TEST(QuotaTiers, AHardLimitHasNoDelay) {
  const Table t;
  const Bounds b = bounds_of(t, 100 | kHard);
  EXPECT_EQ(b.allow_max, 90u);
  EXPECT_EQ(b.admit_max, 90u);
  EXPECT_EQ(b.limit, 100u);
}

TEST(QuotaTiers, ZeroAdmitsNothing) {
  const Table t;
  EXPECT_EQ(bounds_of(t, 0).admit_max, 0u);
  EXPECT_EQ(bounds_of(t, 0 | kHard).admit_max, 0u);
}

TEST(QuotaTiers, ALimitBelowTheNumberOfWorkersIsAdmittedWhole) {
  Table t;
  EXPECT_EQ(bounds_of(t, 1).admit_max, 1u);
  EXPECT_EQ(bounds_of(t, 7).admit_max, 6u);
  t.whole_below = 8;
  for (uint32_t limit = 1; limit < 8; ++limit) {
    EXPECT_EQ(bounds_of(t, limit).allow_max, limit);
    EXPECT_EQ(bounds_of(t, limit).admit_max, limit);
  }
  EXPECT_EQ(bounds_of(t, 8).admit_max, 7u);
}

TEST(QuotaTiers, NoLimitIsNeverReached) {
  const Table t;
  EXPECT_GE(bounds_of(t, kUnlimited).allow_max, kLimitMax);
  EXPECT_GE(bounds_of(t, kUncounted).allow_max, kLimitMax);
  EXPECT_EQ(bounds_of(t, kLimitMax).admit_max, 1'932'735'268u);  // floor(0.9 * 2147483632)
}

TEST(QuotaTiers, TheLargestLimitStillHasExactBoundaries) {
  const Table t;
  const Bounds b = bounds_of(t, kLimitMax);
  EXPECT_EQ(b.allow_max, 1'503'238'542u);  // ceil(0.7 * 2147483632) - 1
  EXPECT_EQ(delay_step(t, b, b.allow_max), 0u);
  EXPECT_EQ(delay_step(t, b, b.allow_max + 1), 1u);
  EXPECT_EQ(delay_step(t, b, b.admit_max), 6u);
}

TEST(QuotaTiers, AgreeWithFractionsOnAnyLimit) {
  const Table t;
  test::check_property(5000, [&] {
    const auto limit = *rc::gen::inRange<uint32_t>(2, 200'000);
    const auto count = *rc::gen::inRange<uint32_t>(1, limit + 2);
    const Bounds b = bounds_of(t, limit);
    RC_ASSERT((count <= b.allow_max) == (uint64_t{count} * 10 < uint64_t{limit} * 7));
    RC_ASSERT((count > b.admit_max) == (uint64_t{count} * 10 > uint64_t{limit} * 9));
    if (count > b.allow_max && count <= b.admit_max) {
      // n - 1 = floor((count / limit - 7/10) * 30) = floor((30 count - 21 limit) / limit)
      const uint64_t n = 1 + (uint64_t{count} * 30 - uint64_t{limit} * 21) / limit;
      RC_ASSERT(delay_step(t, b, count) == std::min<uint64_t>(n, 6));
    }
  });
}

TEST(QuotaTiers, OtherBoundariesFromTheConfiguration) {
  Table t;
  t.delay_from_parts = 0;  // everything is delayed
  t.reject_above_parts = kPartsWhole;
  const Bounds b = bounds_of(t, 60);
  EXPECT_EQ(b.allow_max, 0u);
  EXPECT_EQ(b.admit_max, 60u);
  EXPECT_EQ(delay_step(t, b, 9), 1u);
  EXPECT_EQ(delay_step(t, b, 10), 2u);
  EXPECT_EQ(delay_step(t, b, 60), 6u);
  t.delay_from_parts = t.reject_above_parts = 500'000;  // no delay tier but its one point
  const Bounds narrow = bounds_of(t, 10);
  EXPECT_EQ(narrow.allow_max, 4u);
  EXPECT_EQ(narrow.admit_max, 5u);
  EXPECT_EQ(delay_step(t, narrow, 5), 6u);
}

TEST(QuotaKeys, NameAnOrganisationOrAnIntentOfIt) {
  EXPECT_TRUE(is_org_key(org_key(7)));
  EXPECT_EQ(org_of(org_key(7)), 7u);
  for (IntentIndex i = 0; i < kIntentsMax; ++i) {
    EXPECT_FALSE(is_org_key(intent_key(7, i)));
    EXPECT_EQ(org_of(intent_key(7, i)), 7u);
    EXPECT_EQ(intent_of(intent_key(7, i)), i);
  }
  EXPECT_LT(intent_key(7, kIntentsMax - 1), org_key(8));
}

}  // namespace
}  // namespace lf::quota
