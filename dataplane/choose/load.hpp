// SPDX-License-Identifier: Apache-2.0
// How much a node has in flight, as one worker sees it: its own counts as they are, the other
// workers' as they were at most some 20 microseconds ago, and what this burst has already given
// it. A look at the others costs a cache line each, so a burst makes a bounded number of them.
#pragma once

#include "dataplane/choose/choose.hpp"

namespace lf::choose {

// What one worker's counts say about a node; may be negative, for answers reach any worker.
inline int64_t in_flight(const NodeStats& s) noexcept {
  return static_cast<int64_t>(s.sent.read() - s.ok.read() - s.failed.read() - s.busy.read() -
                              s.other.read() - s.timeouts.read() - s.left.read());
}

inline int64_t load_of(State& state, const forward::NodeLive& live, NodeSlot slot,
                       Tsc now) noexcept {
  PeerLoad& peers = state.peer_load[slot];
  const auto stamp = static_cast<uint32_t>(now >> kStampShift);
  if (stamp - peers.stamp > state.refresh_ticks && state.refreshes_left > 0) {
    --state.refreshes_left;
    int64_t sum = 0;
    for (uint32_t w = 0; w < state.peer_count; ++w) sum += in_flight(state.peers[w][slot]);
    peers = {static_cast<int32_t>(sum), stamp};
  }
  const int64_t load =
      in_flight(state.own[slot]) + peers.in_flight + state.chosen[slot] - live.lost(slot);
  return load > 0 ? load : 0;
}

}  // namespace lf::choose
