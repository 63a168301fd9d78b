// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dedup/dedup.hpp"

namespace lf::dedup {
namespace {

constexpr uint16_t kUnprovenGroup = ledger::kGroups - 1;

void take(const ledger::Admission& found, Burst& burst, uint8_t i) noexcept {
  Meta& meta = burst.meta[i];
  switch (found.result) {
    case ledger::Lookup::fresh:
      meta.ledger_ref = found.ref;
      meta.is_retry = false;
      return;
    case ledger::Lookup::retry:
      meta.ledger_ref = found.ref;
      meta.is_retry = true;
      meta.node = found.node;
      return;
    case ledger::Lookup::duplicate_answered:
      meta.reply_status = found.status;
      return burst.decide(i, Verdict::duplicate_answered);
    case ledger::Lookup::duplicate_in_flight:
    case ledger::Lookup::unsent:
      meta.reply_status = lcp::Status::duplicate;
      return burst.decide(i, Verdict::duplicate_in_flight);
    case ledger::Lookup::full:
      meta.reply_status = lcp::Status::busy;
      return burst.decide(i, Verdict::ledger_full);
  }
}

}  // namespace

void run(ledger::Ledger& ledger, State& s, Burst& burst, Selection& live, Tsc now) noexcept {
  for (uint32_t k = 0; k < live.count; ++k) {
    const Meta& meta = burst.meta[live.index[k]];
    s.names[k] = {meta.lcp->command_id, meta.org_id};
    s.commands[k].group = meta.authenticated ? ledger::Ledger::group_of(meta.org) : kUnprovenGroup;
    s.commands[k].attempt = meta.attempt;
  }
  ledger.hasher().run(s.names, live.count, s.hashes);
  for (uint32_t k = 0; k < live.count; ++k) {
    ledger.prefetch(s.hashes[k]);
    s.commands[k].hash = s.hashes[k];
  }
  ledger.admit(s.commands, live.count, now, s.counts, s.admissions);
  for (uint32_t k = 0; k < live.count; ++k) {
    if (s.admissions[k].ref != 0) ledger.prefetch_flight(s.admissions[k].ref);
    take(s.admissions[k], burst, live.index[k]);
  }
  keep_undecided(burst, live);
}

void give_back(ledger::Ledger& ledger, State& state, const Meta& meta) noexcept {
  if (meta.is_retry) {
    ledger.release_retry(meta.ledger_ref, meta.attempt);
  } else {
    ledger.release(meta.ledger_ref, state.counts);
  }
}

}  // namespace lf::dedup
