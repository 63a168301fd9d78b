// SPDX-License-Identifier: Apache-2.0
// The dedup stage: enters each command into the ledger and refuses those that are there already.
// Called by the pipeline after authenticate and validate, on workers. What is still live after
// run() owns a ledger entry (Meta::ledger_ref): whoever refuses it later must give that back.
//
// Only commands that authenticate let pass come here. On a service without authentication an
// organisation is what the packet claims; such commands share one group of the ledger's share rule,
// so they can push out each other's entries but never those of organisations that prove themselves.
#pragma once

#include "dataplane/core/burst.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/ledger/ledger.hpp"

namespace lf::dedup {

struct State {
  ledger::Counts counts;
  // Scratch, by place in the selection.
  ledger::Name names[kBurstMax];
  ledger::Hash hashes[kBurstMax];
  ledger::Command commands[kBurstMax];
  ledger::Admission admissions[kBurstMax];
};

// Decides duplicate_in_flight, duplicate_answered or ledger_full; else sets ledger_ref, is_retry
// and, for a retry, the node where the command is in flight.
void run(ledger::Ledger& ledger, State& state, Burst& burst, Selection& live, Tsc now) noexcept;

// Gives the entries of refused commands back, so that a retry is not taken for a duplicate.
void give_back(ledger::Ledger& ledger, State& state, const Meta& meta) noexcept;

}  // namespace lf::dedup
