// SPDX-License-Identifier: Apache-2.0
// When organisations' prefixes are pushed to the deny list, for how long, and which never are.
#include "control/xdp/push.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "control/config/values.hpp"
#include "control/xdp/deny_list.hpp"

namespace lf::xdp {
namespace {

constexpr MonoNs kSecond = 1'000'000'000;

config::Prefix prefix(const std::string& text) {
  return config::parse_prefix(text).value();
}

config::Config two_organisations() {
  config::Config c;
  c.organisations.resize(2);
  c.organisations[0] = {.name = "acme", .id = 1, .prefixes = {prefix("198.51.100.0/24")}};
  c.organisations[1] = {.name = "globex", .id = 2, .prefixes = {prefix("203.0.113.0/24")}};
  return c;
}

std::vector<std::string> pushable(const config::Config& c) {
  std::vector<std::string> out;
  for (const auto& owner : find_pushable(c).owners)
    for (const auto& p : owner.prefixes)
      out.push_back(owner.organisation + " " + config::format_prefix(p));
  return out;
}

using Names = std::vector<std::string>;

TEST(PushPrefixes, ThoseOfOneOrganisationAlone) {
  config::Config c = two_organisations();
  EXPECT_EQ(pushable(c), (Names{"acme 198.51.100.0/24", "globex 203.0.113.0/24"}));
  c.organisations[1].prefixes.push_back(prefix("198.51.100.64/26"));
  EXPECT_EQ(pushable(c), (Names{"globex 203.0.113.0/24", "globex 198.51.100.64/26"}))
      << "globex has clients in acme's prefix, not acme in globex's";
  EXPECT_EQ(find_pushable(c).left_out,
            (Names{"198.51.100.0/24 of acme: 198.51.100.64/26 of globex is in it"}));
}

TEST(PushPrefixes, NoneWithANodeOrAGateway) {
  config::Config c = two_organisations();
  c.organisations[0].prefixes = {prefix("10.0.0.0/8"), prefix("fd00::/8")};
  config::Service s{.name = "s"};
  s.nodes.push_back({.name = "n1", .address = prefix("10.1.2.3/32").address});
  c.services.push_back(s);
  config::Port port{.name = "lan"};
  port.gateways = {prefix("fd00::1/128").address, prefix("203.0.113.1/32").address};
  c.ports.push_back(port);
  EXPECT_EQ(pushable(c), Names{});
  EXPECT_EQ(find_pushable(c).left_out.size(), 3u);
}

TEST(PushPrefixes, TheSamePrefixOfTwoIsNobodys) {
  config::Config c = two_organisations();
  c.organisations[1].prefixes = c.organisations[0].prefixes;
  EXPECT_EQ(pushable(c), Names{});
}

struct Scene {
  Scene() {
    settings = {.quota = true, .policy = true, .after_s = 3, .for_s = 20, .above_per_s = 100};
    configure();
  }
  void configure() { pusher.configure(settings, find_pushable(two_organisations()).owners); }
  // A second, in which acme's quota refused so many.
  void second(uint64_t refused) {
    acme.rejected += refused;
    now += kSecond;
    pusher.tick(now, [this](uint32_t org) { return org == 1 ? acme : Standing{}; });
  }
  void seconds(int count, uint64_t refused) {
    for (int i = 0; i < count; ++i) second(refused);
  }
  bool is_pushed() const { return !pusher.pushed(now).empty(); }

