// SPDX-License-Identifier: Apache-2.0
// The match stage: finds the command that a node's REPLY answers and who is waiting for it, and
// counts what became of the command for its node. Called by the pipeline on the worker that got the
// reply, whichever sent the command. record_sent() is its other half: it keeps the flight of each
// command just before it is sent.
//
// A reply counts only when it comes from the address and port of the node to which the command was
// last sent. A tag does not help: replies are signed with the organisation's key, which its clients
// have too, and nobody but the node may speak for the node.
#pragma once

#include "dataplane/core/burst.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/core/worker_stats.hpp"
#include "dataplane/forward/node_live.hpp"
#include "dataplane/forward/table.hpp"
#include "dataplane/ledger/ledger.hpp"
#include "dataplane/ledger/timeouts.hpp"
#include "dataplane/rewrite/client.hpp"

namespace lf::match {

struct State {
  State(NodeStats* nodes, WorkerStats* stats, uint32_t watched, uint64_t tsc_hz);

  NodeStats* nodes;  // this worker's, [kNodesMax]
  WorkerStats* stats;
  uint64_t tsc_hz;
  ledger::Timeouts timeouts;
  ledger::Counts counts;
  rewrite::Client clients[kBurstMax];  // of replies, by position in the burst
  // Scratch, by place in the selection.
  ledger::Name names[kBurstMax];
  ledger::Hash hashes[kBurstMax];
  ledger::Found found[kBurstMax];
};

// Decides reply_unknown, reply_duplicate, reply_not_from_node. What is left in `live` has its
// client in state.clients; replies to commands that control submitted go to `to_control`.
void run(const forward::Table& table, const forward::NodeLive& nodes, ledger::Ledger& ledger,
         State& state, Burst& burst, Selection& live, Selection& to_control, Tsc now) noexcept;

// Sets Meta::node of REPORTs and PROBE_REPLYs to their sender; decides `stranger` for those from an
// address that is no node's.
void find_senders(const forward::Table& table, Burst& burst, Selection& live,
                  Verdict stranger) noexcept;

// Keeps the flights of commands that are about to be sent; `clients` by position in the burst. Sets
// the time-outs going, for nodes that answer through us.
void record_sent(const forward::Table& table, ledger::Ledger& ledger, State& state,
                 const Burst& burst, const Selection& live, const rewrite::Client* clients,
                 Tsc now) noexcept;

}  // namespace lf::match
