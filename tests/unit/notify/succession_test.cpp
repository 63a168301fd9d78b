// SPDX-License-Identifier: Apache-2.0
// What becomes of messages whose sink is gone: rows of sinks before and after, and where each
// message waits then.
#include "control/notify/succession.hpp"

#include <gtest/gtest.h>

#include "control/notify/sinks.hpp"

namespace lf::notify {
namespace {

using Sinks = std::vector<config::Sink>;

const config::Sink kHookA{"webhook", "A", {}, "ops"}, kHookB{"webhook", "B", {}, "ops"},
    kHookOfOthers{"webhook", "C", {}, "others"}, kCommand{"command", "D", {}, "ops"},
    kPager{"webhook", "E", {"pager"}, "ops"};

class Succession : public ::testing::Test {
 protected:
  Message message(const config::Sink& sink, const std::string& text, UnixUs created_us = 5) {
    Message m;
    m.uuid = "uuid of " + text;
    m.sink = sink_key(sink);
    m.created_us = m.next_us = created_us;
    m.event = {3, "quota", text, {}};
    m.recipient = sink.recipient;
    m.channels = {"sms", "email"};
    return m;
  }
  std::vector<Gone> follow(const Sinks& sinks) { return follow_sinks(*box_, sinks, 100).value(); }
  std::vector<std::string> waiting(const config::Sink& sink) {
    std::vector<std::string> texts;
    const auto messages = box_->waiting(sink_key(sink)).value();
    for (const Message& m : messages) texts.push_back(m.event.text);
    return texts;
  }
  using Texts = std::vector<std::string>;

  std::unique_ptr<Outbox> box_ = std::move(Outbox::open("").value());
};

TEST_F(Succession, ASinkThatStaysKeepsWhatWaitsForIt) {
  follow({kHookA});
  ASSERT_TRUE(box_->add({message(kHookA, "x")}, {}));
  ASSERT_TRUE(box_->failed(1, "down", 50));
  EXPECT_TRUE(follow({kHookA, kHookB}).empty());
  EXPECT_EQ(waiting(kHookA), Texts{"x"});
  EXPECT_EQ(box_->waiting(sink_key(kHookA)).value()[0].attempts, 1u);
  EXPECT_TRUE(waiting(kHookB).empty());
}

TEST_F(Succession, ANewSinkOfTheRecipientGetsThemAsNew) {
  follow({kHookA});
  ASSERT_TRUE(box_->add({message(kHookA, "x"), message(kHookA, "y")}, {}));
  ASSERT_TRUE(box_->failed(1, "down", 5'000'000));
  const auto gone = follow({kHookOfOthers, kHookB});
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_EQ(gone[0].sink, sink_key(kHookA));
  EXPECT_EQ(gone[0].moved, 2u);
  EXPECT_EQ(gone[0].dropped, 0u);
  EXPECT_EQ(waiting(kHookB), (Texts{"x", "y"}));
  const auto first = box_->next_due(sink_key(kHookB), 100).value();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->uuid, "uuid of x") << "their order stays";
  EXPECT_EQ(box_->waiting(sink_key(kHookB)).value()[0].next_us, 100);
  EXPECT_EQ(box_->waiting(sink_key(kHookB)).value()[0].attempts, 0u);
}

TEST_F(Succession, OneThatWasThereBeforeIsNoHeir) {
  follow({kHookA, kHookB});
  ASSERT_TRUE(box_->add({message(kHookA, "x"), message(kHookB, "x")}, {}));
  const auto gone = follow({kHookB});
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_EQ(gone[0].dropped, 1u);
  EXPECT_EQ(waiting(kHookB), Texts{"x"}) << "its own, once";
  EXPECT_EQ(box_->pending().value(), 1u);
}

TEST_F(Succession, NobodyElseAndNoOtherChannelGetsThem) {
  follow({kHookA});
  ASSERT_TRUE(box_->add({message(kHookA, "x")}, {}));
  const auto gone = follow({kHookOfOthers, kPager});
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_EQ(gone[0].dropped, 1u);
  EXPECT_EQ(box_->pending().value(), 0u);
}

TEST_F(Succession, TheSameKindComesFirst) {
  const Message m = message(kHookA, "x");
  EXPECT_EQ(heir_of(m, {kCommand, kHookB})->url, "B");
  EXPECT_EQ(heir_of(m, {kCommand, kPager})->url, "D");
  EXPECT_EQ(heir_of(m, {}), nullptr);
}

TEST_F(Succession, TwoThatBecomeOneBringAnEventOnce) {
  follow({kHookA, kCommand});
  ASSERT_TRUE(box_->add({message(kHookA, "x"), message(kCommand, "x")}, {}));
  ASSERT_TRUE(box_->add({message(kHookA, "x", 6)}, {}));  // the same text, of another event
  const auto gone = follow({kHookB});
  ASSERT_EQ(gone.size(), 2u);
  EXPECT_EQ(gone[0].moved + gone[1].moved, 2u);
  EXPECT_EQ(gone[0].doubled + gone[1].doubled, 1u);
  EXPECT_EQ(waiting(kHookB), (Texts{"x", "x"}));
}

TEST_F(Succession, WhatWasDeliveredIsLeftAlone) {
  follow({kHookA});
  ASSERT_TRUE(box_->add({message(kHookA, "x")}, {}));
  ASSERT_TRUE(box_->delivered(1, 50));
  EXPECT_TRUE(follow({kHookB}).empty());
  EXPECT_EQ(box_->list(10).value()[0].sink, sink_key(kHookA));
}

}  // namespace
}  // namespace lf::notify
