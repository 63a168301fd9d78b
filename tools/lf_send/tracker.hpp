// SPDX-License-Identifier: Apache-2.0
// What became of each command of one thread: unanswered, answered, lost, to be sent again. Pure:
// time comes in as an argument, sending is the caller's business.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <queue>
#include <vector>

#include "dataplane/lcp/codec.hpp"

namespace lf::send {

struct TrackerLimits {
  int64_t timeout_ns = 1'000'000'000;
  uint32_t retries = 0;
  bool retry_refused = false;
  int64_t hold_ns = 5'000'000'000;  // how long to wait for what follows HELD
};

// What an answer meant.
enum class Taken : uint8_t {
  final,             // the first answer that decides the command
  interim,           // held, delayed, or refused and to be retried: more may come
  duplicate_notice,  // the data plane saw the same id and attempt twice
  second,            // another deciding answer to the same command
  unexpected,        // to a command that was spoiled, or that was never sent
};

class Tracker {
 public:
  enum class State : uint8_t { waiting, answered, lost, spoiled };
  struct Command {
    int64_t sent_ns = 0;      // first transmission
    int64_t patience_ns = 0;  // an interim answer: wait until then
    uint8_t attempt = 0;
    State state = State::waiting;
    bool has_status = false;  // `status` is an interim or the final one
    lcp::Status status = lcp::Status::ok;
  };
  struct Retry {
    uint64_t number;
    uint8_t attempt;
  };

  explicit Tracker(const TrackerLimits& limits) : limits_(limits) {}

  // The next command, in order of their numbers, was sent for the first time.
  void sent(int64_t now);
  // It was sent spoiled: no answer is expected.
  void sent_spoiled(int64_t now);

  Taken answered(uint64_t number, const lcp::Reply& reply, int64_t now);

  // Gives up on what waited too long; returns the next command that is to be sent again, if any.
  std::optional<Retry> next_retry(int64_t now);
  // When next_retry() may have something to do; INT64_MAX for never.
  int64_t next_timer_ns() const;

  uint64_t waiting() const { return waiting_; }
  const std::deque<Command>& commands() const { return commands_; }
  // Nothing more is coming: what still waits is lost, or keeps its interim answer.
  void finish();

 private:
  struct Timer {
    int64_t due_ns;
    uint64_t number;
    uint8_t attempt;
    bool operator>(const Timer& other) const { return due_ns > other.due_ns; }
  };
  void give_up(Command& command);
  std::optional<Retry> expire(const Timer& timer, int64_t now);

  TrackerLimits limits_;
  std::deque<Command> commands_;  // by number; references stay valid as it grows
  std::deque<Timer> timeouts_;    // all of the same length: in order
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> patience_;
  uint64_t waiting_ = 0;
};

}  // namespace lf::send
