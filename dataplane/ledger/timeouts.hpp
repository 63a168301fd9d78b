// SPDX-License-Identifier: Apache-2.0
// One worker's watch over the commands that it sent: a timing wheel of transmissions. One that is
// still unanswered when its time is up, and was not sent again meanwhile, counts once as a time-out
// of its node, whichever worker would have got the reply. Thread: the worker; no other touches it.
#pragma once

#include <cstdint>

#include "dataplane/core/timing_wheel.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/core/worker_stats.hpp"
#include "dataplane/forward/node_live.hpp"
#include "dataplane/ledger/ledger.hpp"

namespace lf::ledger {

// A transmission that is watched.
struct Watched {
  Ref ref = 0;
  uint32_t stamp = 0;
  NodeSlot node = kNoNode;
  uint16_t breaker_epoch = 0;
};

class Timeouts {
  using Wheel = TimingWheel<Watched, 42>;  // a kilobyte together

 public:
  // capacity: most transmissions at once, up to 48 bytes each.
  Timeouts(uint32_t capacity, uint64_t tsc_hz);

  // The wheel's tick of a time. Transmissions that are due together share it.
  uint64_t tick_of(Tsc due) const noexcept { return wheel_.tick_of(due); }

  // Watches transmissions that are due at one tick. insert() false: no room, nobody will notice if
  // the reply does not come.
  using Run = Wheel::Run;
  Run watch(uint64_t due_tick) noexcept { return {wheel_, due_tick}; }

  // Once a loop. Counts what has timed out in `nodes` [kNodesMax]; returns how many.
  uint32_t expire(Ledger& ledger, const forward::NodeLive& live, NodeStats* nodes,
                  Tsc now) noexcept;

  uint32_t watched() const noexcept { return wheel_.size(); }

 private:
  Wheel wheel_;
  uint64_t us_per_tick_q32_;
};

}  // namespace lf::ledger
