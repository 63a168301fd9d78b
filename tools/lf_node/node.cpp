// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_node/node.hpp"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>

#include "tools/common/text.hpp"

namespace lf::node {
namespace {

constexpr int64_t kNapMin = 20'000;         // ns
constexpr int64_t kNapMax = 50'000'000;     // ns; to notice `stop`
constexpr uint32_t kReceiveRoundsMax = 16;  // batches a socket, before answers leave

}  // namespace

Node::Node(const Options& options, std::atomic<bool>& stop)
    : options_(options),
      stop_(stop),
      behaviour_(options.behaviour),
      random_(options.seed ? options.seed : std::random_device{}()) {
  for (const tools::KeySpec& spec : options.keys) keys_.add(spec);
  if (keys_.first()) reports_.emplace(*keys_.first(), random_());
}

Result<void> Node::open() {
  std::vector<tools::Endpoint> addresses = options_.listen;
  if (options_.reply_from) {
    reply_channel_ = static_cast<uint32_t>(addresses.size());
    addresses.push_back(*options_.reply_from);
  }
  for (const tools::Endpoint& address : addresses) {
    auto socket = tools::UdpSocket::bind(address);
    if (!socket) return tl::unexpected(socket.error());
    channels_.push_back({std::move(*socket), {}});
  }
  if (!options_.control.empty())
    if (auto done = control_.listen(options_.control); !done) return done;
  if (options_.read_stdin) control_.read_stdin();
  return {};
}

void Node::run() {
  prctl(PR_SET_TIMERSLACK, 1000UL);
  start_ns_ = last_report_ns_ = next_report_ns_ = clock_.mono_ns();
  const int64_t end =
      options_.seconds > 0 ? start_ns_ + static_cast<int64_t>(options_.seconds * 1e9) : INT64_MAX;
  int64_t now = start_ns_;
  for (; !stop_.load(std::memory_order_relaxed) && now < end; now = clock_.mono_ns()) {
    follow_script(now);
    receive_all();
    answer_due(clock_.mono_ns());
    report(now);
    flush();
    control_.serve([this](std::string_view line) { return obey(line); });
    wait();
  }
  summary_.waiting = answers_.size();
  summary_.seconds = static_cast<double>(now - start_ns_) / 1e9;
}

void Node::receive_all() {
  for (uint32_t c = 0; c < channels_.size(); ++c) {
    for (uint32_t round = 0; round < kReceiveRoundsMax; ++round) {
      const uint32_t n = receiver_.receive(channels_[c].socket);
      const int64_t now = clock_.mono_ns();
      for (uint32_t i = 0; i < n; ++i) take(c, receiver_.datagram(i), receiver_.from(i), now);
      answer_due(now);
      if (n < tools::kBatchMax) break;
    }
  }
}

void Node::take(uint32_t channel, std::span<const uint8_t> datagram, const tools::Endpoint& from,
                int64_t now) {
  lcp::Message m;
  if (lcp::decode(datagram, m) != Verdict::none) {
    ++summary_.malformed;
    return;
  }
  switch (m.fields.type) {
    case lcp::Type::command:
      if (authentic(datagram, m.fields)) take_command(channel, m.fields, from, now);
      break;
    case lcp::Type::probe:
      if (authentic(datagram, m.fields)) answer_probe(channel, m.fields, from);
      break;
    default:
      ++summary_.other;
  }
}

bool Node::authentic(std::span<const uint8_t> datagram, const lcp::Fields& fields) {
  const bool is_command = fields.type == lcp::Type::command;
  if (!(fields.flags & lcp::kFlagTagged)) {
    summary_.untagged += is_command;
    return !is_command || !options_.require_tag;
  }
  if (keys_.empty()) return true;  // nothing to check with was given
  const lcp::Signer* signer = keys_.find(fields.org_id, fields.key_id);
  if (!signer) {
    ++summary_.tags_unknown;
    return false;
  }
  const bool right = signer->verify(datagram);
  summary_.tags_bad += !right;
  return right;
}

void Node::take_command(uint32_t channel, const lcp::Fields& fields, const tools::Endpoint& from,
                        int64_t now) {
  ++summary_.received;
  ++summary_.by_intent[fields.intent];
  seen_.add(fields.command_id, fields.attempt);
  const Decision d = server_.decide(
      behaviour_, {.silent = chance(), .busy = chance(), .fail = chance(), .jitter = chance()},
      now);
  if (d.silent) {
    ++summary_.silent;
    return;
  }
  const Answer a{d.at_ns, order_++, now, fields, from, channel, d.status};
  if (d.at_ns <= now)
    answer(a, now);
  else
    answers_.push(a);
}

void Node::answer_due(int64_t now) {
  for (; !answers_.empty() && answers_.top().at_ns <= now; answers_.pop())
    answer(answers_.top(), now);
}

void Node::answer(const Answer& a, int64_t now) {
  Channel& c = channels_[options_.reply_from ? reply_channel_ : a.channel];
  const lcp::Reply reply{.status = a.status};
  const auto size =
      static_cast<uint32_t>(sizeof(lcp::Header) + sizeof(lcp::ReplyBody)) + options_.reply_bytes;
  const auto out = add(c, a.to, size);
  static const std::vector<uint8_t> extra(8192, 0x2e);
  lcp::encode_reply(out, lcp::answer_fields(a.request, lcp::Type::reply), reply,
                    lcp::Bytes(extra).first(options_.reply_bytes));
  sign_like(a.request, out);
  ++summary_.answered;
  ++summary_.by_status[static_cast<uint8_t>(a.status)];
  if (a.status == lcp::Status::busy) return;
  ok_ += a.status == lcp::Status::ok;
  failed_ += a.status == lcp::Status::failed;
  ++worked_off_;
  const auto us = static_cast<uint64_t>(std::max<int64_t>(now - a.received_ns, 0)) / 1000;
  summary_.latency.add(us);
  service_.add(us);
}

void Node::answer_probe(uint32_t channel, const lcp::Fields& fields, const tools::Endpoint& from) {
  if (behaviour_.probes == 0 || chance() * 100 < behaviour_.silent) return;
  const auto out = add(channels_[channel], from, sizeof(lcp::Header));
  lcp::encode(out, lcp::answer_fields(fields, lcp::Type::probe_reply));
  sign_like(fields, out);
  ++summary_.probes;
}

void Node::sign_like(const lcp::Fields& request, std::span<uint8_t> datagram) {
  if (!(request.flags & lcp::kFlagTagged) || behaviour_.tag_replies == 0) return;
  if (const lcp::Signer* signer = keys_.find(request.org_id, request.key_id))
    signer->sign(datagram);
}

std::span<uint8_t> Node::add(Channel& c, const tools::Endpoint& to, uint32_t size) {
  if (c.queue.full()) summary_.refused_sends += c.queue.flush(c.socket);
  return c.queue.add(to, size);
}

void Node::flush() {
  for (Channel& c : channels_)
    if (!c.queue.empty()) summary_.refused_sends += c.queue.flush(c.socket);
}

void Node::follow_script(int64_t now) {
  for (; script_at_ < options_.script.size(); ++script_at_) {
    const Change& change = options_.script[script_at_];
    if (start_ns_ + change.at_ns > now) return;
    // Checked when it was parsed.
    if (auto done = behaviour_.set_all(change.settings); !done)
      fmt::print(stderr, "lf-node: {}\n", done.error().message);
  }
}

void Node::report(int64_t now) {
  if (options_.report_to.empty() || now < next_report_ns_) return;
  next_report_ns_ = std::max(next_report_ns_ + int64_t{options_.report_ms} * 1'000'000, now);
  if (behaviour_.report == 0) return;
  const double period_s = static_cast<double>(now - last_report_ns_) / 1e9;
  double saturation = behaviour_.saturation;
  if (saturation < 0 && behaviour_.capacity > 0 && period_s > 0)
    saturation = static_cast<double>(worked_off_) / (behaviour_.capacity * period_s);
  const lcp::Report r{
      .node_id = options_.node_id,
      .latency_us = static_cast<uint32_t>(std::min<uint64_t>(service_.quantile(0.5), UINT32_MAX)),
      .queue_depth = static_cast<uint32_t>(answers_.size()),
      .saturation = static_cast<uint16_t>(std::clamp(saturation, 0.0, 1.0) * lcp::kSaturationFull),
      .degraded = behaviour_.degraded != 0,
      .draining = behaviour_.draining != 0,
      .successes = static_cast<uint32_t>(ok_),
      .failures = static_cast<uint32_t>(failed_)};
  const tools::ReportDatagram datagram = reports_->make(r, clock_.unix_us());
  for (const tools::Endpoint& to : options_.report_to) {
    const auto channel = std::find_if(channels_.begin(), channels_.end(), [&](const Channel& c) {
      return c.socket.local().family() == to.family();
    });
    if (channel == channels_.end()) continue;
    std::ranges::copy(datagram, add(*channel, to, sizeof(datagram)).begin());
    ++summary_.reports;
  }
  ok_ = failed_ = worked_off_ = 0;
  service_.clear();
  last_report_ns_ = now;
}

std::string Node::obey(std::string_view line) {
  line = tools::trim(line);
  const size_t space = line.find(' ');
  const std::string_view verb = line.substr(0, space);
  const std::string_view rest =
      space == line.npos ? std::string_view() : tools::trim(line.substr(space));
  if (verb == "set") {
    const auto done = behaviour_.set_all(rest);
    return done ? "ok" : "error: " + done.error().message;
  }
  if (verb == "get") {
    summary_.waiting = answers_.size();
    summary_.seconds = static_cast<double>(clock_.mono_ns() - start_ns_) / 1e9;
    return to_json(summary_, seen_, -1);
  }
  if (verb == "stop") {
    stop_.store(true);
    return "ok";
  }
  return fmt::format("error: no command '{}' (set NAME VALUE, get, stop)", verb);
}

void Node::wait() {
  int64_t until = clock_.mono_ns() + kNapMax;
  if (!answers_.empty()) until = std::min(until, answers_.top().at_ns);
  if (!options_.report_to.empty()) until = std::min(until, next_report_ns_);
  if (script_at_ < options_.script.size())
    until = std::min(until, start_ns_ + options_.script[script_at_].at_ns);
  std::vector<pollfd> fds;
  for (const Channel& c : channels_) fds.push_back({c.socket.fd(), POLLIN, 0});
  control_.add_poll_fds(fds);
  const int64_t ns = std::max(until - clock_.mono_ns(), kNapMin);
  const timespec timeout{ns / 1'000'000'000, ns % 1'000'000'000};
  ppoll(fds.data(), fds.size(), &timeout, nullptr);
}

}  // namespace lf::node
