// SPDX-License-Identifier: Apache-2.0
// Records a worker's decisions. admit() runs behind policy and refuses packets that could not be
// recorded, when the configuration says so; append() runs when every verdict of the burst is known
// and before anything is sent or freed. A full ring costs records, never a silent loss: what is
// lost is counted, and a gap record with the missing sequence numbers follows as soon as there is
// room. Worker thread.
#pragma once

#include "dataplane/audit/ring.hpp"
#include "dataplane/core/burst.hpp"
#include "dataplane/core/worker_stats.hpp"

namespace lf::audit {

struct State {
  Ring* ring = nullptr;  // null: nothing is recorded
  uint8_t worker = 0;
  uint8_t drop_outcomes = 0;  // bit per PolicyOutcome: refused when it cannot be recorded
  uint64_t head = 0;      // next place to write
  uint64_t taken = 0;     // what the reader had taken when last looked
  uint64_t sequence = 0;  // of the next decision
  bool gap_open = false;  // gap.first..sequence-1 were lost
  GapInfo gap;
  Counter recorded, lost;
};

// When the ring has no room for `to_record` records, the number of packets of this burst that
// append() will be given: decides audit_full for those of `judged` whose outcome is one of
// drop_outcomes, and takes them out of `live`. `judged`: what policy was asked about.
void admit(State& state, Burst& burst, const Selection& judged, Selection& live,
           uint32_t to_record) noexcept;

// Writes one record of how a command ended that was kept for replay and is in no burst: `none`, it
// got no answer before its deadline; else why it was not sent again.
void append_end(State& state, const Meta& kept, Verdict end, uint64_t now_us) noexcept;

// Writes one record for each packet of `packets`. All have an LCP header.
void append(State& state, const Burst& burst, const Selection& packets, uint64_t now_us) noexcept;

}  // namespace lf::audit
