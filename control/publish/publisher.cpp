// SPDX-License-Identifier: Apache-2.0
#include "control/publish/publisher.hpp"

#include <rte_rcu_qsbr.h>

#include <algorithm>
#include <vector>

namespace lf {
namespace {

constexpr size_t kTimesKept = 1024;

void keep(std::deque<Tsc>& times, Tsc value) {
  times.push_back(value);
  if (times.size() > kTimesKept) times.pop_front();
}

Tsc quantile(const std::deque<Tsc>& times, double q) {
  if (times.empty()) return 0;
  std::vector<Tsc> sorted(times.begin(), times.end());
  const auto at = static_cast<size_t>(q * static_cast<double>(sorted.size() - 1));
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(at), sorted.end());
  return sorted[at];
}

}  // namespace

Publisher::Publisher(Bridge& bridge, std::span<const WorkerStats* const> stats, uint64_t tsc_hz)
    : bridge_(bridge), stats_(stats), tsc_hz_(tsc_hz) {}

// By now the workers have left their loops, so nobody reads any snapshot.
Publisher::~Publisher() {
  bridge_.snapshot.store(nullptr, std::memory_order_release);
}

bool Publisher::publish(Snapshot next, Tsc now) {
  if (retired_.size() >= kRetiredMax) reclaim(now);
  if (retired_.size() >= kRetiredMax) return false;
  next.generation = generation() + 1;
  auto fresh = std::make_unique<const Snapshot>(std::move(next));
  bridge_.snapshot.store(fresh.get(), std::memory_order_release);
  if (current_) {
    retired_.push_back({rte_rcu_qsbr_start(bridge_.qsbr), now, std::move(current_)});
  }
  current_ = std::move(fresh);
  ++published_;
  pending_.push_back({current_->generation, now});
  if (pending_.size() > kTimesKept) pending_.pop_front();
  return true;
}

void Publisher::reclaim(Tsc now) {
  note_applied();
  while (!retired_.empty() &&
         rte_rcu_qsbr_check(bridge_.qsbr, retired_.front().token, false) == 1) {
    keep(grace_, now - retired_.front().since);
    retired_.pop_front();
  }
}

bool Publisher::applied() const {
  return std::all_of(stats_.begin(), stats_.end(), [&](const WorkerStats* s) {
    return s->generation.load(std::memory_order_acquire) >= generation();
  });
}

// A generation is measured when every worker is on exactly that one: a worker that went past it
// (two publications between its bursts) applied it no later than the one that it is on now.
void Publisher::note_applied() {
  while (!pending_.empty()) {
    const Pending& p = pending_.front();
    Tsc latest = p.published;
    for (const WorkerStats* s : stats_) {
      if (s->generation.load(std::memory_order_acquire) < p.generation) return;
      latest = std::max(latest, s->generation_since.load(std::memory_order_relaxed));
    }
    keep(applied_, latest - p.published);
    pending_.pop_front();
  }
}

double Publisher::to_us(Tsc ticks) const {
  return static_cast<double>(ticks) * 1e6 / static_cast<double>(tsc_hz_);
}

Publisher::Times Publisher::times() const {
  return {.published = published_,
          .applied_us_p50 = to_us(quantile(applied_, 0.5)),
          .applied_us_p99 = to_us(quantile(applied_, 0.99)),
          .grace_us_p50 = to_us(quantile(grace_, 0.5))};
}

}  // namespace lf
