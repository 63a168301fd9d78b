// SPDX-License-Identifier: Apache-2.0
#include "dataplane/core/backoff.hpp"

#include <gtest/gtest.h>

#include "tests/support/property.hpp"

namespace lf {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// The model doubles step by step, as a person would, and stops once past the int64 range.
int64_t model(int64_t attempt, int64_t base, int64_t cap) {
  if (attempt <= 0) return base;
  Int128 value = base;
  for (int64_t i = 1; i < attempt && value != 0; ++i) {
    if (value > kMax || value < kMin) break;
    value *= 2;
  }
  if (value > cap) return cap;
  return value < kMin ? kMin : static_cast<int64_t>(value);
}

TEST(Backoff, DoublesFromBaseToCap) {
  static_assert(retry_backoff(1) == 80);
  const int64_t expected[] = {80, 80, 160, 320, 640, 1280, 2560, 5000, 5000};
  for (int64_t attempt = 0; attempt < 9; ++attempt)
    EXPECT_EQ(retry_backoff(attempt), expected[attempt]) << attempt;
}

TEST(Backoff, AttemptZeroAndBelowIgnoresTheCap) {
  EXPECT_EQ(retry_backoff(0, 9000, 5000), 9000);
  EXPECT_EQ(retry_backoff(kMin, 9000, 5000), 9000);
  EXPECT_EQ(retry_backoff(1, 9000, 5000), 5000);
}

TEST(Backoff, HugeInputsSaturate) {
  EXPECT_EQ(retry_backoff(kMax), 5000);
  EXPECT_EQ(retry_backoff(64, 1, kMax), kMax);
  EXPECT_EQ(retry_backoff(63, 1, kMax), int64_t{1} << 62);
  EXPECT_EQ(retry_backoff(kMax, kMax, kMax), kMax);
  EXPECT_EQ(retry_backoff(kMax, -1, 5000), kMin);
  EXPECT_EQ(retry_backoff(kMax, kMin, kMin), kMin);
  EXPECT_EQ(retry_backoff(kMax, 0, 5000), 0);
  EXPECT_EQ(retry_backoff(3, 10, -7), -7);
}

TEST(Backoff, AgreesWithModel) {
  test::check_property(20'000, [] {
    const int64_t attempt = *test::any_int64();
    const int64_t base = *test::any_int64();
    const int64_t cap = *test::any_int64();
    RC_ASSERT(retry_backoff(attempt, base, cap) == model(attempt, base, cap));
  });
}

}  // namespace
}  // namespace lf
