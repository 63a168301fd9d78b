// SPDX-License-Identifier: Apache-2.0
// The control thread's loop: file descriptors, timers, signals and work posted from other threads,
// all through one epoll. One callback runs at a time, on the thread that calls run().
// Everything but post(), wake() and stop() belongs to that thread. A callback may watch, unwatch
// and cancel anything, itself included. Callbacks must not block: health and time-outs wait on
// them.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "control/base/result.hpp"

namespace lf {

class EventLoop {
 public:
  using Callback = std::function<void(uint32_t epoll_events)>;
  using TimerId = int;  // 0 is never one

  static Result<std::unique_ptr<EventLoop>> create();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Calls back while `fd` is ready (level-triggered). The caller keeps the descriptor and must
  // unwatch it before closing it.
  Result<void> watch(int fd, uint32_t epoll_events, Callback callback);
  void modify(int fd, uint32_t epoll_events);
  void unwatch(int fd);

  // Monotonic timers. A callback that was late by several periods runs once.
  Result<TimerId> every_us(uint64_t period_us, std::function<void()> callback);
  Result<TimerId> after_us(uint64_t delay_us, std::function<void()> callback);
  void cancel(TimerId timer);

  // Blocks the signals in the calling thread (and so in threads that it starts later) and
  // delivers them here. Once per loop.
  Result<void> on_signals(std::initializer_list<int> signals, std::function<void(int)> callback);

  // Runs `work` on the loop's thread, after what was posted before. Thread: any.
  void post(std::function<void()> work);
  // Makes a sleeping loop take one turn. Thread: any; async-signal-safe.
  void wake() noexcept;
  // Makes run() return after the current turn. Thread: any; async-signal-safe.
  void stop() noexcept;

  void run();
  // One turn: waits at most timeout_ms (-1: for ever) for something to do and does it.
  // False once stop() was called.
  bool run_once(int timeout_ms);

 private:
  struct Watched {
    uint64_t token = 0;
    Callback callback;
  };

  explicit EventLoop(int epoll_fd, int wake_fd) : epoll_fd_(epoll_fd), wake_fd_(wake_fd) {}
  Result<TimerId> add_timer(uint64_t us, bool periodic, std::function<void()> callback);
  void run_posted();

  int epoll_fd_;
  int wake_fd_;
  int signal_fd_ = -1;
  uint32_t generation_ = 0;  // of the next watch: tells a reused descriptor from a closed one
  std::unordered_map<int, std::shared_ptr<Watched>> watched_;
  std::vector<int> timers_;
  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by posted_mutex_
  std::atomic<bool> stopped_{false};
};

}  // namespace lf
