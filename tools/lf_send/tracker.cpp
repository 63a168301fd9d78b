// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_send/tracker.hpp"

#include <algorithm>

namespace lf::send {
namespace {

// A refusal that gave the id back, so that another attempt may do better.
bool is_retryable(const lcp::Reply& reply) {
  return reply.from_data_plane &&
         (reply.status == lcp::Status::throttled || reply.status == lcp::Status::unroutable ||
          reply.status == lcp::Status::busy);
}

}  // namespace

void Tracker::sent(int64_t now) {
  timeouts_.push_back({now + limits_.timeout_ns, commands_.size(), 0});
  commands_.push_back({.sent_ns = now});
  ++waiting_;
}

void Tracker::sent_spoiled(int64_t now) {
  commands_.push_back({.sent_ns = now, .state = State::spoiled});
}

Taken Tracker::answered(uint64_t number, const lcp::Reply& reply, int64_t now) {
  if (number >= commands_.size()) return Taken::unexpected;
  Command& c = commands_[number];
  if (reply.status == lcp::Status::duplicate) return Taken::duplicate_notice;
  if (c.state == State::spoiled) return Taken::unexpected;
  if (c.state == State::answered) return Taken::second;
  const bool was_lost = c.state == State::lost;  // late, but not never
  if (!was_lost) {
    const bool pending = reply.status == lcp::Status::held || reply.status == lcp::Status::delayed;
    const bool retryable =
        limits_.retry_refused && c.attempt < limits_.retries && is_retryable(reply);
    if (pending || retryable) {
      c.status = reply.status;
      c.has_status = true;
      const int64_t wait_ns = int64_t{reply.throttle_ms} * 1'000'000;
      if (reply.status == lcp::Status::held)
        c.patience_ns = now + limits_.hold_ns;
      else
        c.patience_ns = now + wait_ns + (pending ? limits_.timeout_ns : 0);
      return Taken::interim;
    }
    --waiting_;
  }
  c.state = State::answered;
  c.status = reply.status;
  c.has_status = true;
  return Taken::final;
}

std::optional<Tracker::Retry> Tracker::next_retry(int64_t now) {
  while (true) {
    Timer timer;
    if (!timeouts_.empty() && timeouts_.front().due_ns <= now) {
      timer = timeouts_.front();
      timeouts_.pop_front();
    } else if (!patience_.empty() && patience_.top().due_ns <= now) {
      timer = patience_.top();
      patience_.pop();
    } else {
      return std::nullopt;
    }
    if (const auto retry = expire(timer, now)) return retry;
  }
}

std::optional<Tracker::Retry> Tracker::expire(const Timer& timer, int64_t now) {
  Command& c = commands_[timer.number];
  if (c.state != State::waiting || c.attempt != timer.attempt) return std::nullopt;
  if (c.patience_ns > now) {
    patience_.push({c.patience_ns, timer.number, timer.attempt});
    return std::nullopt;
  }
  if (c.attempt >= limits_.retries) {
    give_up(c);
    return std::nullopt;
  }
  ++c.attempt;
  c.patience_ns = 0;
  timeouts_.push_back({now + limits_.timeout_ns, timer.number, c.attempt});
  return Retry{timer.number, c.attempt};
}

int64_t Tracker::next_timer_ns() const {
  int64_t next = INT64_MAX;
  if (!timeouts_.empty()) next = timeouts_.front().due_ns;
  if (!patience_.empty()) next = std::min(next, patience_.top().due_ns);
  return next;
}

void Tracker::give_up(Command& c) {
  c.state = c.has_status ? State::answered : State::lost;
  --waiting_;
}

void Tracker::finish() {
  for (Command& c : commands_)
    if (c.state == State::waiting) give_up(c);
  timeouts_.clear();
  patience_ = {};
}

}  // namespace lf::send
