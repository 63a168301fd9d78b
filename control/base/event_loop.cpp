// SPDX-License-Identifier: Apache-2.0
#include "control/base/event_loop.hpp"

#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace lf {
namespace {

constexpr int kEventsATurn = 64;

// A reply from read() on an eventfd, timerfd: only that it was reset matters.
void drain(int fd) {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = ::read(fd, &count, sizeof count);
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  const int epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) return fail(ErrorCode::unavailable, "epoll_create1: {}", std::strerror(errno));
  const int wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) {
    const int error = errno;
    ::close(epoll_fd);
    return fail(ErrorCode::unavailable, "eventfd: {}", std::strerror(error));
  }
  std::unique_ptr<EventLoop> loop(new EventLoop(epoll_fd, wake_fd));
  auto watched = loop->watch(wake_fd, EPOLLIN, [wake_fd](uint32_t) { drain(wake_fd); });
  if (!watched) return tl::unexpected(watched.error());
  return loop;
}

EventLoop::~EventLoop() {
  for (const int timer : timers_) ::close(timer);
  if (signal_fd_ >= 0) ::close(signal_fd_);
  ::close(wake_fd_);
  ::close(epoll_fd_);
}

Result<void> EventLoop::watch(int fd, uint32_t epoll_events, Callback callback) {
  auto watched = std::make_shared<Watched>();
  watched->token = (uint64_t{++generation_} << 32) | static_cast<uint32_t>(fd);
  watched->callback = std::move(callback);
  epoll_event event{};
  event.events = epoll_events;
  event.data.u64 = watched->token;
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0)
    return fail(ErrorCode::unavailable, "epoll_ctl: {}", std::strerror(errno));
  watched_[fd] = std::move(watched);
  return {};
}

void EventLoop::modify(int fd, uint32_t epoll_events) {
  const auto found = watched_.find(fd);
  if (found == watched_.end()) return;
  epoll_event event{};
  event.events = epoll_events;
  event.data.u64 = found->second->token;
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::unwatch(int fd) {
  if (watched_.erase(fd) != 0) ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
}

Result<EventLoop::TimerId> EventLoop::every_us(uint64_t period_us, std::function<void()> callback) {
  return add_timer(period_us, true, std::move(callback));
}

Result<EventLoop::TimerId> EventLoop::after_us(uint64_t delay_us, std::function<void()> callback) {
  return add_timer(delay_us, false, std::move(callback));
}

Result<EventLoop::TimerId> EventLoop::add_timer(uint64_t us, bool periodic,
                                                std::function<void()> callback) {
  const int fd = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (fd < 0) return fail(ErrorCode::unavailable, "timerfd_create: {}", std::strerror(errno));
  us = std::max<uint64_t>(us, 1);  // 0 would disarm it
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(us / 1'000'000);
  when.it_value.tv_nsec = static_cast<long>(us % 1'000'000 * 1000);
  if (periodic) when.it_interval = when.it_value;
  ::timerfd_settime(fd, 0, &when, nullptr);
  auto fire = [this, fd, periodic, callback = std::move(callback)](uint32_t) {
    drain(fd);
    if (!periodic) cancel(fd);
    callback();
  };
  auto watched = watch(fd, EPOLLIN, std::move(fire));
  if (!watched) {
    ::close(fd);
    return tl::unexpected(watched.error());
  }
  timers_.push_back(fd);
  return fd;
}

void EventLoop::cancel(TimerId timer) {
  const auto found = std::find(timers_.begin(), timers_.end(), timer);
  if (found == timers_.end()) return;
  timers_.erase(found);
  unwatch(timer);
  ::close(timer);
}

Result<void> EventLoop::on_signals(std::initializer_list<int> signals,
                                   std::function<void(int)> callback) {
  if (signal_fd_ >= 0) return fail(ErrorCode::internal, "signals are watched already");
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0)
    return fail(ErrorCode::unavailable, "pthread_sigmask: {}", std::strerror(error));
  const int fd = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) return fail(ErrorCode::unavailable, "signalfd: {}", std::strerror(errno));
  signal_fd_ = fd;
  return watch(fd, EPOLLIN, [fd, callback = std::move(callback)](uint32_t) {
    signalfd_siginfo info{};
    while (::read(fd, &info, sizeof info) == static_cast<ssize_t>(sizeof info))
      callback(static_cast<int>(info.ssi_signo));
  });
}

void EventLoop::post(std::function<void()> work) {
  {
    const std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(work));
  }
  wake();
}

void EventLoop::wake() noexcept {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(wake_fd_, &one, sizeof one);
}

void EventLoop::stop() noexcept {
  stopped_.store(true, std::memory_order_relaxed);
  wake();
}

// What is posted meanwhile waits for the next turn, so that work that posts itself again
// cannot starve the descriptors.
void EventLoop::run_posted() {
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard lock(posted_mutex_);
    work.swap(posted_);
  }
  for (auto& item : work) item();
}

bool EventLoop::run_once(int timeout_ms) {
  epoll_event events[kEventsATurn];
  const int count = ::epoll_wait(epoll_fd_, events, kEventsATurn, timeout_ms);
  for (int i = 0; i < count; ++i) {
    const auto found = watched_.find(static_cast<int>(events[i].data.u64 & 0xffffffffu));
    // Unwatched, or closed and reused, by an earlier callback of this turn: not for the new one.
    if (found == watched_.end() || found->second->token != events[i].data.u64) continue;
    const std::shared_ptr<Watched> alive = found->second;  // the callback may unwatch itself
    alive->callback(events[i].events);
  }
  run_posted();
  return !stopped_.load(std::memory_order_relaxed);
}

void EventLoop::run() {
  while (run_once(-1)) {
  }
}

}  // namespace lf
