// SPDX-License-Identifier: Apache-2.0
#include "control/base/event_loop.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

namespace lf {
namespace {

struct Pair {
  Pair() { EXPECT_EQ(0, ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd)); }
  ~Pair() {
    ::close(fd[0]);
    ::close(fd[1]);
  }
  int fd[2];
};

std::unique_ptr<EventLoop> make_loop() {
  auto loop = EventLoop::create();
  EXPECT_TRUE(loop.has_value());
  return std::move(*loop);
}

TEST(EventLoop, CallsBackWhileReadable) {
  auto loop = make_loop();
  Pair pair;
  int calls = 0;
  ASSERT_TRUE(loop->watch(pair.fd[0], EPOLLIN, [&](uint32_t) { ++calls; }));
  loop->run_once(0);
  EXPECT_EQ(0, calls);
  ASSERT_EQ(1, ::write(pair.fd[1], "x", 1));
  loop->run_once(0);
  loop->run_once(0);  // level-triggered: nobody read
  EXPECT_EQ(2, calls);
  loop->modify(pair.fd[0], 0);
  loop->run_once(0);
  EXPECT_EQ(2, calls);
}

TEST(EventLoop, ACallbackMayUnwatchItselfAndOthersOfTheSameTurn) {
  auto loop = make_loop();
  Pair a, b;
  int calls = 0;
  const auto both_off = [&](uint32_t) {
    ++calls;
    loop->unwatch(a.fd[0]);
    loop->unwatch(b.fd[0]);
  };
  ASSERT_TRUE(loop->watch(a.fd[0], EPOLLIN, both_off));
  ASSERT_TRUE(loop->watch(b.fd[0], EPOLLIN, both_off));
  ASSERT_EQ(1, ::write(a.fd[1], "x", 1));
  ASSERT_EQ(1, ::write(b.fd[1], "x", 1));
  loop->run_once(0);
  loop->run_once(0);
  EXPECT_EQ(1, calls);
}

TEST(EventLoop, AReusedDescriptorDoesNotGetTheOldOnesEvent) {
  auto loop = make_loop();
  Pair a, b;
  int wrong = 0;
  const auto replace = [&](int other) {
    loop->unwatch(other);
    ASSERT_TRUE(
        loop->watch(other, EPOLLOUT, [&](uint32_t events) { wrong += events != EPOLLOUT; }));
  };
  // Whichever runs first replaces the other, whose EPOLLIN of this turn must then be dropped.
  ASSERT_TRUE(loop->watch(a.fd[0], EPOLLIN, [&](uint32_t) { replace(b.fd[0]); }));
  ASSERT_TRUE(loop->watch(b.fd[0], EPOLLIN, [&](uint32_t) { replace(a.fd[0]); }));
  ASSERT_EQ(1, ::write(a.fd[1], "x", 1));
  ASSERT_EQ(1, ::write(b.fd[1], "x", 1));
  loop->run_once(0);
  EXPECT_EQ(0, wrong);
}

TEST(EventLoop, TimersFireAndCanBeCancelledFromTheirCallback) {
  auto loop = make_loop();
  int ticks = 0, shots = 0;
  EventLoop::TimerId periodic = 0;
  auto made = loop->every_us(100, [&] {
    if (++ticks == 3) loop->cancel(periodic);
  });
  ASSERT_TRUE(made);
  periodic = *made;
  ASSERT_TRUE(loop->after_us(1, [&] { ++shots; }));
  for (int turn = 0; turn < 100 && (ticks < 3 || shots < 1); ++turn) loop->run_once(1000);
  EXPECT_EQ(3, ticks);
  EXPECT_EQ(1, shots);
  loop->run_once(2);  // neither comes again
  EXPECT_EQ(3, ticks);
  EXPECT_EQ(1, shots);
}

TEST(EventLoop, DeliversSignals) {
  auto loop = make_loop();
  int got = 0;
  ASSERT_TRUE(loop->on_signals({SIGUSR1}, [&](int signal) { got = signal; }));
  ASSERT_EQ(0, ::pthread_kill(::pthread_self(), SIGUSR1));
  loop->run_once(1000);
  EXPECT_EQ(SIGUSR1, got);
}

TEST(EventLoop, PostedWorkRunsInOrderOnTheLoopsThread) {
  auto loop = make_loop();
  std::string order;
  std::thread other([&] {
    for (char c = 'a'; c <= 'z'; ++c) loop->post([&order, c] { order += c; });
    loop->post([&] { loop->stop(); });
  });
  loop->run();
  other.join();
  EXPECT_EQ("abcdefghijklmnopqrstuvwxyz", order);
}

TEST(EventLoop, WorkThatPostsItselfAgainDoesNotStarveDescriptors) {
  auto loop = make_loop();
  Pair pair;
  bool readable = false;
  ASSERT_TRUE(loop->watch(pair.fd[0], EPOLLIN, [&](uint32_t) { readable = true; }));
  int turns = 0;
  std::function<void()> again = [&] {
    if (++turns == 1) {
      EXPECT_EQ(1, ::write(pair.fd[1], "x", 1));
    }
    if (!readable && turns < 1000) loop->post(again);
  };
  loop->post(again);
  while (turns < 1000 && !readable) loop->run_once(1000);
  EXPECT_TRUE(readable);
  EXPECT_LT(turns, 10);
}

}  // namespace
}  // namespace lf
