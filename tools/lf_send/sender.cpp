// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_send/sender.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <sys/prctl.h>

#include <algorithm>

#include "tools/common/text.hpp"

namespace lf::send {
namespace {

constexpr int64_t kNapMin = 50'000;         // ns; what is due sooner leaves with the next batch
constexpr int64_t kNapMax = 50'000'000;     // ns; to notice `stop`
constexpr uint32_t kReceiveRoundsMax = 16;  // batches a socket, before sending goes on

TrackerLimits limits_of(const Options& o) {
  return {.timeout_ns = int64_t{o.timeout_ms} * 1'000'000,
          .retries = o.retries,
          .retry_refused = o.retry_refused,
          .hold_ns = int64_t{o.hold_ms} * 1'000'000};
}

}  // namespace

Sender::Sender(const Options& options, uint64_t run, uint16_t thread, const std::atomic<bool>& stop)
    : options_(options),
      stop_(stop),
      source_(options_, run, thread),
      tracker_(limits_of(options)),
      pacer_(0, 0, 0, 0) {}

Result<void> Sender::open() {
  for (const auto& t : options_.targets) has_v4_ |= t.family() == AF_INET;
  const bool has_v6 = std::any_of(options_.targets.begin(), options_.targets.end(),
                                  [](const auto& t) { return t.family() == AF_INET6; });
  families_ = (has_v4_ ? 1 : 0) + (has_v6 ? 1 : 0);
  for (uint32_t s = 0; s < options_.sockets; ++s) {
    for (const int family : {AF_INET, AF_INET6}) {
      if (family == AF_INET ? !has_v4_ : !has_v6) continue;
      const bool bound = options_.bind && options_.bind->family() == family;
      auto socket = tools::UdpSocket::bind(bound ? *options_.bind : tools::any_endpoint(family));
      if (!socket) return tl::unexpected(socket.error());
      channels_.push_back({std::move(*socket), {}});
    }
  }
  return {};
}

Sender::Channel& Sender::channel(const tools::Endpoint& target, uint64_t socket) {
  const uint64_t of_family = target.family() == AF_INET6 && has_v4_ ? 1 : 0;
  return channels_[socket % options_.sockets * families_ + of_family];
}

Second& Sender::second_of(int64_t now) {
  const auto n = static_cast<size_t>(std::max<int64_t>(now - start_ns_, 0) / 1'000'000'000);
  if (results_.series.size() <= n) results_.series.resize(n + 1);
  return results_.series[n];
}

void Sender::run() {
  prctl(PR_SET_TIMERSLACK, 1000UL);
  start_ns_ = last_new_ns_ = clock_.mono_ns();
  start_unix_us_ = clock_.unix_us();
  pacer_ =
      Pacer(options_.rate, options_.count, static_cast<int64_t>(options_.seconds * 1e9), start_ns_);
  while (!stop_.load(std::memory_order_relaxed)) {
    const int64_t now = clock_.mono_ns();
    send_new(now);
    send_duplicates(now);
    send_retries(now);
    flush();
    receive_all();
    if (options_.live) show(now);
    if (settled(now)) break;
    wait(now);
  }
  tracker_.finish();
  results_.count_commands(tracker_);
  results_.seconds = static_cast<double>(last_new_ns_ - start_ns_) / 1e9;
}

// One line when a second is over.
void Sender::show(int64_t now) {
  const int64_t second = (now - start_ns_) / 1'000'000'000;
  if (second <= shown_) return;
  const Second& s = second_of(start_ns_ + shown_ * 1'000'000'000);
  fmt::print(stderr, "{:4} s: {} sent, {} answered, {} ok, {} waiting, p50 {} us, p99 {} us\n",
             shown_, s.sent, s.answered, s.ok, tracker_.waiting(), s.latency.quantile(0.5),
             s.latency.quantile(0.99));
  shown_ = second;
}

bool Sender::settled(int64_t now) const {
  return pacer_.over(now) && tracker_.waiting() == 0 && duplicates_.empty();
}

void Sender::send_new(int64_t now) {
  uint64_t n = std::min<uint64_t>(pacer_.due(now), tools::kBatchMax);
  if (options_.window)
    n = std::min<uint64_t>(
        n, options_.window - std::min<uint64_t>(tracker_.waiting(), options_.window));
  if (n == 0) return;
  if (options_.rate > 0)
    results_.behind_ns_max = std::max(results_.behind_ns_max, now - pacer_.next_ns());
  for (uint64_t i = 0; i < n; ++i) {
    const uint64_t number = tracker_.commands().size();
    const Fault fault = source_.fault_of(number);
    if (fault == Fault::none) {
      tracker_.sent(now);
    } else {
      tracker_.sent_spoiled(now);
      ++results_.spoiled[static_cast<uint8_t>(fault)];
    }
    put(number, 0, number);
    if (source_.is_duplicated(number))
      duplicates_.push_back({now + int64_t{options_.duplicate_delay_ms} * 1'000'000, number});
  }
  pacer_.sent(n);
  second_of(now).sent += n;
  last_new_ns_ = now;
}

void Sender::send_duplicates(int64_t now) {
  for (; !duplicates_.empty() && duplicates_.front().due_ns <= now; duplicates_.pop_front()) {
    const uint64_t number = duplicates_.front().number;
    put(number, 0, number + 1);
    ++results_.duplicates;
  }
}

void Sender::send_retries(int64_t now) {
  while (const auto retry = tracker_.next_retry(now)) {
    put(retry->number, retry->attempt, retry->number + retry->attempt);
    ++results_.retries;
  }
}

void Sender::put(uint64_t number, uint8_t attempt, uint64_t socket) {
  const tools::Endpoint& target = source_.target_of(number);
  Channel& c = channel(target, socket);
  if (c.queue.full()) results_.refused_sends += c.queue.flush(c.socket);
  const int64_t sent_after_us = (tracker_.commands()[number].sent_ns - start_ns_) / 1000;
  const auto deadline_us =
      static_cast<uint64_t>(start_unix_us_ + sent_after_us) + options_.deadline_ms * 1000;
  source_.write(number, attempt, deadline_us, c.queue.add(target, source_.size_of(number)));
  ++results_.sent;
}

void Sender::flush() {
  for (Channel& c : channels_)
    if (!c.queue.empty()) results_.refused_sends += c.queue.flush(c.socket);
}

void Sender::receive_all() {
  for (Channel& c : channels_) {
    for (uint32_t round = 0; round < kReceiveRoundsMax; ++round) {
      const uint32_t n = receiver_.receive(c.socket);
      if (n == 0) break;
      const int64_t now = clock_.mono_ns();
      for (uint32_t i = 0; i < n; ++i) take(receiver_.datagram(i), now);
      if (n < tools::kBatchMax) break;
    }
  }
}

void Sender::take(std::span<const uint8_t> datagram, int64_t now) {
  lcp::Message m;
  if (lcp::decode(datagram, m) != Verdict::none || m.fields.type != lcp::Type::reply) {
    ++results_.malformed;
    return;
  }
  const uint64_t number = source_.number_of(m.fields.command_id);
  if (number >= tracker_.commands().size()) {
    ++results_.foreign;
    return;
  }
  if (m.fields.flags & lcp::kFlagTagged) ++results_.tagged_answers;
  if (!source_.plausible(datagram, m)) {
    ++results_.bad_tags;
    return;
  }
  const Tracker::Command& command = tracker_.commands()[number];
  const bool was_lost = command.state == Tracker::State::lost;
  switch (tracker_.answered(number, m.reply, now)) {
    case Taken::final: {
      const auto us = static_cast<uint64_t>(std::max<int64_t>(now - command.sent_ns, 0)) / 1000;
      results_.latency.add(us);
      results_.late += was_lost;
      results_.from_data_plane += m.reply.from_data_plane;
      Second& second = second_of(now);
      ++second.answered;
      second.ok += m.reply.status == lcp::Status::ok;
      second.latency.add(us);
      break;
    }
    case Taken::interim:
      ++results_.interim;
      break;
    case Taken::duplicate_notice:
      ++results_.duplicate_notices;
      break;
    case Taken::second:
      ++results_.duplicate_answers;
      break;
    case Taken::unexpected:
      ++results_.spoiled_answered[static_cast<uint8_t>(source_.fault_of(number))];
      break;
  }
  if (options_.print)
    fmt::print("{} {} reason {} remaining {} reset {} s wait {} ms{} {} us\n",
               tools::to_hex(m.fields.command_id), lcp::name_of(m.reply.status), m.reply.reason,
               m.reply.quota_remaining, m.reply.reset_seconds, m.reply.throttle_ms,
               m.reply.from_data_plane ? " data-plane" : "", (now - command.sent_ns) / 1000);
}

void Sender::wait(int64_t now) {
  int64_t until = now + kNapMax;
  if (!pacer_.over(now)) {
    const bool window_full = options_.window && tracker_.waiting() >= options_.window;
    if (!window_full) until = std::min(until, std::max(pacer_.next_ns(), now));
  }
  until = std::min(until, tracker_.next_timer_ns());
  if (!duplicates_.empty()) until = std::min(until, duplicates_.front().due_ns);
  const int64_t nap = until - clock_.mono_ns();
  if (options_.rate == 0 && nap <= 0) return;
  std::vector<pollfd> fds;
  fds.reserve(channels_.size());
  for (const Channel& c : channels_) fds.push_back({c.socket.fd(), POLLIN, 0});
  const int64_t ns = std::max(nap, kNapMin);
  const timespec timeout{ns / 1'000'000'000, ns % 1'000'000'000};
  ppoll(fds.data(), fds.size(), &timeout, nullptr);
}

}  // namespace lf::send
