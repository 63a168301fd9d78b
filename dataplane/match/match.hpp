// SPDX-License-Identifier: Apache-2.0
// Match stage: which command does this reply answer, may its sender answer it, and to whom does it
// go? Settles the command in the ledger exactly once over all workers and records the outcome and
// the latency for the node. record_sent() is the other end: what transmit calls for each command
// on its way to a node. Called by the pipeline on workers.
#pragma once

#include "dataplane/authenticate/table.hpp"
#include "dataplane/core/burst.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/core/worker_stats.hpp"
#include "dataplane/forward/node_live.hpp"
#include "dataplane/forward/table.hpp"
#include "dataplane/ledger/ledger.hpp"
#include "dataplane/ledger/timeouts.hpp"
#include "dataplane/rewrite/client.hpp"

namespace lf::match {

// Transmissions to nodes that this worker saw begin and end: answered, timed out, or no longer in
// flight here. What one worker began another may end, so only the sum over workers says how many
// there are. Writer: the worker; control and admission read.
struct Flights {
  Counter began, ended;

  int64_t balance() const noexcept { return static_cast<int64_t>(began.read() - ended.read()); }
};

// One per worker.
struct State {
  // watched_max: commands in flight at once whose time-outs are noticed. `stats` and
  // `nodes` [kNodesMax] are the worker's.
  State(NodeStats* nodes, WorkerStats* stats, uint32_t watched_max, uint64_t tsc_hz);

  rewrite::Client clients[kBurstMax];  // of the last run(): by position, for each reply that stays
  ledger::Timeouts timeouts;
  NodeStats* nodes;
  WorkerStats* stats;
  ledger::Counts counts;  // control reads them: `unrecorded`, `vacated`
  Flights flights;        // sums of what `nodes` has one by one
  uint64_t us_per_tick_q32;
  uint64_t unwatched = 0;  // positions that the last record_sent() of each did not watch

  // Scratch. Hashes are by position in the burst, of the space that `proven` has a bit for.
  ledger::Name names[kBurstMax];
  ledger::Hash hashes[kBurstMax], fresh_hashes[kBurstMax];
  uint64_t proven = 0;
  ledger::Entry entries[kBurstMax];
};

// Hashes the names of the replies from index `first` of a selection on, which grows and has more,
// and asks for their buckets. Of the two commands that a reply may mean, an organisation's proven
// one and one that is not, first the one that its service takes: the proven one, but where
// `services` says that authentication is off. The other is looked for where the first is not there.
void expect(const authenticate::Table& services, const ledger::Ledger& ledger, State& state,
            const Burst& burst, const Selection& replies, uint32_t first) noexcept;

// REPLYs, all of which expect() has been told of. Decides reply_unknown, reply_not_from_node,
// reply_duplicate, and reply_to_control for those that go into `submitted`: answers to commands
// that control submitted. What stays in `live` has its client in state.clients and its sender in
// meta.node.
void run(const forward::Table& table, const forward::NodeLive& live_nodes, ledger::Ledger& ledger,
         State& state, Burst& burst, Selection& live, Selection& submitted, Tsc now) noexcept;

// REPORTs and PROBE_REPLYs: sets meta.node to the node that they come from. A PROBE_REPLY comes
// from the node's address; a REPORT names its node and is signed by its owner. Others are decided
// `stranger`.
void find_senders(const forward::Table& table, Burst& burst, Selection& live,
                  Verdict stranger) noexcept;

// Commands that are handed to the port right after this, still as they were received: keeps their
// flights, counts them for their nodes, starts to watch for time-outs. `from_control`: a bit per
// position of a command that control submitted.
void record_sent(const forward::Table& table, ledger::Ledger& ledger, State& state,
                 const Burst& burst, const Selection& commands, uint64_t from_control,
                 Tsc now) noexcept;

// A command that record_sent() was told of at `sent`, in this burst, and that the port did not
// take.
void not_sent(ledger::Ledger& ledger, State& state, const Burst& burst, uint32_t i,
              Tsc sent) noexcept;

}  // namespace lf::match
