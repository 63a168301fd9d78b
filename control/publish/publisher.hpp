// SPDX-License-Identifier: Apache-2.0
// Publishes Snapshots to the workers by RCU and frees the old ones: the only file on the control
// side that knows of it. publish() swaps one pointer and returns; what the pointer showed before is
// retired and freed by reclaim() once every worker has passed through a quiescent state. Nothing
// here ever waits. Thread: control.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>

#include "dataplane/core/snapshot.hpp"
#include "dataplane/core/worker_stats.hpp"
#include "dataplane/worker/bridge.hpp"

namespace lf {

class Publisher {
 public:
  static constexpr size_t kRetiredMax = 64;

  // `stats`: one block a worker, for seeing which generation each uses.
  Publisher(Bridge& bridge, std::span<const WorkerStats* const> stats, uint64_t tsc_hz);
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // Makes `next` the current snapshot, under the next generation number. False when too many old
  // ones still wait for a worker: nothing has changed then, and the caller tries again later.
  bool publish(Snapshot next, Tsc now);

  // Frees what no worker can still see; notes when all workers use the current generation.
  void reclaim(Tsc now);

  // A copy of the current snapshot, to change and publish again.
  const Snapshot& current() const { return *current_; }

  uint64_t generation() const { return current_ ? current_->generation : 0; }
  bool applied() const;  // all workers use the current generation
  size_t retired() const { return retired_.size(); }

  struct Times {
    uint64_t published = 0;     // publications so far
    double applied_us_p50 = 0;  // from publish() to the last worker's first use of it,
    double applied_us_p99 = 0;  // over the last 1,024 publications
    double grace_us_p50 = 0;    // from publish() to the freeing of the one before
  };
  Times times() const;

 private:
  struct Retired {
    uint64_t token;
    Tsc since;
    std::unique_ptr<const Snapshot> snapshot;
  };
  struct Pending {
    uint64_t generation;
    Tsc published;
  };

  void note_applied();
  double to_us(Tsc ticks) const;

  Bridge& bridge_;
  std::span<const WorkerStats* const> stats_;
  uint64_t tsc_hz_;
  std::unique_ptr<const Snapshot> current_;
  std::deque<Retired> retired_;
  std::deque<Pending> pending_;  // published, not yet seen on every worker
  std::deque<Tsc> applied_;      // the last measured times, in ticks
  std::deque<Tsc> grace_;
  uint64_t published_ = 0;
};

}  // namespace lf
