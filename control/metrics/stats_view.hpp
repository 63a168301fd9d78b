// SPDX-License-Identifier: Apache-2.0
// What the daemon knows about itself at one moment, as plain values. The control thread fills one
// each second (fill_from_workers() does the workers' part) and on each `stats` or `status` call;
// render.hpp turns it into JSON, Prometheus text and the status page. Knows nothing of DPDK ports,
// ledgers or sockets, so it needs none of them to be tested.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "dataplane/core/stage_times.hpp"
#include "dataplane/core/verdicts.hpp"
#include "dataplane/core/worker_stats.hpp"

namespace lf::metrics {

struct WorkerRow {
  uint32_t lcore = 0;
  uint64_t received = 0, transmitted = 0, bursts = 0, polls = 0;
  uint64_t busy_tsc = 0, total_tsc = 0;
  uint64_t generation = 0;                         // of the snapshot that it uses
  uint64_t parked = 0;                             // in its delay wheel or with control, now
  double cycles_per_packet = 0, busy_percent = 0;  // over the last interval (see Rates)
  double rx_per_s = 0, tx_per_s = 0;
};

// A stage of the pipeline, over the bursts that were timed since start, of all workers.
struct StageRow {
  std::string name;
  uint64_t bursts = 0, packets = 0;
  double ns_per_packet = 0;
  double burst_ns_p50 = 0, burst_ns_p90 = 0, burst_ns_p99 = 0;  // of a burst, within 25 %
};

struct PortRow {
  std::string name, device;
  bool link_up = false;
  uint32_t speed_mbps = 0;
  uint64_t rx_packets = 0, tx_packets = 0, rx_bytes = 0, tx_bytes = 0;
  uint64_t rx_missed = 0, rx_errors = 0, tx_errors = 0, rx_no_mbuf = 0;
};

struct NodeRow {
  std::string service, node, region, state, breaker;
  double health = 0, weight = 0, score = 0;  // weight: share of the service's traffic
  uint64_t inflight = 0, sent = 0, replies = 0, failures = 0, timeouts = 0;
  double latency_us_p50 = 0, latency_us_p99 = 0;
};

// A quota that is used much, of an organisation as a whole or for one intent.
struct QuotaRow {
  std::string org, intent;  // no intent: all
  uint64_t used = 0, limit = 0;
  double utilization = 0;  // 0 to 1; above it when the limit was lowered
  uint64_t rejected = 0;
};

// A number that only one module knows: "ledger.evicted_early". Goes into `stats` under its group
// and into Prometheus as latticeforge_<group>_<name>.
struct Value {
  std::string name, help;
  double value = 0;
  bool is_counter = false;  // only ever grows
};
struct Group {
  std::string name;  // "ledger", "snapshot", "quota"
  std::vector<Value> values;
};

struct SnapshotView {
  uint64_t generation = 0;
  uint64_t published = 0;     // publications since start
  bool applied = false;       // every worker uses `generation`
  double applied_us_p50 = 0;  // from publishing to the last worker's first use
  double applied_us_p99 = 0;
  double grace_us_p50 = 0;  // from publishing to the freeing of the one before
  uint64_t retired = 0;     // old ones not yet freed
};

struct StatsView {
  std::string version, state = "running", config_path;
  int32_t pid = 0;
  double uptime_s = 0;
  uint32_t services = 0, organisations = 0, operators = 0;
  std::string last_reload;  // "never", or when and how it ended

  std::array<uint64_t, kVerdictCodes> verdicts{};  // sums over workers
  // Sums of the single counters of all workers.
  uint64_t received = 0, transmitted = 0, parked = 0, answers_sent = 0, quota_delayed = 0,
           retries_passed = 0, replays = 0, replay_unkept = 0, timeouts_untracked = 0;
  std::vector<WorkerRow> workers;
  std::vector<StageRow> stages;  // those that were timed
  std::vector<PortRow> ports;
  std::vector<NodeRow> nodes;
  std::vector<QuotaRow> quotas;  // the busiest, the highest utilization first
  SnapshotView snapshot;
  std::vector<Group> groups;  // "ledger" is one
};

// Adds up the workers' counters and makes their rows. Reads only: writers go on.
void fill_from_workers(StatsView& view, std::span<const WorkerStats* const> workers,
                       std::span<const uint32_t> lcores);

// Rows of the stages that any of these workers has timed.
std::vector<StageRow> stage_rows(std::span<const StageTimes* const> workers, uint64_t tsc_hz);

// Rates over the last interval, from two views of the same workers. `tsc_hz` turns ticks into time.
class Rates {
 public:
  explicit Rates(uint64_t tsc_hz) : tsc_hz_(tsc_hz) {}
  // Once an interval: remembers this view and computes what happened since the one before.
  void advance(const StatsView& view);
  // Puts the last interval's rates into a view.
  void apply(StatsView& view) const;

 private:
  uint64_t tsc_hz_;
  std::vector<WorkerRow> last_;  // as of the last advance(), with rates
};

}  // namespace lf::metrics
