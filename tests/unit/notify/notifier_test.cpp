// SPDX-License-Identifier: Apache-2.0
// The whole notifier with its threads: which sinks get what, outage and restart.
#include "control/notify/notifier.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

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
      if (down_ || down_sinks_.contains(key))
        return Result<void>(fail(ErrorCode::unavailable, "down"));
      got_[key].push_back(m);
      return Result<void>();
    };
  }
  void set_down(bool down) {
    const std::lock_guard lock(mutex_);
    down_ = down;
  }
  void set_sink_down(const std::string& key) {
    const std::lock_guard lock(mutex_);
    down_sinks_.insert(key);
  }
  void set_all_up() {
    const std::lock_guard lock(mutex_);
    down_ = false;
    down_sinks_.clear();
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
  std::set<std::string> down_sinks_;
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

TEST_F(NotifierTest, ANewSinkTakesOverFromOneThatIsDownAndOthersAreNotDisturbed) {
  settings.throttle_s = 0;
  settings.sinks = {{"webhook", "old", {}, "ops"}, {"webhook", "stays", {}, "duty"}};
  recorder.set_sink_down("webhookold");
  recorder.set_sink_down("webhookstays");
  const auto n = start();
  for (int i = 0; i < 3; ++i) n->submit({1, "quota", std::to_string(i), {}});
  ASSERT_TRUE(recorder.wait(0, 8)) << "both have been tried";
  settings.sinks[0].url = "new";
  n->configure(settings);
  n->submit({1, "quota", "after", {}});
  ASSERT_TRUE(recorder.wait(4));
  EXPECT_EQ(recorder.got("webhooknew").size(), 4u);
  EXPECT_EQ(recorder.got("webhookstays").size(), 0u);
  recorder.set_all_up();
  ASSERT_TRUE(recorder.wait(8));
  std::map<std::string, int> times;
  for (const char* sink : {"webhooknew", "webhookstays"})
    for (const Message& m : recorder.got(sink)) ++times[sink + m.event.text];
  EXPECT_EQ(times.size(), 8u) << "each of four events at both";
  EXPECT_TRUE(recorder.got("webhookold").empty());
  EXPECT_EQ(n->counts().dropped, 0u);
}

TEST_F(NotifierTest, WhatNobodyElseCanHaveIsDroppedAndCounted) {
  settings.throttle_s = 0;
  recorder.set_sink_down("commandC");
  const auto n = start();
  n->submit({5, "quota", "x", {}});
  ASSERT_TRUE(recorder.wait(2, 4));
  settings.sinks.resize(2);
  n->configure(settings);
  n->submit({5, "quota", "y", {}});
  ASSERT_TRUE(recorder.wait(4)) << "the change came before it";
  EXPECT_EQ(n->counts().dropped, 1u);
  // A sink has a message a moment before the store forgets it.
  for (int tries = 0; n->outbox().pending().value() != 0 && tries < 2000; ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(n->outbox().pending().value(), 0u);
}

TEST_F(NotifierTest, ASinkThatGoesAndComesBackDeliversOnce) {
  settings.throttle_s = 0;
  settings.sinks.resize(1);
  config::Notifications other = settings;
  other.sinks[0].url = "Z";
  const auto n = start();
  for (int round = 0; round < 6; ++round) {
    n->submit({1, "quota", "a" + std::to_string(round), {}});
    n->configure(other);
    n->submit({1, "quota", "b" + std::to_string(round), {}});
    n->configure(settings);
  }
  ASSERT_TRUE(recorder.wait(12));
  std::map<std::string, int> times;
  for (const char* sink : {"webhookA", "webhookZ"})
    for (const Message& m : recorder.got(sink)) ++times[m.event.text];
  EXPECT_EQ(times.size(), 12u);
  for (const auto& [text, count] : times) EXPECT_EQ(count, 1) << text;
}

TEST_F(NotifierTest, AChangedConfigurationAtAStartIsAsAtAReload) {
  settings.throttle_s = 0;
  settings.sinks.resize(1);
  recorder.set_sink_down("webhookA");
  auto n = start();
  n->submit({1, "quota", "x", {}});
  ASSERT_TRUE(recorder.wait(0, 2));
  n.reset();
  settings.sinks[0].url = "Z";
  n = start();
  ASSERT_TRUE(recorder.wait(1));
  EXPECT_EQ(recorder.got("webhookZ").size(), 1u);
}

TEST_F(NotifierTest, TheThrottleFollowsToo) {
  settings.sinks.resize(1);
  const auto n = start();
  n->submit({1, "quota", "first", {}});
  n->submit({1, "quota", "withheld", {}});
  settings.throttle_s = 0;
  n->configure(settings);
  n->submit({1, "quota", "second", {}});
  ASSERT_TRUE(recorder.wait(2));
  EXPECT_EQ(n->counts().withheld, 1u);
}

TEST_F(NotifierTest, SinksThatDifferInChannelsOnlyAreOne) {
  settings.sinks = {{"webhook", "A", {"pager"}, ""}, {"webhook", "A", {"email"}, ""}};
  const auto n = start();
  n->submit({5, "quota", "x", {}});
  n->submit({5, "quota", "withheld", {}});
  ASSERT_TRUE(recorder.wait(1));
  settings.throttle_s = 0;
  n->configure(settings);
  n->submit({1, "quota", "last", {}});
  ASSERT_TRUE(recorder.wait(2));
  ASSERT_EQ(recorder.got("webhookA").size(), 2u);
  EXPECT_EQ(recorder.got("webhookA")[0].channels, (std::vector<std::string>{"pager", "email"}));
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
