// SPDX-License-Identifier: Apache-2.0
#include "control/intake/deadline.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace lf::intake {
namespace {

using F = DeadlineFault;

void expect_us(std::string_view text, int64_t us) {
  const Deadline d = deadline_of(text);
  EXPECT_EQ(d.fault, F::none) << text;
  EXPECT_EQ(d.unix_us, us) << text;
}

TEST(Deadline, Iso8601) {
  expect_us("1970-01-01T00:00:00Z", 0);
  expect_us("2026-01-01T00:00:00Z", 1'767'225'600'000'000);
  expect_us("2026-01-01t00:00:00z", 1'767'225'600'000'000);
  expect_us("2026-01-01 00:00:00", 1'767'225'600'000'000);
  expect_us("2026-01-01T00:00:00", 1'767'225'600'000'000);
  expect_us("2026-01-01", 1'767'225'600'000'000);
  expect_us("20260101T000000Z", 1'767'225'600'000'000);
  expect_us("2026-01-01T01:30", 1'767'231'000'000'000);
  expect_us("2026-01-01T01:30+01:30", 1'767'225'600'000'000);
  expect_us("2026-01-01T01:30+0130", 1'767'225'600'000'000);
  expect_us("2025-12-31T20:00:00-04", 1'767'225'600'000'000);
  expect_us("2024-02-29T12:00:00Z", 1'709'208'000'000'000);
  expect_us("2026-01-01T00:00:00.5Z", 1'767'225'600'500'000);
  expect_us("2026-01-01T00:00:00,000001Z", 1'767'225'600'000'001);
  expect_us("2026-01-01T00:00:00.1234569Z", 1'767'225'600'123'456);
  expect_us("0001-01-01T00:00:00Z", -62'135'596'800'000'000);
  expect_us("9999-12-31T23:59:59.999999Z", 253'402'300'799'999'999);
}

TEST(Deadline, WhatIsNoIso8601) {
  for (const char* text : {"",
                           "now",
                           "2026",
                           "2026-13-01T00:00:00Z",
                           "2026-02-29",
                           "2026-00-01",
                           "2026-01-00",
                           "0000-01-01",
                           "2026-01-01T24:00:00Z",
                           "2026-01-01T23:60:00Z",
                           "2026-01-01T23:59:60Z",
                           "2026-01-01T00:00:00.Z",
                           "2026-01-01T00:00:00Zx",
                           "2026-01-01T00:00:00+24:00",
                           "2026-01-01T00:00:00+01:60",
                           "2026-01-01T00:00:00+",
                           "2026-01-01T",
                           "2026-01-01Z",
                           "2026-0101",
                           "202601-01",
                           "1767225600",
                           " 2026-01-01",
                           "2026-01-01T00:00:00Z ",
                           "+2026-01-01",
                           "2026-1-1"})
    EXPECT_EQ(deadline_of(std::string_view(text)).fault, F::not_iso8601) << text;
}

TEST(Deadline, TextsOutsideTheYearsAreOutOfRange) {
  EXPECT_EQ(deadline_of(std::string_view("0001-01-01T00:00:00+00:01")).fault, F::out_of_range);
  EXPECT_EQ(deadline_of(std::string_view("9999-12-31T23:59:59-00:01")).fault, F::out_of_range);
}

TEST(Deadline, UnixSeconds) {
  EXPECT_EQ(deadline_of(int64_t{1'767'225'600}).unix_us, 1'767'225'600'000'000);
  EXPECT_EQ(deadline_of(1'767'225'600.25).unix_us, 1'767'225'600'250'000);
  EXPECT_EQ(deadline_of(-0.5).unix_us, -500'000);
  EXPECT_EQ(deadline_of(std::numeric_limits<int64_t>::max()).fault, F::out_of_range);
  EXPECT_EQ(deadline_of(std::numeric_limits<int64_t>::min()).fault, F::out_of_range);
  EXPECT_EQ(deadline_of(1e300).fault, F::out_of_range);
  EXPECT_EQ(deadline_of(std::nan("")).fault, F::out_of_range);
}

}  // namespace
}  // namespace lf::intake
