// SPDX-License-Identifier: Apache-2.0
// Choose stage: gives each admitted command its node. Weighted random by alias table, or the less
// loaded of two such draws; nodes whose breaker is open are drawn again, then searched for, then
// the failover pool is tried; what is left is refused. A retry stays with its node while that can
// take it. Called by the pipeline on a worker; reads the table, the breaker words and, for
// least-loaded, the other workers' counts; writes Meta and its own State, takes trial tokens. What
// the stages behind it want to know of all commands it finds out in the same loop.
#pragma once

#include "dataplane/core/burst.hpp"
#include "dataplane/core/fast_random.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/core/worker_stats.hpp"
#include "dataplane/forward/node_live.hpp"
#include "dataplane/forward/table.hpp"
#include "dataplane/net/offsets.hpp"

namespace lf::choose {

inline constexpr uint32_t kDraws = 4;              // before the pool is searched
inline constexpr uint32_t kRefreshesPerBurst = 8;  // looks at other workers' counts
inline constexpr uint32_t kStampShift = 10;        // PeerLoad::stamp is in 1024 ticks

// What the other workers have in flight to a node, as last looked up.
struct PeerLoad {
  int32_t in_flight = 0;
  uint32_t stamp = 0;
};

// One per worker; 48 KB. Control fills the first group before the loop starts.
struct State {
  FastRandom random;
  const NodeStats* own = nullptr;                // this worker's counts, [kNodesMax]
  const NodeStats* peers[kWorkersMax - 1] = {};  // the other workers'
  uint32_t peer_count = 0;
  uint32_t refresh_ticks = 0;  // age at which a PeerLoad is looked up again, in 1024 ticks

  PeerLoad peer_load[kNodesMax] = {};
  uint16_t chosen[kNodesMax] = {};  // in this burst, so not yet in `own`; 0 between bursts
  uint32_t refreshes_left = 0;

  Counter to_failover;  // commands that the failover pool took
  Counter redrawn;      // draws that met an open breaker or no trial token
};

// Connects a worker's state to all workers' counts. `self` is its position among them; `seed` is
// unpredictable and differs by worker.
void init(State& state, const NodeStats* const* workers, uint32_t worker_count, uint32_t self,
          uint64_t seed, uint64_t tsc_hz) noexcept;

// What some commands of a burst are, or may be: what they need is looked for only then.
struct Some {
  bool replayable = false, not_from_wire = false, retry = false;
  bool several_ports = false;  // they leave by more than one
  // All have the layout, and are for nodes in proxy mode that have it too.
  bool all_usual = false;
  net::Layout layout{};
  bool all_fit = false;         // their nodes' MTUs
  uint16_t least_mtu = 0xffff;  // no node's is smaller
};

// Decides unroutable, node_unresolved or trial_taken; else sets node, breaker_epoch and out_port.
Some run(const forward::Table& table, forward::NodeLive& live, State& state, Burst& burst,
         Selection& selection, Tsc now) noexcept;

}  // namespace lf::choose
