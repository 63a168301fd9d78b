// SPDX-License-Identifier: Apache-2.0
#include "control/hold/hold.hpp"

#include <gtest/gtest.h>

namespace lf::hold {
namespace {

constexpr UnixUs kNow = 1'000'000;

CommandId id_of(uint8_t n) {
  CommandId id{};
  id[15] = n;
  return id;
}

Command command(uint8_t n, uint16_t risk_centi = 7000, UnixUs deadline_us = kNow + 500) {
  Command c;
  c.command_id = id_of(n);
  c.org_id = 1;
  c.operator_id = 10;
  c.risk_centi = risk_centi;
  c.deadline_us = deadline_us;
  c.frame = {n};
  return c;
}

struct HoldTest : testing::Test {
  struct Ended {
    End how;
    Held held;
    uint32_t by;
  };
  std::vector<Ended> ended;
  std::vector<uint32_t> approvals;
  Hold hold{{3, false},
            [](const Command& c) { return c.risk_centi >= 6600 ? 2u : 1u; },
            [](const Command&, uint32_t who) { return who < 100; },
            [this](End how, Held&& held, uint32_t by) {
              ended.push_back({how, std::move(held), by});
            }};

  HoldTest() {
    hold.on_approval([this](const Command&, uint32_t who) { approvals.push_back(who); });
  }
};

TEST_F(HoldTest, TwoDistinctOperatorsReleaseAtHighRisk) {
  ASSERT_TRUE(hold.park(command(1), kNow));
  EXPECT_EQ(hold.approve(1, id_of(1), 11, kNow), Approval::counted);
  EXPECT_EQ(hold.approve(1, id_of(1), 11, kNow), Approval::repeated);
  EXPECT_TRUE(ended.empty());
  EXPECT_EQ(hold.approve(1, id_of(1), 12, kNow), Approval::released);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].how, End::released);
  EXPECT_EQ(ended[0].held.command.frame, (std::vector<uint8_t>{1}));
  EXPECT_EQ(ended[0].held.approved_by, (std::vector<uint32_t>{11, 12}));
  EXPECT_EQ(approvals, (std::vector<uint32_t>{11, 12}));
  EXPECT_EQ(hold.size(), 0u);
  EXPECT_EQ(hold.approve(1, id_of(1), 13, kNow), Approval::unknown);
}

TEST_F(HoldTest, OneIsEnoughBelow) {
  ASSERT_TRUE(hold.park(command(1, 6599), kNow));
  EXPECT_EQ(hold.approve(1, id_of(1), 11, kNow), Approval::released);
}

TEST_F(HoldTest, OnlyThoseWhoMayCount) {
  ASSERT_TRUE(hold.park(command(1, 6500), kNow));
  EXPECT_EQ(hold.approve(1, id_of(1), 100, kNow), Approval::not_allowed);  // no clearance
  EXPECT_EQ(hold.approve(1, id_of(1), 10, kNow), Approval::not_allowed);   // issued it
  EXPECT_EQ(hold.approve(2, id_of(1), 11, kNow), Approval::unknown);       // other organisation
  EXPECT_EQ(hold.size(), 1u);
}

TEST_F(HoldTest, DeadlineEndsIt) {
  ASSERT_TRUE(hold.park(command(1), kNow));
  ASSERT_TRUE(hold.park(command(2, 7000, kNow + 900), kNow));
  EXPECT_EQ(hold.next_expiry(), kNow + 500);
  hold.tick(kNow + 500);
  EXPECT_TRUE(ended.empty());
  hold.tick(kNow + 501);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].how, End::expired);
  EXPECT_EQ(hold.approve(1, id_of(2), 11, kNow + 901), Approval::unknown);
  EXPECT_EQ(ended.size(), 2u);
  EXPECT_EQ(hold.next_expiry(), std::nullopt);
}

TEST_F(HoldTest, IsBounded) {
  for (uint8_t n = 1; n <= 3; ++n) EXPECT_TRUE(hold.park(command(n), kNow));
  EXPECT_FALSE(hold.park(command(4), kNow));
  EXPECT_EQ(hold.counts().full, 1u);
  EXPECT_TRUE(hold.park(command(2), kNow));  // is there already
  EXPECT_EQ(hold.size(), 3u);
}

TEST_F(HoldTest, ResentCommandsAreHeldOnce) {
  ASSERT_TRUE(hold.park(command(1), kNow));
  EXPECT_EQ(hold.approve(1, id_of(1), 11, kNow), Approval::counted);
  Command again = command(1, 7000, kNow + 800);
  again.attempt = 1;
  ASSERT_TRUE(hold.park(again, kNow + 1));
  EXPECT_EQ(hold.find(1, id_of(1))->command.attempt, 1);
  hold.tick(kNow + 600);  // the older deadline does not count any more
  EXPECT_TRUE(ended.empty());
  EXPECT_EQ(hold.approve(1, id_of(1), 12, kNow + 600), Approval::released);
}

TEST_F(HoldTest, OperatorsOnTheSocketOverride) {
  ASSERT_TRUE(hold.park(command(1), kNow));
  ASSERT_TRUE(hold.park(command(2), kNow + 1));
  EXPECT_EQ(hold.list().front()->command.command_id, id_of(1));
  EXPECT_TRUE(hold.release(1, id_of(1), 5));
  EXPECT_TRUE(hold.refuse(1, id_of(2), 6));
  EXPECT_FALSE(hold.release(1, id_of(2), 6));
  ASSERT_EQ(ended.size(), 2u);
  EXPECT_EQ(ended[0].how, End::released);
  EXPECT_EQ(ended[0].by, 5u);
  EXPECT_EQ(ended[1].how, End::refused);
}

TEST_F(HoldTest, ParkedTooLateItExpiresAtOnce) {
  EXPECT_TRUE(hold.park(command(1, 7000, kNow - 1), kNow));
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].how, End::expired);
}

}  // namespace
}  // namespace lf::hold
