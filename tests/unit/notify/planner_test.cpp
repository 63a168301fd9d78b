// SPDX-License-Identifier: Apache-2.0
#include "control/notify/planner.hpp"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/property.hpp"

namespace lf::notify {
namespace {

constexpr MonoNs kSecond = 1'000'000'000;

std::string channels_text(const std::vector<Notification>& list) {
  std::string text;
  for (const auto& n : list) text += n.recipient + ":" + name_of(n.channel) + " ";
  return text;
}

Event event(uint8_t severity) {
  return {severity, "quota", "acme has used it up", {}};
}

TEST(NotificationPlanner, ChannelsFollowTheSeverity) {
  const auto plan = [](uint8_t severity) {
    const std::vector<std::string> one{"ops"};
    return channels_text(NotificationPlanner().plan(event(severity), one, 0));
  };
  EXPECT_EQ(plan(0), "ops:email ");
  EXPECT_EQ(plan(2), "ops:email ");
  EXPECT_EQ(plan(3), "ops:sms ops:email ");
  EXPECT_EQ(plan(4), "ops:sms ops:email ");
  EXPECT_EQ(plan(5), "ops:pager ops:sms ops:email ");
  EXPECT_EQ(plan(9), "ops:pager ops:sms ops:email ");
}

TEST(NotificationPlanner, SubjectNamesSeverityAndSubsystem) {
  EXPECT_EQ(subject_of(3, "quota"), "[sev-3] quota");
  const std::vector<std::string> one{"ops"};
  const auto n = NotificationPlanner().plan(event(4), one, 0);
  EXPECT_EQ(n[0].subject, "[sev-4] quota");
  EXPECT_EQ(n[0].text, "acme has used it up");
}

TEST(NotificationPlanner, OneForARecipientAndChannelInTenMinutes) {
  NotificationPlanner p;
  const std::vector<std::string> ops{"ops"}, both{"ops", "boss"};
  EXPECT_EQ(channels_text(p.plan(event(1), ops, 0)), "ops:email ");
  EXPECT_EQ(channels_text(p.plan(event(3), ops, 300 * kSecond)), "ops:sms ");
  EXPECT_EQ(channels_text(p.plan(event(1), both, 599 * kSecond)), "boss:email ");
  EXPECT_EQ(channels_text(p.plan(event(1), ops, 600 * kSecond)), "ops:email ");
  EXPECT_EQ(channels_text(p.plan(event(3), ops, 899 * kSecond)), "");
  EXPECT_EQ(channels_text(p.plan(event(3), ops, 900 * kSecond)), "ops:sms ");
  EXPECT_EQ(p.withheld(), 5u);
}

TEST(NotificationPlanner, RemembersWhatWentOutBefore) {
  NotificationPlanner p;
  p.restore("ops", Channel::email, 100 * kSecond);
  p.restore("ops", Channel::email, 50 * kSecond);
  const std::vector<std::string> ops{"ops"};
  EXPECT_EQ(channels_text(p.plan(event(3), ops, 699 * kSecond)), "ops:sms ");
  EXPECT_EQ(channels_text(p.plan(event(1), ops, 700 * kSecond)), "ops:email ");
}

TEST(NotificationPlanner, NeverTwoInTheThrottleTime) {
  test::check_property(1000, [] {
    const auto throttle_s = *rc::gen::inRange<int64_t>(0, 1000);
    NotificationPlanner p(throttle_s);
    std::map<std::pair<std::string, Channel>, MonoNs> last;
    MonoNs now = 0;
    const auto events = *rc::gen::container<std::vector<std::pair<int, int64_t>>>(
        rc::gen::pair(rc::gen::inRange(1, 6), rc::gen::inRange<int64_t>(0, 400)));
    const std::vector<std::string> recipients{"a", "b"};
    for (const auto& [severity, wait_s] : events) {
      now += wait_s * kSecond;
      const auto planned = p.plan(event(static_cast<uint8_t>(severity)), recipients, now);
      size_t expected = 0;
      for (const auto& r : recipients)
        for (const Channel c : channels_of(severity)) {
          const auto it = last.find({r, c});
          if (it != last.end() && now - it->second < throttle_s * kSecond) continue;
          last[{r, c}] = now;
          ++expected;
        }
      RC_ASSERT(planned.size() == expected);
      for (const auto& n : planned) RC_ASSERT((last[{n.recipient, n.channel}]) == now);
    }
  });
}

}  // namespace
}  // namespace lf::notify
