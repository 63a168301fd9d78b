// SPDX-License-Identifier: Apache-2.0
// Flow stage: plain TCP, UDP or anything else over IP to a flow service. A flow keeps its node: the
// worker's cache remembers it; a flow that is new, or whose node may not keep it, gets its node
// from the service's Maglev table. Three steps, so that the pipeline can ask the quota stage about
// new flows in between: find, open, and the sending in send.hpp. Called by the pipeline on a
// worker, for packets that parse made Kind::flow or Kind::flow_return.
#pragma once

#include "dataplane/core/burst.hpp"
#include "dataplane/core/worker_stats.hpp"
#include "dataplane/flow/cache.hpp"
#include "dataplane/flow/nat.hpp"
#include "dataplane/flow/table.hpp"
#include "dataplane/lcp/header.hpp"

namespace lf::flow {

// What find() and open() learnt of a packet, by its position in the burst.
struct Look {
  Key key;
  uint64_t hash = 0;
  Cache::Place place;
  uint32_t ways = 0;
  uint8_t tcp_flags = 0;
  uint32_t nat = kNoNat;  // index of its mapping
  uint16_t own_port = 0;  // of the mapping, wire order
};

// One per worker.
struct State {
  State(uint32_t cache_entries, uint64_t seed, NodeStats* node_stats)
      : cache(cache_entries, seed), nodes(node_stats) {}

  Cache cache;
  NodeStats* nodes;
  Counter nat_opened, nat_again;  // mappings made; found again without the cache
  Selection fresh;                // of the last find(): flows that are not remembered
  Selection returns;              // and packets from nodes
  Look look[kBurstMax];
  lcp::Header said[kBurstMax];  // stands in for a command, for audit
  Mapping mapping[kBurstMax];   // of returns
};

// Packets of remembered flows stay in `live`, with meta.node set; the others go to state.fresh,
// packets from nodes to state.returns.
void find(const Table& table, Nat& nat, State& state, Burst& burst, Selection& live,
          Tsc now) noexcept;

// One packet of each flow in `fresh`, with what policy, quota and audit read of a command filled
// in: who its client belongs to, and the intent and operator of its service. In `judged` where the
// service has an operator. In `counted` where an organisation's quota counts it: a connection that
// is only new to us (no SYN) was counted where it began.
void gather_new(const Table& table, State& state, Burst& burst, const Selection& fresh,
                Selection& judged, Selection& counted) noexcept;

// Decides all packets of the flow of the one at `refused`.
void refuse(const State& state, Burst& burst, const Selection& fresh, uint8_t refused,
            Verdict verdict) noexcept;

// Gives the packets of `fresh` their nodes and appends them to `live`; decides those that nobody
// can take. ICMP errors open no flow.
void open(const Table& table, const forward::Table& nodes, Nat& nat, State& state, Burst& burst,
          const Selection& fresh, Selection& live, Tsc now) noexcept;

// Forgets what has expired, a bit at a time; called once a loop.
void sweep(const Table& table, State& state, Tsc now) noexcept;

}  // namespace lf::flow
