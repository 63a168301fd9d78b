// SPDX-License-Identifier: Apache-2.0
// Time-outs of commands in flight. Each worker watches what it sent itself; whether a command is
// still owed an answer the ledger knows, so an answer that came through another worker cancels
// nothing here and costs nothing. Thread: the worker.
#pragma once

#include "dataplane/core/timing_wheel.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/core/worker_stats.hpp"
#include "dataplane/forward/node_live.hpp"
#include "dataplane/ledger/ledger.hpp"

namespace lf::ledger {

class Timeouts {
 public:
  // capacity: commands in flight at once that are watched; more are not, and are counted.
  Timeouts(uint32_t capacity, uint64_t tsc_hz);

  // Watches one transmission. False: no room.
  bool watch(Ref ref, Tsc sent, Tsc timeout_tsc, NodeSlot node, uint16_t breaker_epoch) noexcept;

  // Counts the time-outs that have come, each exactly once. Returns how many.
  uint32_t expire(Ledger& ledger, const forward::NodeLive& live, NodeStats* nodes,
                  Tsc now) noexcept;

  uint32_t watched() const noexcept { return wheel_.size(); }

 private:
  struct Watched {
    Ref ref;
    Tsc timeout_tsc;
    uint32_t stamp;
    NodeSlot node;
    uint16_t breaker_epoch;
  };

  TimingWheel<Watched> wheel_;
  uint64_t tsc_hz_;
};

}  // namespace lf::ledger
