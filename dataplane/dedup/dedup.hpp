// SPDX-License-Identifier: Apache-2.0
// Dedup stage: has this command been seen? Asks the ledger for a burst of authenticated commands
// and enters the new ones. A command without a proven organisation (services with authentication
// off or optional) is deduplicated too, in a space of its own, by the organisation that it claims.
// Called by the pipeline on workers after validate and authenticate.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/core/burst.hpp"
#include "dataplane/ledger/ledger.hpp"

namespace lf::dedup {

// One per worker.
struct State {
  State() noexcept { forget_hashes(); }

  ledger::Counts counts;  // control reads them

  // Of the last run(): retries of commands that are in the same burst and not sent yet. They are
  // undecided and in no other selection: run the command stages for them once the burst is sent.
  Selection deferred;

  // Scratch.
  ledger::Name names[kBurstMax];
  ledger::Hash fresh_hashes[kBurstMax];
  ledger::Hash hashes[kBurstMax];  // by position,
  // and whether it was made as if the organisation were proven, or is not there.
  enum class Made : uint8_t { as_unproven, as_proven, not_yet };
  alignas(32) Made made[kBurstMax];
  ledger::Command commands[kBurstMax];
  ledger::Admission admissions[kBurstMax];
  ledger::Found found[kBurstMax];

  void forget_hashes() noexcept { std::fill_n(made, kBurstMax, Made::not_yet); }
};

// As soon as commands are parsed: hashes those from the `first` of the selection on as if each tag
// were right, and gets their buckets on their way to the cache while other packets are parsed and
// tags computed. A guess that was wrong costs a second hash. Reads and changes nothing shared. At
// most some ten commands at a time, or prefetches are dropped: a core has 24 buffers for lines that
// are on their way.
void expect(const ledger::Ledger& ledger, State& state, const Burst& burst,
            const Selection& commands, uint32_t first) noexcept;

// Decides duplicate_in_flight, duplicate_answered (reply_status: what it was answered with) and
// ledger_full. What stays has a ledger_ref; a retry of a command in flight has is_retry set and in
// node the one it was sent to.
void run(ledger::Ledger& ledger, State& state, Burst& burst, Selection& commands, Tsc now) noexcept;

// For every command that run() let pass and that is not sent after all: refused or held.
void give_back(ledger::Ledger& ledger, State& state, const Meta& meta) noexcept;

// Positions (a bit each) of commands that run() would decide as duplicates; changes nothing. For
// admission control, under overload.
uint64_t duplicates(const ledger::Ledger& ledger, State& state, const Burst& burst,
                    const Selection& commands, Tsc now) noexcept;

}  // namespace lf::dedup
