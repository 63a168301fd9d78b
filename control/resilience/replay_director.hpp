// SPDX-License-Identifier: Apache-2.0
// Has the commands in flight to a node sent elsewhere when its breaker opens: starts a ReplayRun,
// gives the workers its orders and reads their reports. Thread: control; the daemon passes it the
// board's transitions and ticks it right after the board.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "control/base/clock.hpp"
#include "control/resilience/board.hpp"
#include "control/resilience/replay_run.hpp"
#include "control/rpc/command.hpp"
#include "dataplane/core/worker_stats.hpp"
#include "dataplane/replay/keep_pool.hpp"
#include "dataplane/replay/orders.hpp"

namespace lf::resilience {

class ReplayDirector {
 public:
  struct Setup {
    replay::Orders* orders = nullptr;
    std::vector<const replay::KeepPool*> pools;  // of all workers
    int64_t timeout_s = 10;                      // for the plans
    // Regions of a node's service as they are now.
    std::function<ReplayRegions(NodeSlot)> regions;
  };

  // A run that has ended, or how far one has got.
  struct Status {
    NodeSlot slot = kNoNode;
    MonoNs started = 0;
    ReplayRun run;
  };

  explicit ReplayDirector(Setup setup) : setup_(std::move(setup)) {}

  void set_timeout_s(int64_t timeout_s) { setup_.timeout_s = timeout_s; }

  // A breaker that opened starts a run; another opening of the same node starts it anew.
  void on_transitions(std::span<const BoardTransition> transitions, MonoNs now);
  // Runs that ended in this tick; valid until the next call.
  std::span<const Status> tick(MonoNs now, UnixUs unix_us);

  // The last run of each node, by slot.
  const std::map<NodeSlot, Status>& runs() const { return runs_; }
  uint32_t active() const { return active_; }

 private:
  void give(NodeSlot slot, const NextOrder& next);
  OrderProgress progress(NodeSlot slot) const;

  Setup setup_;
  std::map<NodeSlot, Status> runs_;
  std::map<NodeSlot, uint16_t> epochs_;  // of the opening that a run is about
  std::vector<Status> ended_;
  uint32_t active_ = 0;
};

// replay.status: what is being sent again, what became of it, what could not be kept. The workers'
// counts are those of `stats`.
std::vector<rpc::Command> replay_commands(const ReplayDirector& director, const BreakerBoard& board,
                                          std::vector<const WorkerStats*> stats,
                                          std::vector<const replay::KeepPool*> pools,
                                          const Clock& clock);

}  // namespace lf::resilience
