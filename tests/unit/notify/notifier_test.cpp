// SPDX-License-Identifier: Apache-2.0
// The whole notifier with its threads: which sinks get what, outage and restart.
#include "control/notify/notifier.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "control/notify/commands.hpp"

namespace lf::notify {
namespace {

// Sinks that write down what they get, and are down when told; tests wait for counts.
class Recorder {
 public:
  Deliver make(const config::Sink& sink) {
    return [this, key = sink.kind + sink.url](const Message& m, const std::atomic<bool>&) {
      const std::lock_guard lock(mutex_);
      ++attempts_;
      changed_.notify_all();
      if (down_) return Result<void>(fail(ErrorCode::unavailable, "down"));
      got_[key].push_back(m);
      return Result<void>();
    };
  }
  void set_down(bool down) {
    const std::lock_guard lock(mutex_);
    down_ = down;
  }
  bool wait(size_t messages, int attempts = 0) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] {
      size_t n = 0;
      for (const auto& [key, list] : got_) n += list.size();
      return n >= messages && attempts_ >= attempts;
    });
  }
  std::vector<Message> got(const std::string& key) {
    const std::lock_guard lock(mutex_);
    return got_[key];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool down_ = false;
  int attempts_ = 0;
  std::map<std::string, std::vector<Message>> got_;
};

class NotifierTest : public ::testing::Test {
 protected:
  NotifierTest() {
    settings.store = ::testing::TempDir() + "lf_notifier_" + std::to_string(::getpid()) + ".db";
    std::filesystem::remove(settings.store);
    settings.sinks = {{"webhook", "A", {}, ""},
                      {"smtp", "B", {"email"}, "ops@example.org"},
                      {"command", "C", {"pager"}, "duty"}};
  }
  ~NotifierTest() override {
    for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(settings.store + end);
  }
  std::unique_ptr<Notifier> start() {
    return std::move(Notifier::create(settings, clock, [this](const config::Sink& s) {
                       return recorder.make(s);
                     }).value());
  }

  config::Notifications settings;
  SystemClock clock;
  Recorder recorder;
};

TEST_F(NotifierTest, EachSinkGetsWhatGoesToItsRecipientByItsChannels) {
  const auto n = start();
  n->submit({3, "quota", "three", {}});
  ASSERT_TRUE(recorder.wait(2));
  n->submit({5, "quota", "five", {}});  // only the pager has not been used for ten minutes
  ASSERT_TRUE(recorder.wait(4));
  ASSERT_EQ(recorder.got("webhookA").size(), 2u);
  EXPECT_EQ(recorder.got("webhookA")[0].channels, (std::vector<std::string>{"sms", "email"}));
  EXPECT_EQ(recorder.got("webhookA")[1].channels, (std::vector<std::string>{"pager"}));
  ASSERT_EQ(recorder.got("smtpB").size(), 1u);
  EXPECT_EQ(recorder.got("smtpB")[0].channels, (std::vector<std::string>{"email"}));
  EXPECT_EQ(recorder.got("smtpB")[0].subject, "[sev-3] quota");
  ASSERT_EQ(recorder.got("commandC").size(), 1u);
  EXPECT_EQ(recorder.got("commandC")[0].event.text, "five");
}

TEST_F(NotifierTest, AfterAnOutageEverythingArrivesOnce) {
  settings.throttle_s = 0;
  settings.sinks.resize(1);
  recorder.set_down(true);
  const auto n = start();
  for (int i = 0; i < 10; ++i) n->submit({1, "quota", std::to_string(i), {}});
  ASSERT_TRUE(recorder.wait(0, 12)) << "some have been tried twice";
  recorder.set_down(false);
  ASSERT_TRUE(recorder.wait(10));
  std::map<std::string, int> times;
  for (const Message& m : recorder.got("webhookA")) ++times[m.event.text];
  EXPECT_EQ(times.size(), 10u);
  for (const auto& [text, count] : times) EXPECT_EQ(count, 1) << text;
}

TEST_F(NotifierTest, ARestartInBetweenLosesNothingAndRepeatsNothing) {
  settings.throttle_s = 0;
  settings.sinks.resize(1);
  auto n = start();
  n->submit({1, "quota", "delivered before", {}});
  ASSERT_TRUE(recorder.wait(1));
  recorder.set_down(true);
  for (int i = 0; i < 5; ++i) n->submit({1, "quota", std::to_string(i), {}});
  n.reset();  // what was submitted a moment ago is stored before it ends
  recorder.set_down(false);
  n = start();
  ASSERT_TRUE(recorder.wait(6));
  n.reset();
  EXPECT_EQ(recorder.got("webhookA").size(), 6u);
}

TEST_F(NotifierTest, TheThrottleOutlivesARestart) {
  settings.sinks.resize(1);
  auto n = start();
  n->submit({1, "quota", "first", {}});
  ASSERT_TRUE(recorder.wait(1));
  n.reset();
  n = start();
  n->submit({1, "quota", "second", {}});
  EXPECT_EQ(n->counts().planned, 0u);
  EXPECT_EQ(n->counts().withheld, 1u);
}

TEST_F(NotifierTest, WithoutSinksThereIsTheLog) {
  settings.sinks.clear();
  const auto n = start();
  n->submit({1, "quota", "x", {}});
  ASSERT_TRUE(recorder.wait(1));
  EXPECT_EQ(recorder.got("log").size(), 1u);
}

TEST_F(NotifierTest, CommandsListAndSend) {
  settings.sinks.resize(1);
  recorder.set_down(true);
  const auto n = start();
  const auto commands = notification_commands(*n);
  const auto call = [&](size_t i, const char* params) {
    return commands[i].handler(rpc::Json::parse(params));
  };
  EXPECT_EQ(call(1, R"({"severity": 2, "subsystem": "test", "text": "hello"})").value()["planned"],
            1);
  EXPECT_EQ(call(1, R"({"severity": 6, "subsystem": "test", "text": "x"})").error().message,
            "severity: must be 1..5");
  ASSERT_TRUE(recorder.wait(0, 2));
  const auto list = call(0, "{}").value();
  EXPECT_EQ(list["pending"], 1);
  ASSERT_EQ(list["notifications"].size(), 1u);
  EXPECT_EQ(list["notifications"][0]["state"], "pending");
  EXPECT_EQ(list["notifications"][0]["subject"], "[sev-2] test");
  EXPECT_EQ(list["notifications"][0]["error"], "down");
  EXPECT_FALSE(call(0, R"({"count": 0})"));
}

}  // namespace
}  // namespace lf::notify
