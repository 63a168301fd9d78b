// SPDX-License-Identifier: Apache-2.0
#include "dataplane/policy/policy.hpp"

#include <hs/hs_runtime.h>

#include "dataplane/core/hold_end.hpp"
#include "dataplane/core/metas.hpp"
#include "dataplane/policy/sums.hpp"

namespace lf::policy {
namespace {

int on_match(unsigned id, unsigned long long, unsigned long long, unsigned, void* bits) noexcept {
  *static_cast<uint32_t*>(bits) |= 1u << id;
  return 0;
}

// Which patterns match the payload. False: could not tell (no scratch, Hyperscan failed).
bool scan(const Program& p, State& state, Meta& m) noexcept {
  m.pattern_bits = 0;
  if (!p.patterns || state.worker >= p.scratch.size()) return false;
  state.scans.add(1);
  const char* payload = reinterpret_cast<const char*>(m.lcp + 1);
  return hs_scan(p.patterns.get(), payload, m.payload_length, 0, p.scratch[state.worker].get(),
                 on_match, &m.pattern_bits) == HS_SUCCESS;
}

// Goes on from a candidate row that asks for patterns to the first row that really matches. What
// could not be scanned is denied by default.
uint32_t resolve_patterns(const Program& p, State& state, Meta& m, uint32_t k,
                          uint32_t row) noexcept {
  if (!scan(p, state, m)) return kNoRow;
  while (row != kNoRow) {
    const Row& r = p.rows[row];
    if (!(r.flags & Row::kHasPattern) || p.pattern_tests[r.pattern].test(m.pattern_bits)) break;
    row = next_match(p, state.classes, k, row + 1);
  }
  return row;
}

// Denied or held.
void refuse(Burst& burst, uint8_t i) noexcept {
  Meta& m = burst.meta[i];
  const bool hold = m.outcome == PolicyOutcome::hold;
  m.reply_status = hold ? lcp::Status::held : lcp::Status::denied;
  burst.decide(i, hold ? Verdict::held : Verdict::policy_denied);
}

// A command that was held and comes back from control: people or its deadline have decided.
void end_of_hold(Burst& burst, uint8_t i) noexcept {
  Meta& m = burst.meta[i];
  m.rule = kRuleReleased;
  m.outcome = m.origin == Origin::released ? PolicyOutcome::allow : PolicyOutcome::deny;
  if (m.origin == Origin::released) return;
  const bool expired = m.origin == kHoldExpired;
  m.reply_status = expired                 ? lcp::Status::expired
                   : m.origin == kHoldFull ? lcp::Status::busy
                                           : lcp::Status::denied;
  burst.decide(i, expired                 ? Verdict::held_expired
                  : m.origin == kHoldFull ? Verdict::hold_full
                                          : Verdict::held_refused);
}

constexpr Row kDefaultDeny{.outcome = static_cast<uint8_t>(PolicyOutcome::deny)};

// Packets of one program, at most kBurstMax. True: all are allowed.
bool evaluate(const Program& p, State& state, Burst& burst, const Selection& packets) noexcept {
  const uint32_t count = packets.count;
  Meta* const meta = metas(burst);
  uint32_t rows[kBurstMax];
  Sums sums;
  const bool small = sums.take(p);
  const auto classify_all = [&] { classify(p, burst.meta, packets.index, count, state.classes); };
  if (small) [[likely]] {
    for (uint32_t k = 0; k < count; ++k) rows[k] = sums.row_of(meta[packets.index[k]]);
  } else {
    classify_all();
    first_matches(p, state.classes, count, rows);
  }
  bool classified = !small, all_allowed = true;
  const Row* const table = p.rows.data();
  const uint32_t version = p.version;
  for (uint32_t k = 0; k < count; ++k) {
    Meta& m = meta[packets.index[k]];
    const Row* row = rows[k] == kNoRow ? &kDefaultDeny : table + rows[k];
    m.policy_version = version;
    if ((row->flags & Row::kHasPattern) != 0) [[unlikely]] {
      if (!classified) classify_all();
      classified = true;
      const uint32_t real = resolve_patterns(p, state, m, k, rows[k]);
      row = real == kNoRow ? &kDefaultDeny : table + real;
    }
    m.rule = row->rule;
    m.outcome = static_cast<PolicyOutcome>(row->outcome);
    if (m.outcome == PolicyOutcome::allow) [[likely]]
      continue;
    refuse(burst, packets.index[k]);
    all_allowed = false;
  }
  return all_allowed;
}

// Which program decides about each; commands that were held are decided already.
void part(const Table& table, Burst& burst, const Selection& live, Selection by_program[2]) noexcept {
  const auto orgs = static_cast<uint32_t>(table.org_program.size());
  for (const uint8_t i : live) {
    const Meta& m = burst.meta[i];
    if (was_held(m.origin)) [[unlikely]] {
      end_of_hold(burst, i);
      continue;
    }
    by_program[m.org < orgs ? table.org_program[m.org] : 0].add(i);
  }
}

// Nobody is on another program than the first, and nobody comes back from being held.
bool all_on_first(const Table& table, const Burst& burst, const Selection& live) noexcept {
  if (!table.org_program.empty()) return false;
  const Meta* const meta = metas(burst);
  uint32_t origins = 0;
  for (const uint8_t i : live) origins |= static_cast<uint32_t>(meta[i].origin);
  static_assert(Origin::wire == Origin{0} && Origin::intake == Origin{1});  // the others: held
  return origins <= 1;
}

}  // namespace

void run(const Table& table, State& state, Burst& burst, Selection& live) noexcept {
  if (all_on_first(table, burst, live)) [[likely]] {
    if (!evaluate(*table.programs[0], state, burst, live)) keep_undecided(burst, live);
    return;
  }
  Selection by_program[2];
  by_program[0].count = by_program[1].count = 0;
  part(table, burst, live, by_program);
  for (uint32_t which = 0; which < 2; ++which)
    if (by_program[which].count > 0)
      evaluate(*table.programs[which], state, burst, by_program[which]);
  keep_undecided(burst, live);
}

}  // namespace lf::policy
