// SPDX-License-Identifier: Apache-2.0
#include "control/notify/notifier.hpp"

#include <fmt/core.h>
#include <sodium.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <system_error>

#include "control/notify/succession.hpp"
#include "dataplane/core/backoff.hpp"

namespace lf::notify {
namespace {

using std::chrono::microseconds;

constexpr microseconds kIdle{500'000};  // a sink looks into the outbox at least this often
constexpr microseconds kSoon{1000};

std::string random_uuid() {
  unsigned char b[16];
  randombytes_buf(b, sizeof(b));
  b[6] = static_cast<unsigned char>((b[6] & 0x0f) | 0x40);
  b[8] = static_cast<unsigned char>((b[8] & 0x3f) | 0x80);
  std::string text;
  for (size_t i = 0; i < sizeof(b); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", b[i]);
  }
  return text;
}

bool serves(const config::Sink& sink, const Notification& n) {
  if (sink.recipient != n.recipient) return false;
  return sink.channels.empty() || std::find(sink.channels.begin(), sink.channels.end(),
                                            name_of(n.channel)) != sink.channels.end();
}

}  // namespace

std::vector<Message> messages_of(const Event& event, const std::vector<Notification>& planned,
                                 const std::vector<config::Sink>& sinks, UnixUs now_us) {
  std::vector<Message> out;
  for (const config::Sink& sink : sinks) {
    Message m;
    for (const Notification& n : planned) {
      if (!serves(sink, n)) continue;
      m.channels.emplace_back(name_of(n.channel));
      m.subject = n.subject;
    }
    if (m.channels.empty()) continue;
    m.sink = sink_key(sink);
    const auto same = std::find_if(out.begin(), out.end(),
                                   [&](const Message& other) { return other.sink == m.sink; });
    if (same != out.end()) {
      for (const std::string& channel : m.channels)
        if (std::find(same->channels.begin(), same->channels.end(), channel) ==
            same->channels.end())
          same->channels.push_back(channel);
      continue;
    }
    m.uuid = random_uuid();
    m.created_us = m.next_us = now_us;
    m.event = event;
    m.recipient = sink.recipient;
    out.push_back(std::move(m));
  }
  return out;
}

Result<bool> deliver_next(Outbox& outbox, const std::string& sink, const Deliver& deliver,
                          const Clock& clock, const std::atomic<bool>& stopping) {
  const auto due = outbox.next_due(sink, clock.unix_us());
  if (!due) return tl::unexpected(due.error());
  if (!*due) return false;
  const Message& m = **due;
  const auto sent = deliver(m, stopping);
  if (sent) {
    if (auto r = outbox.delivered(m.id, clock.unix_us()); !r) return tl::unexpected(r.error());
    return true;
  }
  if (stopping.load()) return tl::unexpected(sent.error());  // not the sink's fault
  const UnixUs next_us = clock.unix_us() + retry_backoff(m.attempts + 1) * 1000;
  if (auto r = outbox.failed(m.id, sent.error().message, next_us); !r)
    return tl::unexpected(r.error());
  return tl::unexpected(sent.error());
}

Notifier::Notifier(const config::Notifications& settings, const Clock& clock, MakeSink make)
    : clock_(clock), make_(std::move(make)) {
  take(settings);
}

void Notifier::take(const config::Notifications& settings) {
  planner_.set_throttle(settings.throttle_s);
  sinks_ = settings.sinks;
  if (sinks_.empty()) sinks_.push_back({.kind = "log"});
  recipients_.clear();
  for (const config::Sink& sink : sinks_)
    if (std::find(recipients_.begin(), recipients_.end(), sink.recipient) == recipients_.end())
      recipients_.push_back(sink.recipient);
}

Result<std::unique_ptr<Notifier>> Notifier::create(const config::Notifications& settings,
                                                   const Clock& clock, MakeSink make) {
  if (sodium_init() < 0) return fail(ErrorCode::internal, "libsodium does not start");
  std::unique_ptr<Notifier> n(new Notifier(settings, clock, std::move(make)));
  auto outbox = Outbox::open(settings.store);
  if (!outbox) return tl::unexpected(outbox.error());
  n->outbox_ = std::move(*outbox);
  if (auto r = n->restore_throttle(); !r) return tl::unexpected(r.error());
  const auto pending = n->outbox_->pending();
  if (!pending) return tl::unexpected(pending.error());
  n->counts_.pending = *pending;
  if (auto r = n->follow(n->sinks_); !r) return tl::unexpected(r.error());
  n->keeper_ = std::thread([notifier = n.get()] { notifier->keep(); });
  return n;
}

Result<void> Notifier::restore_throttle() {
  const auto sent = outbox_->last_sent();
  if (!sent) return tl::unexpected(sent.error());
  for (const LastSent& l : *sent) {
    // A clock that was set back makes it a moment ago, not a time to come.
    const UnixUs ago_us = std::max<UnixUs>(clock_.unix_us() - l.at_us, 0);
    if (l.channel <= static_cast<uint8_t>(Channel::email))
      planner_.restore(l.recipient, static_cast<Channel>(l.channel),
                       clock_.mono_ns() - ago_us * 1000);
  }
  return {};
}

Notifier::~Notifier() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& runner : runners_) runner->stopping = true;
  }
  to_keep_.notify_all();
  to_deliver_.notify_all();
  if (keeper_.joinable()) keeper_.join();
  end_runners({});
}

