// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/stats_view.hpp"

#include <algorithm>

namespace lf::metrics {
namespace {

double ratio(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

// Two relaxed reads of a running worker may see its counters a burst apart.
uint64_t difference(uint64_t now, uint64_t before) {
  return now > before ? now - before : 0;
}

}  // namespace

void fill_from_workers(StatsView& view, std::span<const WorkerStats* const> workers,
                       std::span<const uint32_t> lcores) {
  for (size_t w = 0; w < workers.size(); ++w) {
    const WorkerStats& s = *workers[w];
    for (uint32_t code = 0; code < kVerdictCodes; ++code)
      view.verdicts[code] += s.verdicts[code].read();
    WorkerRow row;
    row.lcore = w < lcores.size() ? lcores[w] : 0;
    row.received = s.received.read();
    row.transmitted = s.transmitted.read();
    row.bursts = s.bursts.read();
    row.polls = s.polls.read();
    row.busy_tsc = s.busy_tsc.read();
    row.total_tsc = s.total_tsc.read();
    row.generation = s.generation.load(std::memory_order_relaxed);
    row.parked = difference(s.parked.read(), s.unparked.read());
    view.received += row.received;
    view.transmitted += row.transmitted;
    view.parked += row.parked;
    view.answers_sent += s.answers_sent.read();
    view.quota_delayed += s.quota_delayed.read();
    view.retries_passed += s.retries_passed.read();
    view.replays += s.replays.read();
    view.replay_unkept += s.replay_unkept.read();
    view.timeouts_untracked += s.timeouts_untracked.read();
    view.workers.push_back(row);
  }
}

void Rates::advance(const StatsView& view) {
  const std::vector<WorkerRow> before = std::move(last_);
  last_ = view.workers;
  for (size_t w = 0; w < last_.size(); ++w) {
    WorkerRow& row = last_[w];
    const WorkerRow zero;
    const WorkerRow& old = w < before.size() ? before[w] : zero;
    const uint64_t packets = difference(row.received, old.received);
    const uint64_t busy = difference(row.busy_tsc, old.busy_tsc);
    const uint64_t total = difference(row.total_tsc, old.total_tsc);
    const double seconds = ratio(total, tsc_hz_);
    row.cycles_per_packet = ratio(busy, packets);
    row.busy_percent = std::min(100.0, 100 * ratio(busy, total));
    row.rx_per_s = seconds > 0 ? static_cast<double>(packets) / seconds : 0;
    row.tx_per_s = seconds > 0
                       ? static_cast<double>(difference(row.transmitted, old.transmitted)) / seconds
                       : 0;
  }
}

void Rates::apply(StatsView& view) const {
  for (size_t w = 0; w < std::min(view.workers.size(), last_.size()); ++w) {
    view.workers[w].cycles_per_packet = last_[w].cycles_per_packet;
    view.workers[w].busy_percent = last_[w].busy_percent;
    view.workers[w].rx_per_s = last_[w].rx_per_s;
    view.workers[w].tx_per_s = last_[w].tx_per_s;
  }
}

}  // namespace lf::metrics
