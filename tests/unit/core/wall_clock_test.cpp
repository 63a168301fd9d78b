// SPDX-License-Identifier: Apache-2.0
#include "dataplane/core/wall_clock.hpp"

#include <gtest/gtest.h>

namespace lf {
namespace {

TEST(WallClock, AddsTheTicksThatHavePassed) {
  WallClock clock;
  clock.set(1000, 5'000'000, 2'000'000);  // 2 ticks a microsecond
  EXPECT_EQ(clock.unix_us(1000), 5'000'000u);
  EXPECT_NEAR(static_cast<double>(clock.unix_us(1000 + 2'000'000)), 6'000'000.0, 1.0);
}

TEST(WallClock, CountsBackwardsForATscBehindControls) {
  WallClock clock;
  clock.set(1'000'000, 5'000'000, 1'000'000);
  EXPECT_NEAR(static_cast<double>(clock.unix_us(999'000)), 4'999'000.0, 1.0);
}

TEST(WallClock, StaysExactOverADay) {
  WallClock clock;
  constexpr uint64_t hz = 2'445'000'000;
  clock.set(0, 0, hz);
  const double day_us = 86'400.0 * 1e6;
  EXPECT_NEAR(static_cast<double>(clock.unix_us(hz * 86'400)), day_us, day_us * 1e-6);
}

}  // namespace
}  // namespace lf
