// SPDX-License-Identifier: Apache-2.0
// Takes events from the control thread and sees to it that every notification that the planner
// lets through reaches its sinks: stored first, then delivered, retried with retry_backoff until a
// sink takes it. One helper thread stores, and each sink has its own, so that a dead sink delays
// nobody else. What is not delivered at the end is delivered after the next start.
// A sink that took a message and died before it said so gets it again, with the same id.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
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
// least one of the sink's channels.
std::vector<Message> messages_of(const Event& event, const std::vector<Notification>& planned,
                                 const std::vector<config::Sink>& sinks, UnixUs now_us);

// One attempt at a sink's next due message. False: nothing was due. Thread: any.
Result<bool> deliver_next(Outbox& outbox, const std::string& sink, const Deliver& deliver,
                          const Clock& clock, const std::atomic<bool>& stopping);

struct NotifierCounts {
  uint64_t events = 0, planned = 0, withheld = 0, delivered = 0, failed_attempts = 0,
           store_errors = 0;
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

  NotifierCounts counts() const;
  Outbox& outbox() { return *outbox_; }
  const std::vector<config::Sink>& sinks() const { return sinks_; }

 private:
  struct Batch {
    std::vector<Message> messages;
    std::vector<LastSent> sent;
  };

  Notifier(const config::Notifications& settings, const Clock& clock);
  Result<void> restore_throttle();
  void start(const MakeSink& make);
  void store_loop();
  void sink_loop(const std::string& key, const Deliver& deliver);
  std::chrono::microseconds until_next(const std::string& key);

  const Clock& clock_;
  std::vector<config::Sink> sinks_;
  std::vector<std::string> recipients_;
  NotificationPlanner planner_;  // control thread only
  std::unique_ptr<Outbox> outbox_;

  mutable std::mutex mutex_;
  std::condition_variable to_store_, to_deliver_;
  std::vector<Batch> queue_;    // guarded by mutex_
  uint64_t stored_ = 0;         // batches; guarded by mutex_
  NotifierCounts counts_;       // guarded by mutex_
  bool storing_ended_ = false;  // guarded by mutex_
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
};

}  // namespace lf::notify