void Notifier::submit(const Event& event) {
  const UnixUs now_us = clock_.unix_us();
  const auto planned = planner_.plan(event, recipients_, clock_.mono_ns());
  Work work{messages_of(event, planned, sinks_, now_us), {}, {}};
  for (const Notification& n : planned)
    work.sent.push_back({n.recipient, static_cast<uint8_t>(n.channel), now_us});
  {
    const std::lock_guard lock(mutex_);
    ++counts_.events;
    counts_.planned += planned.size();
    counts_.withheld = planner_.withheld();
    if (!planned.empty()) queue_.push_back(std::move(work));
  }
  to_keep_.notify_one();
}

void Notifier::configure(const config::Notifications& settings) {
  const std::vector<config::Sink> before = sinks_;
  take(settings);
  if (sinks_ == before) return;
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back({{}, {}, sinks_});
  }
  to_keep_.notify_one();
}

NotifierCounts Notifier::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

// What cannot be stored stays in the queue and is tried again: the disk may have room later.
void Notifier::keep() {
  std::unique_lock lock(mutex_);
  for (;;) {
    to_keep_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const Work work = queue_.front();
    counts_.pending += work.messages.size();  // first: a sink may take one before add() returns
    lock.unlock();
    const auto done = work.sinks ? follow(*work.sinks) : outbox_->add(work.messages, work.sent);
    lock.lock();
    if (done) {
      queue_.pop_front();
      ++stored_;
      to_deliver_.notify_all();
      continue;
    }
    counts_.pending -= work.messages.size();
    if (counts_.store_errors++ == 0) spdlog::error("{}", done.error().message);
    if (stopping_) return;
    to_keep_.wait_for(lock, kIdle);
  }
}

// Sinks that stay are not disturbed. Those that are gone have ended before their messages move, so
// that none is delivered by both. May be called again when it failed.
Result<void> Notifier::follow(const std::vector<config::Sink>& sinks) {
  std::vector<std::string> keys;
  for (const config::Sink& sink : sinks) keys.push_back(sink_key(sink));
  end_runners(keys);
  const auto all = follow_sinks(*outbox_, sinks, clock_.unix_us());
  if (!all) return tl::unexpected(all.error());
  for (const Gone& gone : *all) {
    spdlog::warn(
        "notifications: sink \"{}\" is gone; of those that waited for it {} go to a new one, "
        "{} are dropped",
        gone.sink, gone.moved + gone.doubled, gone.dropped);
    const std::lock_guard lock(mutex_);
    counts_.dropped += gone.dropped;
    counts_.pending -= gone.doubled + gone.dropped;
  }
  for (const config::Sink& sink : sinks)
    if (auto r = start_runner(sink); !r) return r;
  return {};
}

Result<void> Notifier::start_runner(const config::Sink& sink) {
  const std::lock_guard lock(mutex_);
  const std::string key = sink_key(sink);
  const auto is_it = [&](const auto& runner) { return runner->key == key; };
  if (stopping_ || std::any_of(runners_.begin(), runners_.end(), is_it)) return {};
  auto runner = std::make_unique<Runner>();
  runner->key = key;
  runner->deliver = make_(sink);
  try {
    runner->thread = std::thread([this, r = runner.get()] { deliver_loop(*r); });
  } catch (const std::system_error& e) {
    return fail(ErrorCode::unavailable, "no thread for sink \"{}\": {}", key, e.what());
  }
  runners_.push_back(std::move(runner));
  return {};
}

void Notifier::end_runners(const std::vector<std::string>& except) {
  std::vector<std::unique_ptr<Runner>> ending;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(runners_, [&](std::unique_ptr<Runner>& runner) {
      if (std::find(except.begin(), except.end(), runner->key) != except.end()) return false;
      runner->stopping = true;
      ending.push_back(std::move(runner));
      return true;
    });
  }
  to_deliver_.notify_all();
  for (const auto& runner : ending) runner->thread.join();
}

microseconds Notifier::until_next(const std::string& key) {
  const auto next = outbox_->next_attempt(key);
  if (!next || !*next) return kIdle;
  return std::clamp(microseconds(**next - clock_.unix_us()), kSoon, kIdle);
}

void Notifier::deliver_loop(const Runner& runner) {
  while (!runner.stopping) {
    uint64_t seen = 0;
    {
      const std::lock_guard lock(mutex_);
      seen = stored_;
    }
    const auto r = deliver_next(*outbox_, runner.key, runner.deliver, clock_, runner.stopping);
    const microseconds wait = r && *r ? microseconds(0) : until_next(runner.key);
    std::unique_lock lock(mutex_);
    if (r && *r) {
      ++counts_.delivered;
      --counts_.pending;
      continue;
    }
    if (!r && !runner.stopping) ++counts_.failed_attempts;
    to_deliver_.wait_for(lock, wait, [&] { return runner.stopping || stored_ != seen; });
  }
}

}  // namespace lf::notify
