// SPDX-License-Identifier: Apache-2.0
// The outbox and one attempt at a time, with a clock by hand and sinks that fail as told.
#include "control/notify/outbox.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "control/notify/notifier.hpp"

namespace lf::notify {
namespace {

class OutboxTest : public ::testing::Test {
 protected:
  OutboxTest() : path_(::testing::TempDir() + "lf_outbox_" + std::to_string(::getpid()) + ".db") {
    std::filesystem::remove(path_);
  }
  ~OutboxTest() override {
    for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(path_ + end);
  }

  std::unique_ptr<Outbox> open() { return std::move(Outbox::open(path_).value()); }
  Message message(const std::string& sink, const std::string& text) {
    Message m;
    m.uuid = "uuid of " + text;
    m.sink = sink;
    m.created_us = m.next_us = clock_.unix_us();
    m.event = {4, "quota", text, {{"org", "acme"}}};
    m.subject = "[sev-4] quota";
    m.recipient = "ops@example.org";
    m.channels = {"sms", "email"};
    return m;
  }

  std::string path_;
  ManualClock clock_;
  std::atomic<bool> stopping_{false};
};

TEST_F(OutboxTest, KeepsMessagesOverARestart) {
  ASSERT_TRUE(
      open()->add({message("a", "first"), message("b", "second")}, {{"ops@example.org", 1, 123}}));
  const auto box = open();
  EXPECT_EQ(box->pending().value(), 2u);
  const auto m = box->next_due("a", clock_.unix_us()).value();
  ASSERT_TRUE(m);
  EXPECT_EQ(m->event.text, "first");
  EXPECT_EQ(m->event.severity, 4);
  EXPECT_EQ(m->event.labels.at("org"), "acme");
  EXPECT_EQ(m->uuid, "uuid of first");
  EXPECT_EQ(m->subject, "[sev-4] quota");
  EXPECT_EQ(m->channels, (std::vector<std::string>{"sms", "email"}));
  const auto sent = box->last_sent().value();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].at_us, 123);
}

TEST_F(OutboxTest, RetriesWithBackoffUntilTheSinkTakesIt) {
  const auto box = open();
  ASSERT_TRUE(box->add({message("a", "x")}, {}));
  int calls = 0;
  bool down = true;
  const Deliver deliver = [&](const Message&, const std::atomic<bool>&) -> Result<void> {
    ++calls;
    if (down) return fail(ErrorCode::unavailable, "no route");
    return {};
  };
  const auto attempt = [&] { return deliver_next(*box, "a", deliver, clock_, stopping_); };
  const std::vector<int64_t> waits_ms{80, 160, 320, 640, 1280, 2560, 5000, 5000};
  EXPECT_FALSE(attempt());
  for (const int64_t wait : waits_ms) {
    clock_.advance_ms(wait - 1);
    EXPECT_EQ(attempt().value(), false) << "not before its time";
    clock_.advance_ms(1);
    EXPECT_FALSE(attempt());
  }
  EXPECT_EQ(calls, 9);
  EXPECT_EQ(box->list(10).value()[0].error, "no route");
  EXPECT_EQ(box->next_attempt("a").value(), clock_.unix_us() + 5'000'000);
  down = false;
  clock_.advance_ms(5000);
  EXPECT_EQ(attempt().value(), true);
  EXPECT_EQ(attempt().value(), false) << "once";
  EXPECT_EQ(box->pending().value(), 0u);
  EXPECT_EQ(box->list(10).value()[0].delivered_us, clock_.unix_us());
  EXPECT_EQ(box->next_attempt("a").value(), std::nullopt);
}

TEST_F(OutboxTest, OneMessageThatIsRefusedDoesNotHoldUpTheNext) {
  const auto box = open();
  ASSERT_TRUE(box->add({message("a", "poison"), message("a", "good")}, {}));
  std::vector<std::string> taken;
  const Deliver deliver = [&](const Message& m, const std::atomic<bool>&) -> Result<void> {
    if (m.event.text == "poison") return fail(ErrorCode::unavailable, "refused");
    taken.push_back(m.event.text);
    return {};
  };
  EXPECT_FALSE(deliver_next(*box, "a", deliver, clock_, stopping_));
  EXPECT_TRUE(deliver_next(*box, "a", deliver, clock_, stopping_).value());
  EXPECT_EQ(taken, (std::vector<std::string>{"good"}));
}

TEST_F(OutboxTest, AClockSetBackDoesNotHoldUpMessages) {
  const auto box = open();
  ASSERT_TRUE(box->add({message("a", "x")}, {}));
  clock_.step_wall_us(-3600ll * 1'000'000);
  EXPECT_TRUE(box->next_due("a", clock_.unix_us()).value());
}

TEST_F(OutboxTest, AnAttemptThatIsCutShortByTheEndDoesNotCount) {
  const auto box = open();
  ASSERT_TRUE(box->add({message("a", "x")}, {}));
  const Deliver deliver = [&](const Message&, const std::atomic<bool>&) -> Result<void> {
    stopping_ = true;
    return fail(ErrorCode::unavailable, "stopped");
  };
  EXPECT_FALSE(deliver_next(*box, "a", deliver, clock_, stopping_));
  EXPECT_EQ(box->list(1).value()[0].attempts, 0u);
  EXPECT_TRUE(box->next_due("a", clock_.unix_us()).value());
}

TEST_F(OutboxTest, ListsPendingOnesFirstAndKeepsAThousandDelivered) {
  const auto box = std::move(Outbox::open("").value());  // in memory: a thousand syncs are slow
  std::vector<Message> many;
  for (int i = 0; i < 1010; ++i) many.push_back(message("a", std::to_string(i)));
  ASSERT_TRUE(box->add(many, {}));
  ASSERT_TRUE(box->add({message("b", "waits")}, {}));
  const Deliver deliver = [](const Message&, const std::atomic<bool>&) { return Result<void>(); };
  while (deliver_next(*box, "a", deliver, clock_, stopping_).value()) clock_.advance_ms(1);
  const auto list = box->list(5000).value();
  EXPECT_EQ(list.size(), 1001u);
  EXPECT_EQ(list[0].event.text, "waits");
  EXPECT_EQ(list[1].event.text, "1009");
}

TEST_F(OutboxTest, SaysWhatIsWrongWithTheStore) {
  const auto bad = Outbox::open("/nonexistent/folder/x.db");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message,
            "/nonexistent/folder/x.db: notification store: unable to open database file");
}

}  // namespace
}  // namespace lf::notify
