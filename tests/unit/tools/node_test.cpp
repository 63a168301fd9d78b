// SPDX-License-Identifier: Apache-2.0
// lf-node's behaviour and bookkeeping without sockets.
#include <gtest/gtest.h>

#include "tools/lf_node/behaviour.hpp"
#include "tools/lf_node/seen_commands.hpp"

namespace lf::node {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr Chance kLucky{.silent = 0.999, .busy = 0.999, .fail = 0.999, .jitter = 0.5};

TEST(Behaviour, SettingsByName) {
  Behaviour b;
  ASSERT_TRUE(b.set("capacity", "300"));
  EXPECT_EQ(b.capacity, 300);
  ASSERT_TRUE(b.set_all("silent=10 degraded 1  saturation=-1"));
  EXPECT_EQ(b.silent, 10);
  EXPECT_EQ(b.degraded, 1);
  EXPECT_EQ(b.saturation, -1);
}

TEST(Behaviour, OneMistakeChangesNothing) {
  Behaviour b;
  for (const auto* wrong : {"", "silent", "silent=", "silent=x", "silent=101", "fail=-1",
                            "nonsense=1", "capacity=5 silent=200", "capacity=5 nonsense"}) {
    EXPECT_FALSE(b.set_all(wrong)) << wrong;
    EXPECT_EQ(b.capacity, 0) << wrong;
    EXPECT_EQ(b.silent, 0) << wrong;
  }
}

TEST(Script, InOrderOfTime) {
  const auto script = parse_script("20s silent=100; 500ms capacity=300 queue=5;");
  ASSERT_TRUE(script) << script.error().message;
  ASSERT_EQ(script->size(), 2u);
  EXPECT_EQ((*script)[0].at_ns, 500 * kMs);
  Behaviour b;
  ASSERT_TRUE(b.set_all((*script)[0].settings));
  EXPECT_EQ(b.capacity, 300);
  EXPECT_EQ(b.queue, 5);
  EXPECT_EQ((*script)[1].at_ns, 20'000 * kMs);
  EXPECT_TRUE(parse_script("")->empty());
  for (const auto* wrong : {"silent=100", "10s", "10s silent", "10s silent=1; x silent=2"})
    EXPECT_FALSE(parse_script(wrong)) << wrong;
}

TEST(Server, AnswersAtOnceWithoutLimits) {
  Server s;
  const Decision d = s.decide({}, kLucky, 100);
  EXPECT_FALSE(d.silent);
  EXPECT_EQ(d.status, lcp::Status::ok);
  EXPECT_EQ(d.at_ns, 100);
}

TEST(Server, CapacityMakesAQueueAndThenBusy) {
  Server s;
  Behaviour b;
  b.capacity = 1000;  // one a millisecond
  b.queue = 10;
  b.service_ms = 3;
  int ok = 0;
  for (int i = 0; i < 20; ++i) {
    const Decision d = s.decide(b, kLucky, 0);
    if (d.status == lcp::Status::busy) {
      EXPECT_EQ(d.at_ns, 0);  // refused at once
      continue;
    }
    ++ok;
    EXPECT_EQ(d.at_ns, ok * kMs + 3 * kMs);  // waits for those before it
  }
  EXPECT_EQ(ok, 11);  // one being served and ten waiting
  // The queue drains at the rate of its capacity.
  EXPECT_EQ(s.decide(b, kLucky, 5 * kMs).at_ns, 12 * kMs + 3 * kMs);
  EXPECT_EQ(s.decide(b, kLucky, 1000 * kMs).at_ns, 1001 * kMs + 3 * kMs);
}

TEST(Server, ChanceDecides) {
  Behaviour b;
  b.silent = b.busy = b.fail = 50;
  Server s;
  Chance c = kLucky;
  c.silent = 0.49;
  EXPECT_TRUE(s.decide(b, c, 0).silent);
  c = kLucky;
  c.busy = 0.49;
  EXPECT_EQ(s.decide(b, c, 0).status, lcp::Status::busy);
  c = kLucky;
  c.fail = 0.49;
  EXPECT_EQ(s.decide(b, c, 0).status, lcp::Status::failed);
  b.service_ms = 10;
  b.jitter = 50;
  c = kLucky;
  c.jitter = 0;
  EXPECT_EQ(s.decide(b, c, 0).at_ns, 5 * kMs);
  c.jitter = 1;
  EXPECT_EQ(s.decide(b, c, 0).at_ns, 15 * kMs);
}

TEST(SeenCommands, CountsDeliveriesAndRepeatedAttempts) {
  SeenCommands seen;
  const lcp::Id a{1}, b{2};
  seen.add(a, 0);
  seen.add(b, 0);
  EXPECT_EQ(seen.delivered_twice(), 0u);
  seen.add(a, 1);  // a retry
  EXPECT_EQ(seen.delivered_twice(), 1u);
  EXPECT_EQ(seen.same_attempt_twice(), 0u);
  seen.add(a, 1);  // a duplicate that should have been stopped
  seen.add(a, 1);
  EXPECT_EQ(seen.delivered_twice(), 1u);
  EXPECT_EQ(seen.same_attempt_twice(), 1u);
  EXPECT_EQ(seen.unique(), 2u);
  const std::string text = seen.to_text();
  EXPECT_NE(text.find("01000000000000000000000000000000 4\n"), text.npos) << text;
  EXPECT_NE(text.find("02000000000000000000000000000000 1\n"), text.npos) << text;
}

}  // namespace
}  // namespace lf::node
