// SPDX-License-Identifier: Apache-2.0
#include "control/audit/collector.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>

namespace lf::audit {
namespace {

constexpr uint32_t kIdleUs = 500;         // pause of the thread when all rings were empty
constexpr uint32_t kPieceRecords = 1024;  // copied out of a ring at once

Record event_record(EventCode code, uint32_t target, uint64_t now_us) {
  Record r{};
  r.kind = RecordKind::event;
  r.worker = kEventWorker;
  r.verdict = static_cast<uint8_t>(code);
  r.target_id = target;
  r.time_us = now_us;
  return r;
}

}  // namespace

Result<std::unique_ptr<Collector>> Collector::create(const Options& options,
                                                     std::vector<Ring*> rings, const Clock& clock) {
  std::unique_ptr<Collector> c(new Collector(options, clock));
  c->run_us_ = static_cast<uint64_t>(clock.unix_us());
  c->synced_us_ = c->run_us_;
  for (Ring* ring : rings) c->sources_.push_back({ring, {}, 0, 0});
  c->sources_.push_back({nullptr, {}, 0, 0});
  for (Source& s : c->sources_) s.open.reserve(kBlockRecords);
  if (options.directory.empty()) return c;
  auto writer = SegmentWriter::open(options.directory, options.limits, c->run_us_);
  if (!writer) return tl::unexpected(std::move(writer.error()));
  c->writer_ = std::move(*writer);
  if (const uint64_t cut = c->writer_->recovered_bytes())
    c->add_event(event_record(EventCode::recovered, static_cast<uint32_t>(cut), c->run_us_));
  c->writer_->on_removed([raw = c.get()](uint64_t number) {
    raw->add_event(event_record(EventCode::retention, static_cast<uint32_t>(number),
                                static_cast<uint64_t>(raw->clock_.unix_us())));
  });
  return c;
}

Collector::~Collector() {
  stop();
  flush();
}

void Collector::start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "lf-audit");
    while (!stopping_.load(std::memory_order_acquire))
      if (poll() == 0) std::this_thread::sleep_for(std::chrono::microseconds(kIdleUs));
  });
}

void Collector::stop() {
  stopping_.store(true, std::memory_order_release);
  if (thread_.joinable()) thread_.join();
  stopping_.store(false, std::memory_order_release);
  while (poll() > 0) {
  }
}

size_t Collector::poll() {
  size_t taken = 0;
  for (Source& s : sources_)
    if (s.ring) taken += drain(s);
  take_events();
  seal_old(static_cast<uint64_t>(clock_.unix_us()));
  return taken;
}

size_t Collector::drain(Source& s) {
  const uint64_t head = s.ring->published();
  const uint64_t start = s.ring->tail();
  const uint8_t worker = static_cast<uint8_t>(&s - sources_.data());
  for (uint64_t tail = start; tail != head;) {
    const size_t first = s.open.size();
    const uint64_t n = std::min<uint64_t>({head - tail, kPieceRecords, kBlockRecords - first});
    if (first == 0) s.opened_us = static_cast<uint64_t>(clock_.unix_us());
    for (uint64_t k = 0; k < n; ++k) s.open.push_back(s.ring->at(tail + k));
    tail += n;
    s.ring->done(tail);
    {
      const std::lock_guard lock(tap_mutex_);
      if (tap_) tap_({s.open.data() + first, n});
    }
    if (s.open.size() == kBlockRecords) seal(s, worker);
  }
  return head - start;
}

void Collector::take_events() {
  std::vector<Record> events;
  {
    const std::lock_guard lock(events_mutex_);
    events.swap(events_);
  }
  Source& s = sources_.back();
  for (const Record& e : events) {
    if (s.open.empty()) s.opened_us = static_cast<uint64_t>(clock_.unix_us());
    s.open.push_back(e);
    if (s.open.size() == kBlockRecords) seal(s, kEventWorker);
  }
}

void Collector::seal(Source& s, uint8_t worker) {
  const uint64_t next = end_sequence(s.open, s.sequence);
  uint64_t lost = 0;
  for (const Record& r : s.open)
    if (r.kind == RecordKind::gap) lost += gap_of(r).last - gap_of(r).first + 1;
  size_t bytes = 0;
  if (writer_) {
    const Block block = make_block(s.open, worker, run_us_, s.sequence, writer_->last_hash());
    bytes = sizeof(BlockHeader) + block.body.size();
    const auto written = writer_->append(block, static_cast<uint64_t>(clock_.unix_us()));
    unsynced_ = true;
    if (!written) {
      note_error(written.error());
      s.opened_us = static_cast<uint64_t>(clock_.unix_us());
      if (worker == kEventWorker && s.open.size() < kBlockRecords) return;  // tried again
      // The records stay out of the log. The next block's numbers go on where these began, and a
      // gap record in front of it names them.
      GapInfo gap;
      gap.first = s.sequence;
      gap.last = next - 1;
      gap.time_us = s.open.front().time_us;
      gap.end_time_us = s.open.back().time_us;
      for (const Record& r : s.open)
        if (r.kind == RecordKind::decision) ++gap.by_outcome[r.outcome % 3];
      s.open.clear();
      if (next > gap.first) s.open.push_back(make_gap(gap, worker));
      return;
    }
  }
  const std::lock_guard lock(stats_mutex_);
  stats_.records += s.open.size();
  stats_.lost += lost;
  stats_.bytes += bytes;
  s.open.clear();
  s.sequence = next;
}

void Collector::seal_old(uint64_t now_us) {
  for (size_t w = 0; w < sources_.size(); ++w) {
    Source& s = sources_[w];
    if (s.open.empty() || now_us - s.opened_us < options_.block_age_ms * 1000ull) continue;
    seal(s, s.ring ? static_cast<uint8_t>(w) : kEventWorker);
  }
  if (!writer_ || !unsynced_ || now_us - synced_us_ < options_.sync_ms * 1000ull) return;
  if (auto synced = writer_->sync(); !synced) note_error(synced.error());
  synced_us_ = now_us;
  unsynced_ = false;
}

void Collector::flush() {
  take_events();
  for (size_t w = 0; w < sources_.size(); ++w)
    if (!sources_[w].open.empty())
      seal(sources_[w], sources_[w].ring ? static_cast<uint8_t>(w) : kEventWorker);
  if (writer_)
    if (auto synced = writer_->sync(); !synced) note_error(synced.error());
}

void Collector::note_error(const Error& error) {
  const std::lock_guard lock(stats_mutex_);
  ++stats_.write_errors;
  stats_.last_error = error.message;
}

void Collector::add_event(const Record& event) {
  const std::lock_guard lock(events_mutex_);
  events_.push_back(event);
}

void Collector::set_tap(Tap tap) {
  const std::lock_guard lock(tap_mutex_);
  tap_ = std::move(tap);
}

CollectorStats Collector::stats() const {
  const std::lock_guard lock(stats_mutex_);
  return stats_;
}

}  // namespace lf::audit