  config::XdpPush settings;
  Pusher pusher;
  Standing acme;
  MonoNs now = 1000 * kSecond;
};

struct Push : testing::Test, Scene {};

TEST_F(Push, AfterTheQuotaRefusedForSoLong) {
  acme.quota_is_used_up = true;
  acme.reset_seconds = 8;
  seconds(4, 1000);  // the first one only shows where the count stands
  EXPECT_FALSE(is_pushed());
  second(1000);
  const auto pushed = pusher.pushed(now);
  ASSERT_EQ(pushed.size(), 1u);
  EXPECT_EQ(config::format_prefix(pushed[0].prefix), "198.51.100.0/24");
  EXPECT_EQ(pushed[0].organisation, "acme");
  EXPECT_EQ(pushed[0].reason, PushReason::quota);
  EXPECT_EQ(pushed[0].left_s, 8u) << "no longer than until there is room";
  seconds(7, 0);
  EXPECT_TRUE(is_pushed()) << "nothing comes while it is denied";
  second(0);
  EXPECT_FALSE(is_pushed());
}

TEST_F(Push, OnceMoreOnlyAfterTheSameTimeAgain) {
  acme.quota_is_used_up = true;
  acme.reset_seconds = 2;
  seconds(5, 1000);
  ASSERT_TRUE(is_pushed());
  seconds(2, 0);
  ASSERT_FALSE(is_pushed());
  seconds(3, 1000);
  EXPECT_FALSE(is_pushed());
  second(1000);
  EXPECT_TRUE(is_pushed());
}

TEST_F(Push, ABreakBeginsAnew) {
  acme.quota_is_used_up = true;
  seconds(4, 1000);
  second(99);  // fewer than above_per_s
  seconds(3, 1000);
  EXPECT_FALSE(is_pushed());
  acme.quota_is_used_up = false;  // not a hard one, or there is room
  seconds(10, 1000);
  EXPECT_FALSE(is_pushed());
}

TEST_F(Push, WhatRefusesLittleIsLeftToWorkers) {
  acme.quota_is_used_up = true;
  seconds(30, 99);
  EXPECT_FALSE(is_pushed());
}

TEST_F(Push, AQuotaOfZeroRefusesWhateverComes) {
  acme.quota_is_zero = true;
  acme.reset_seconds = 60;
  seconds(4, 0);
  ASSERT_TRUE(is_pushed());
  EXPECT_EQ(pusher.pushed(now)[0].left_s, 20u);
  seconds(60, 0);
  EXPECT_TRUE(is_pushed());
  acme.quota_is_zero = false;
  second(0);
  EXPECT_FALSE(is_pushed()) << "there is room";
}

TEST_F(Push, PolicyAsLongAsItDenies) {
  acme.policy_denies_all = true;
  seconds(4, 0);
  ASSERT_TRUE(is_pushed());
  EXPECT_EQ(pusher.pushed(now)[0].reason, PushReason::policy);
  seconds(60, 0);
  EXPECT_TRUE(is_pushed()) << "looked at anew, and still so";
  acme.policy_denies_all = false;
  second(0);
  EXPECT_FALSE(is_pushed());
}

TEST_F(Push, OnlyWhatIsSwitchedOn) {
  settings.policy = false;
  configure();
  acme.policy_denies_all = true;
  seconds(10, 0);
  EXPECT_FALSE(is_pushed());
  settings = {};
  configure();
  EXPECT_FALSE(pusher.is_on());
  acme.quota_is_used_up = true;
  seconds(10, 1'000'000);
  EXPECT_FALSE(is_pushed());
}

TEST_F(Push, AReloadThatSwitchesItOffTakesItBack) {
  acme.policy_denies_all = true;
  seconds(4, 0);
  ASSERT_TRUE(is_pushed());
  configure();
  EXPECT_TRUE(is_pushed()) << "nothing has changed";
  settings = {};
  configure();
  EXPECT_FALSE(is_pushed());
}

TEST_F(Push, AnOperatorsAllowHoldsForAWhile) {
  acme.policy_denies_all = true;
  seconds(4, 0);
  ASSERT_TRUE(is_pushed());
  pusher.take_back(prefix("198.51.100.0/24"), now);
  EXPECT_FALSE(is_pushed());
  seconds(19, 0);
  EXPECT_FALSE(is_pushed());
  second(0);
  EXPECT_TRUE(is_pushed());
}

RC_GTEST_PROP(PushTimes, NeverLongerThanItsTimeWithoutAReason, ()) {
  Scene push;
  uint64_t since = 0;
  for (int i = 0; i < 200; ++i) {
    push.acme.quota_is_used_up = *rc::gen::arbitrary<bool>();
    push.acme.reset_seconds = *rc::gen::inRange(0u, 61u);
    push.second(*rc::gen::element(0, 50, 1000));
    since = push.is_pushed() ? since + 1 : 0;  // it cannot be pushed anew in the same second
    RC_ASSERT(since <= push.settings.for_s);
  }
}

}  // namespace
}  // namespace lf::xdp
