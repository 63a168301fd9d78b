// SPDX-License-Identifier: Apache-2.0
#include "control/health/node_counts.hpp"

#include "control/base/latency_quantile.hpp"

namespace lf::health {

NodeCounts& NodeCounts::operator+=(const NodeCounts& o) {
  sent += o.sent;
  ok += o.ok;
  failed += o.failed;
  busy += o.busy;
  other += o.other;
  timeouts += o.timeouts;
  left += o.left;
  unreachable += o.unreachable;
  answered_late += o.answered_late;
  latency_sum_us += o.latency_sum_us;
  slow += o.slow;
  flows_opened += o.flows_opened;
  flows_closed += o.flows_closed;
  flow_packets += o.flow_packets;
  return *this;
}

NodeCounts NodeCounts::operator-(const NodeCounts& o) const {
  NodeCounts d = *this;
  d.sent -= o.sent;
  d.ok -= o.ok;
  d.failed -= o.failed;
  d.busy -= o.busy;
  d.other -= o.other;
  d.timeouts -= o.timeouts;
  d.left -= o.left;
  d.unreachable -= o.unreachable;
  d.answered_late -= o.answered_late;
  d.latency_sum_us -= o.latency_sum_us;
  d.slow -= o.slow;
  d.flows_opened -= o.flows_opened;
  d.flows_closed -= o.flows_closed;
  d.flow_packets -= o.flow_packets;
  return d;
}

NodeCounts WorkerCounts::read(NodeSlot slot) const {
  NodeCounts sum;
  for (const NodeStats* worker : workers_) {
    const NodeStats& s = worker[slot];
    sum += {s.sent.read(),           s.ok.read(),          s.failed.read(),
            s.busy.read(),           s.other.read(),       s.timeouts.read(),
            s.left.read(),           s.unreachable.read(), s.answered_late.read(),
            s.latency_sum_us.read(), s.slow.read(),        s.flows_opened.read(),
            s.flows_closed.read(),   s.flow_packets.read()};
  }
  return sum;
}

LatencyHistogram WorkerCounts::latencies(NodeSlot slot) const {
  LatencyHistogram sum{};
  for (const NodeStats* worker : workers_)
    for (uint32_t b = 0; b < kLatencyBuckets; ++b) sum[b] += worker[slot].latency[b].read();
  return sum;
}

void RecentLatency::update(const LatencyHistogram& total, double keep) {
  for (uint32_t b = 0; b < kLatencyBuckets; ++b) {
    recent_[b] = recent_[b] * static_cast<float>(keep) + static_cast<float>(total[b] - seen_[b]);
    if (recent_[b] < 0.01f) recent_[b] = 0;  // faded away
  }
  seen_ = total;
}

double RecentLatency::quantile_us(double q) const {
  return latency_quantile(std::span(recent_), q);
}

}  // namespace lf::health
