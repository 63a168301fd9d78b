// SPDX-License-Identifier: Apache-2.0
#include "dataplane/admission/admission.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <string>

#include "dataplane/core/hold_end.hpp"
#include "tests/support/property.hpp"

namespace lf::admission {
namespace {

TEST(AdmissionControl, ThreeLevels) {
  EXPECT_STREQ(name_of(admission_control(10, 20, 100).reason), "nominal");
  EXPECT_DOUBLE_EQ(admission_control(10, 20, 100).ratio, 0.3);
  EXPECT_STREQ(name_of(admission_control(84, 0, 100).reason), "nominal");
  EXPECT_STREQ(name_of(admission_control(85, 0, 100).reason), "degraded");
  EXPECT_TRUE(admission_control(85, 0, 100).accepted);
  EXPECT_STREQ(name_of(admission_control(50, 49, 100).reason), "degraded");
  EXPECT_STREQ(name_of(admission_control(50, 50, 100).reason), "hard-limit");
  EXPECT_FALSE(admission_control(50, 50, 100).accepted);
}

TEST(AdmissionControl, NegativeNumbersCountAsNothing) {
  EXPECT_DOUBLE_EQ(admission_control(-5, 3, 10).ratio, 0.3);
  EXPECT_DOUBLE_EQ(admission_control(3, -5, 10).ratio, 0.3);
  EXPECT_DOUBLE_EQ(admission_control(0, 0, 0).ratio, 0.0);
  EXPECT_FALSE(admission_control(1, 0, -7).accepted);
  EXPECT_DOUBLE_EQ(admission_control(1, 1, 0).ratio, 2.0);
}

TEST(AdmissionControl, RatioHasFourDecimals) {
  EXPECT_DOUBLE_EQ(admission_control(1, 0, 3).ratio, 0.3333);
  EXPECT_DOUBLE_EQ(admission_control(2, 0, 3).ratio, 0.6667);
  EXPECT_DOUBLE_EQ(admission_control(1, 0, 32).ratio, 0.0312);   // 0.03125 is a tie: to even
  EXPECT_DOUBLE_EQ(admission_control(1, 0, 20000).ratio, 1e-4);  // as a double above the tie
  EXPECT_EQ(admission_control(INT64_MAX, INT64_MAX, 1).reason, Reason::hard_limit);
}

TEST(AdmissionControl, AgreesWithTheFormulaOnAnyNumbers) {
  test::check_property(10'000, [] {
    const auto backlog = *test::any_int64(), inflight = *test::any_int64(),
               limit = *test::any_int64();
    const auto sum = static_cast<long double>(std::max<int64_t>(backlog, 0)) +
                     static_cast<long double>(std::max<int64_t>(inflight, 0));
    const auto hard = static_cast<long double>(std::max<int64_t>(limit, 1));
    const Decision d = admission_control(backlog, inflight, limit);
    RC_ASSERT(d.accepted == (sum < hard));
    RC_ASSERT((d.reason == Reason::hard_limit) == (sum >= hard));
    char text[64];
    std::snprintf(text, sizeof(text), "%.4f", static_cast<double>(sum) / static_cast<double>(hard));
    RC_ASSERT(d.ratio == std::stod(text));
    // 0.85 as a fraction; long double holds 100 times 63 bits only approximately, so stay below.
    if (sum < 1e15L && hard < 1e15L && sum < hard)
      RC_ASSERT((d.reason == Reason::degraded) == (sum * 100 >= hard * 85));
  });
}

class Shedding : public ::testing::Test {
 protected:
  Meta& add(uint8_t severity, bool authenticated = true, Kind kind = Kind::command) {
    const uint32_t i = burst.count++;
    Meta& m = burst.meta[i] = Meta{};
    m.severity = severity;
    m.authenticated = authenticated;
    m.kind = kind;
    live.add(i);
    return m;
  }
  std::vector<int> left() const { return {live.begin(), live.end()}; }

  Table table{.enabled = true, .hard_limit = 100};
  Burst burst;
  Selection live;
};

TEST_F(Shedding, NothingWhileThereIsRoomForAll) {
  for (int k = 0; k < 10; ++k) add(1, false);
  run(table, {.in_flight = 60, .rx_backlog = 20, .delayed = 10}, ~0ull, burst, live);
  EXPECT_EQ(live.count, 10);
}

TEST_F(Shedding, DuplicatesThenUnauthenticatedThenTheLowestSeverity) {
  add(5);         // 0: duplicate
  add(5, false);  // 1
  add(1);         // 2
  add(3);         // 3
  add(1);         // 4
  add(2);         // 5
  const uint64_t duplicates = 1;
  const auto shed_at = [&](uint64_t room_left) {
    Burst b = burst;
    Selection s = live;
    run(table, {.in_flight = 100 - room_left}, duplicates, b, s);
    return std::vector<int>(s.begin(), s.end());
  };
  EXPECT_EQ(shed_at(6), (std::vector<int>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(shed_at(5), (std::vector<int>{1, 2, 3, 4, 5}));
  EXPECT_EQ(shed_at(4), (std::vector<int>{2, 3, 4, 5}));
  EXPECT_EQ(shed_at(3), (std::vector<int>{2, 3, 5})) << "the earlier of the lowest stays";
  EXPECT_EQ(shed_at(2), (std::vector<int>{3, 5}));
  EXPECT_EQ(shed_at(1), (std::vector<int>{3}));
  EXPECT_EQ(shed_at(0), (std::vector<int>{}));
}

TEST_F(Shedding, OnlyCommandsAreShed) {
  add(1, true, Kind::report);
  add(1, true, Kind::approval);
  add(1, true, Kind::reply);
  add(1, true, Kind::probe_reply);
  add(5);
  run(table, {.in_flight = 500}, 0, burst, live);
  EXPECT_EQ(left(), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(burst.meta[4].verdict, Verdict::shed);
  EXPECT_EQ(burst.meta[4].reply_status, lcp::Status::busy);
  EXPECT_EQ(burst.meta[4].throttle_ms, kRetryAfterMs);
}

TEST_F(Shedding, WhatWasHeldIsNotShed) {
  add(1).origin = Origin::released;
  add(1).origin = kHoldRefused;
  add(5).origin = Origin::intake;
  run(table, {.in_flight = 500}, ~0ull, burst, live);
  EXPECT_EQ(left(), (std::vector<int>{0, 1}));
}

TEST_F(Shedding, OffMeansNever) {
  table.enabled = false;
  add(1);
  run(table, {.in_flight = 1'000'000}, 0, burst, live);
  EXPECT_EQ(live.count, 1);
  EXPECT_EQ(level(table, {.in_flight = 1'000'000}), Reason::nominal);
}

TEST_F(Shedding, LevelsFollowTheSum) {
  EXPECT_EQ(level(table, {.in_flight = 50, .rx_backlog = 30, .delayed = 4}), Reason::nominal);
  EXPECT_EQ(level(table, {.in_flight = 50, .rx_backlog = 30, .delayed = 5}), Reason::degraded);
  EXPECT_EQ(level(table, {.in_flight = 50, .rx_backlog = 30, .delayed = 20}), Reason::hard_limit);
  EXPECT_EQ(room(table, {.in_flight = 50, .rx_backlog = 30, .delayed = 5}), 15u);
}

}  // namespace
}  // namespace lf::admission
