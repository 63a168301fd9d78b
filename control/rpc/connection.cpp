// SPDX-License-Identifier: Apache-2.0
#include "control/rpc/connection.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace lf::rpc {
namespace {

constexpr size_t kReadBytes = 64u << 10;      // a read
constexpr int kReadsATurn = 16;               // then other clients get their turn
constexpr int kCallsATurn = 64;               // calls of a batch before others get their turn
constexpr size_t kUnsentHigh = 1u << 20;      // above: no further call until the client reads
constexpr size_t kKeepCapacity = 256u << 10;  // larger empty buffers are given back

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

Connection::~Connection() {
  close();
}

Result<void> Connection::start() {
  interest_ = EPOLLIN;
  return server_.loop_.watch(fd_, interest_, [this](uint32_t events) { on_events(events); });
}

void Connection::close() {
  if (closed_) return;
  closed_ = true;
  drop_input();
  server_.loop_.unwatch(fd_);
  ::close(fd_);
}

void Connection::on_events(uint32_t events) {
  const auto self = shared_from_this();  // forget() below must not destroy us here
  if (busy_ && (events & (EPOLLHUP | EPOLLERR)) != 0) close();
  if (!closed_ && (events & EPOLLOUT) != 0) flush();
  if (!closed_ && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && wants_input()) read_some();
  if (!closed_) work();
  if (closed_) server_.forget(fd_);
}

bool Connection::wants_input() const {
  return !at_end_ && !giving_up_ && !busy_ && !scheduled_ && !has_message() &&
         unsent() < kUnsentHigh;
}

void Connection::read_some() {
  char buffer[kReadBytes];
  for (int i = 0; i < kReadsATurn; ++i) {
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n == 0) {
      at_end_ = true;
      return;
    }
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) close();
      return;
    }
    in_.append(buffer, static_cast<size_t>(n));
    server_.waiting_bytes_ += static_cast<size_t>(n);
    if (server_.waiting_bytes_ > server_.options_.waiting_bytes_max)
      return give_up(RpcError::unavailable, "too much input waits, over all clients");
    // A line's end is looked for in new bytes only, so that a long line is not scanned again
    // with each piece of it.
    scanned_ = std::min(in_.find('\n', std::max(scanned_, in_begin_)), in_.size());
    if (scanned_ == in_.size() && in_.size() - in_begin_ > server_.options_.message_bytes_max)
      return give_up(RpcError::invalid_request, fmt::format("a message longer than {} bytes",
                                                            server_.options_.message_bytes_max));
    if (scanned_ < in_.size()) return;  // work on it first
  }
}

void Connection::work() {
  if (working_ || closed_) return;
  working_ = true;
  int calls_left = kCallsATurn;
  while (!closed_ && !giving_up_ && !busy_ && unsent() < kUnsentHigh) {
    if (calls_left-- == 0) {
      schedule();
      break;
    }
    if (has_message())
      start_call();
    else if (!take_line())
      break;
  }
  if (!closed_ && unsent() > 0) flush();
  const bool over = giving_up_ || (at_end_ && !busy_ && !scheduled_ && !has_message());
  if (!closed_ && over && unsent() == 0) close();
  working_ = false;
  if (!closed_) update_interest();
}

// Takes one line from the input; false when there is none yet.
bool Connection::take_line() {
  scanned_ = std::min(in_.find('\n', std::max(scanned_, in_begin_)), in_.size());
  const bool complete = scanned_ < in_.size();
  if (!complete && !at_end_) return false;
  const std::string_view line(in_.data() + in_begin_, scanned_ - in_begin_);
  if (!complete && is_blank(line)) return false;
  if (line.size() > server_.options_.message_bytes_max) {
    give_up(RpcError::invalid_request,
            fmt::format("a message longer than {} bytes", server_.options_.message_bytes_max));
    return false;
  }
  if (!is_blank(line)) take_message(line);
  const size_t consumed = scanned_ + (complete ? 1 : 0);
  server_.waiting_bytes_ -= consumed - in_begin_;
  in_begin_ = scanned_ = consumed;
  if (in_begin_ == in_.size()) {
    drop_input();
  } else if (in_begin_ > kReadBytes) {
    in_.erase(0, in_begin_);
    in_begin_ = scanned_ = 0;
  }
  return true;
}

void Connection::drop_input() {
  server_.waiting_bytes_ -= in_.size() - in_begin_;
  in_.clear();
  in_begin_ = scanned_ = 0;
  if (in_.capacity() > kKeepCapacity) in_.shrink_to_fit();
}

void Connection::take_message(std::string_view line) {
  ++server_.counters_.messages;
  auto message = parse_message(line);
  if (!message) {
    ++server_.counters_.errors;
    out_ += message.error();
    out_ += '\n';
    return;
  }
  message_ = std::move(*message);
  next_call_ = 0;
  answered_any_ = false;
}

void Connection::start_call() {
  busy_ = true;
  ++server_.counters_.calls;
  Json call = std::move(message_.calls[next_call_++]);
  const auto done = [weak = weak_from_this(), token = ++token_](const std::string& text) {
    if (const auto self = weak.lock()) self->finish_call(token, text);
  };
  execute(server_.table_, std::move(call), caller_, done);
}

void Connection::finish_call(uint64_t token, const std::string& text) {
  if (closed_ || !busy_ || token != token_) return;
  busy_ = false;
  if (!text.empty()) {
    if (message_.batch) out_ += answered_any_ ? "," : "[";
    out_ += text;
    if (!message_.batch) out_ += '\n';
    answered_any_ = true;
  }
  if (!has_message()) end_message();
  if (working_) return;
  const auto self = shared_from_this();
  work();
  if (closed_) server_.forget(fd_);
}

void Connection::end_message() {
  if (message_.batch && answered_any_) out_ += "]\n";
  message_ = Message{};
  next_call_ = 0;
}

void Connection::schedule() {
  scheduled_ = true;
  server_.loop_.post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr || self->closed_) return;
    self->scheduled_ = false;
    self->work();
    if (self->closed_) self->server_.forget(self->fd_);
  });
}

void Connection::flush() {
  while (unsent() > 0) {
    const ssize_t n = ::send(fd_, out_.data() + out_begin_, unsent(), MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) close();
      break;
    }
    out_begin_ += static_cast<size_t>(n);
  }
  if (unsent() == 0) {
    out_.clear();
    out_begin_ = 0;
    if (out_.capacity() > kKeepCapacity) out_.shrink_to_fit();
  } else if (out_begin_ > kUnsentHigh) {
    out_.erase(0, out_begin_);
    out_begin_ = 0;
  }
}

// Says why and closes, without working on what else came in.
void Connection::give_up(RpcError code, std::string_view why) {
  ++server_.counters_.errors;
  ++server_.counters_.dropped;
  drop_input();
  giving_up_ = true;
  out_ += error_text(code, why);
  out_ += '\n';
}

void Connection::update_interest() {
  const uint32_t events = (wants_input() ? EPOLLIN : 0u) | (unsent() > 0 ? EPOLLOUT : 0u);
  if (events == interest_) return;
  interest_ = events;
  server_.loop_.modify(fd_, events);
}

}  // namespace lf::rpc
