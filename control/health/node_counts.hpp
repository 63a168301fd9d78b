// SPDX-License-Identifier: Apache-2.0
// What all workers together counted for a node: sums over their NodeStats blocks. Thread: control;
// workers go on counting meanwhile, so a sum is not a single moment, but no count is lost or
// counted twice.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/core/types.hpp"
#include "dataplane/core/worker_stats.hpp"

namespace lf::health {

struct NodeCounts {
  uint64_t sent = 0, ok = 0, failed = 0, busy = 0, other = 0, timeouts = 0, left = 0;
  uint64_t unreachable = 0, answered_late = 0, latency_sum_us = 0, slow = 0;
  uint64_t flows_opened = 0, flows_closed = 0, flow_packets = 0;

  uint64_t replies() const { return ok + failed + busy + other; }
  // Commands sent and neither settled nor written off; may be negative between two reads.
  int64_t in_flight() const { return static_cast<int64_t>(sent - replies() - timeouts - left); }
  NodeCounts& operator+=(const NodeCounts& o);
  NodeCounts operator-(const NodeCounts& o) const;
};

using LatencyHistogram = std::array<uint64_t, kLatencyBuckets>;

class CountsReader {
 public:
  virtual ~CountsReader() = default;
  virtual NodeCounts read(NodeSlot slot) const = 0;
  virtual LatencyHistogram latencies(NodeSlot slot) const = 0;
};

class WorkerCounts final : public CountsReader {
 public:
  // One array of kNodesMax a worker; the span and the arrays must outlive the reader.
  explicit WorkerCounts(std::span<const NodeStats* const> workers) : workers_(workers) {}
  NodeCounts read(NodeSlot slot) const override;
  LatencyHistogram latencies(NodeSlot slot) const override;

 private:
  std::span<const NodeStats* const> workers_;
};

// Quantiles of recent latencies: a histogram in which what is old fades.
class RecentLatency {
 public:
  // `total` counts up for ever; what is new since the last call is added, after everything older
  // was multiplied by `keep`.
  void update(const LatencyHistogram& total, double keep);
  // Microseconds; interpolated within the bucket. 0 when nothing was measured. q in [0, 1].
  double quantile_us(double q) const;

 private:
  LatencyHistogram seen_{};
  std::array<float, kLatencyBuckets> recent_{};
};

}  // namespace lf::health
