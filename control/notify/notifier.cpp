// SPDX-License-Identifier: Apache-2.0
#include "control/notify/notifier.hpp"

#include <fmt/core.h>
#include <sodium.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

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
    m.uuid = random_uuid();
    m.sink = sink_key(sink);
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

Notifier::Notifier(const config::Notifications& settings, const Clock& clock)
    : clock_(clock), sinks_(settings.sinks), planner_(settings.throttle_s) {
  if (sinks_.empty()) sinks_.push_back({.kind = "log"});
  for (const config::Sink& sink : sinks_)
    if (std::find(recipients_.begin(), recipients_.end(), sink.recipient) == recipients_.end())
      recipients_.push_back(sink.recipient);
}

Result<std::unique_ptr<Notifier>> Notifier::create(const config::Notifications& settings,
                                                   const Clock& clock, MakeSink make) {
  if (sodium_init() < 0) return fail(ErrorCode::internal, "libsodium does not start");
  std::unique_ptr<Notifier> n(new Notifier(settings, clock));
  auto outbox = Outbox::open(settings.store);
  if (!outbox) return tl::unexpected(outbox.error());
  n->outbox_ = std::move(*outbox);
  if (auto r = n->restore_throttle(); !r) return tl::unexpected(r.error());
  const auto pending = n->outbox_->pending();
  if (!pending) return tl::unexpected(pending.error());
  n->counts_.pending = *pending;
  n->start(make);
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

void Notifier::start(const MakeSink& make) {
  threads_.emplace_back([this] { store_loop(); });
  for (const config::Sink& sink : sinks_)
    threads_.emplace_back(
        [this, key = sink_key(sink), deliver = make(sink)] { sink_loop(key, deliver); });
}

Notifier::~Notifier() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  to_store_.notify_all();
  to_deliver_.notify_all();
  for (std::thread& t : threads_) t.join();
}

void Notifier::submit(const Event& event) {
  const UnixUs now_us = clock_.unix_us();
  const auto planned = planner_.plan(event, recipients_, clock_.mono_ns());
  Batch batch{messages_of(event, planned, sinks_, now_us), {}};
  for (const Notification& n : planned)
    batch.sent.push_back({n.recipient, static_cast<uint8_t>(n.channel), now_us});
  {
    const std::lock_guard lock(mutex_);
    ++counts_.events;
    counts_.planned += planned.size();
    counts_.withheld = planner_.withheld();
    if (!planned.empty()) queue_.push_back(std::move(batch));
  }
  to_store_.notify_one();
}

NotifierCounts Notifier::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

// What cannot be stored stays in the queue and is tried again: the disk may have room later.
void Notifier::store_loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    to_store_.wait(lock, [this] { return stopping_.load() || !queue_.empty(); });
    if (queue_.empty()) return;
    const Batch batch = queue_.front();
    lock.unlock();
    const auto stored = outbox_->add(batch.messages, batch.sent);
    lock.lock();
    if (stored) {
      queue_.erase(queue_.begin());
      ++stored_;
      counts_.pending += batch.messages.size();
      to_deliver_.notify_all();
      continue;
    }
    if (counts_.store_errors++ == 0) spdlog::error("{}", stored.error().message);
    if (stopping_.load()) return;
    to_store_.wait_for(lock, kIdle);
  }
}

microseconds Notifier::until_next(const std::string& key) {
  const auto next = outbox_->next_attempt(key);
  if (!next || !*next) return kIdle;
  return std::clamp(microseconds(**next - clock_.unix_us()), kSoon, kIdle);
}

void Notifier::sink_loop(const std::string& key, const Deliver& deliver) {
  while (!stopping_.load()) {
    uint64_t seen = 0;
    {
      const std::lock_guard lock(mutex_);
      seen = stored_;
    }
    const auto r = deliver_next(*outbox_, key, deliver, clock_, stopping_);
    const microseconds wait = r && *r ? microseconds(0) : until_next(key);
    std::unique_lock lock(mutex_);
    if (r && *r) {
      ++counts_.delivered;
      --counts_.pending;
      continue;
    }
    if (!r && !stopping_.load()) ++counts_.failed_attempts;
    to_deliver_.wait_for(lock, wait, [&] { return stopping_.load() || stored_ != seen; });
  }
}

}  // namespace lf::notify
