// SPDX-License-Identifier: Apache-2.0
// Takes events from the control thread and sees to it that every notification that the planner
// lets through reaches its sinks: stored first, then delivered, retried with retry_backoff until a
// sink takes it. A keeper thread stores, and starts and ends the sinks' threads: each sink has its
// own, so that a dead one delays nobody else. Changes of sinks and messages go to the keeper in one
// queue, in order. What is not delivered at the end is delivered after the next start.
// A sink that took a message and died before it said so gets it again, with the same id.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "control/base/clock.hpp"
#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "control/notify/outbox.hpp"
#include "control/notify/planner.hpp"
#include "control/notify/sinks.hpp"

namespace lf::notify {

// Which messages an event makes: for each sink one, when the event goes to its recipient by at
// least one of the sink's channels. Sinks that differ in nothing but channels are one.
std::vector<Message> messages_of(const Event& event, const std::vector<Notification>& planned,
                                 const std::vector<config::Sink>& sinks, UnixUs now_us);

// One attempt at a sink's next due message. False: nothing was due. Thread: any.
Result<bool> deliver_next(Outbox& outbox, const std::string& sink, const Deliver& deliver,
                          const Clock& clock, const std::atomic<bool>& stopping);

struct NotifierCounts {
  uint64_t events = 0, planned = 0, withheld = 0, delivered = 0, failed_attempts = 0,
           store_errors = 0;
  uint64_t dropped = 0;  // waited for a sink that is gone, and no other could have them
  uint64_t pending = 0;  // messages stored and not delivered yet, also of former runs
};

class Notifier {
 public:
  using MakeSink = std::function<Deliver(const config::Sink&)>;

  // Without configured sinks, notifications go to the log. The clock must outlive this.
  static Result<std::unique_ptr<Notifier>> create(const config::Notifications& settings,
                                                  const Clock& clock, MakeSink make = make_sink);
  // Stores what was submitted, gives up attempts under way, and joins the threads.
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  // Thread: control. Does not wait for disk or network.
  void submit(const Event& event);

  // New throttle and sinks, for what is submitted from now on; the store stays. What waits for a
  // sink that stays goes on waiting; else see succession.hpp. Thread: control; does not wait.
  void configure(const config::Notifications& settings);

  NotifierCounts counts() const;
  Outbox& outbox() { return *outbox_; }

 private:
  // For the keeper: messages to store, or new sinks.
  struct Work {
    std::vector<Message> messages;
    std::vector<LastSent> sent;
    std::optional<std::vector<config::Sink>> sinks;
  };
  // A sink at work. Only the keeper (before it runs: create()) makes and ends one.
  struct Runner {
    std::string key;
    Deliver deliver;
    std::atomic<bool> stopping{false};
    std::thread thread;
  };

  Notifier(const config::Notifications& settings, const Clock& clock, MakeSink make);
  void take(const config::Notifications& settings);
  Result<void> restore_throttle();
  void keep();
  Result<void> follow(const std::vector<config::Sink>& sinks);
  Result<void> start_runner(const config::Sink& sink);
  void end_runners(const std::vector<std::string>& except);
  void deliver_loop(const Runner& runner);
  std::chrono::microseconds until_next(const std::string& key);

  const Clock& clock_;
  const MakeSink make_;
  std::vector<config::Sink> sinks_;      // control thread only
  std::vector<std::string> recipients_;  // control thread only
  NotificationPlanner planner_;          // control thread only
  std::unique_ptr<Outbox> outbox_;

  mutable std::mutex mutex_;
  std::condition_variable to_keep_, to_deliver_;
  // All guarded by mutex_:
  std::deque<Work> queue_;
  uint64_t stored_ = 0;  // batches
  NotifierCounts counts_;
  std::vector<std::unique_ptr<Runner>> runners_;
  bool stopping_ = false;

  std::thread keeper_;
};

}  // namespace lf::notify
