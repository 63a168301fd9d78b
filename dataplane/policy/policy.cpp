// SPDX-License-Identifier: Apache-2.0
#include "dataplane/policy/policy.hpp"

#include <hs/hs_runtime.h>

#include <cstddef>
#include <cstring>

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
  m.policy_version = 0;  // nobody is asked
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

// A rule set's rows for the packets, which it leaves in `rows`, and their decisions.
void decide_by_classes(const Program& p, State& state, const Burst& burst, const Selection& packets,
                       uint32_t* rows, uint32_t* decisions) noexcept {
  classify(p, burst.meta, packets.index, packets.count, state.classes);
  first_matches(p, state.classes, packets.count, rows);
  for (uint32_t k = 0; k < packets.count; ++k)
    decisions[k] = (rows[k] == kNoRow ? kDefaultDeny : p.rows[rows[k]]).decision();
}

// Policy's part of the first eight bytes behind the node: the outcome is allow, until settle() is
// told otherwise, and what choose and rewrite will say is not there yet.
static_assert(offsetof(Meta, breaker_epoch) % 8 == 0 &&
              offsetof(Meta, outcome) == offsetof(Meta, breaker_epoch) + 2 &&
              offsetof(Meta, unkept) == offsetof(Meta, breaker_epoch) + 3 &&
              offsetof(Meta, policy_version) == offsetof(Meta, breaker_epoch) + 4);
void set_allowed(Meta& m, uint32_t decision, uint64_t version) noexcept {
  const uint64_t words = version << 32;
  std::memcpy(&m.breaker_epoch, &words, sizeof words);
  m.rule = static_cast<uint16_t>(decision);
}

// What is not simply allowed. True: it is after all.
bool settle(const Program& p, State& state, Burst& burst, const Selection& packets, uint32_t k,
            uint32_t decision, uint32_t row, bool& classified) noexcept {
  const uint8_t i = packets.index[k];
  Meta& m = burst.meta[i];
  if ((decision >> 24 & Row::kHasPattern) != 0) {
    if (!classified) classify(p, burst.meta, packets.index, packets.count, state.classes);
    classified = true;
    const uint32_t real = resolve_patterns(p, state, m, k, row);
    decision = (real == kNoRow ? kDefaultDeny : p.rows[real]).decision();
    m.rule = static_cast<uint16_t>(decision);
  }
  m.outcome = static_cast<PolicyOutcome>(decision >> 16 & 0xff);
  if (m.outcome == PolicyOutcome::allow) return true;
  refuse(burst, i);
  return false;
}

enum class Evaluated { all_allowed, some_refused, some_held_before };

// What a burst's commands are told, by OR.
struct Told {
  uint32_t decisions = 0;
  uint8_t origins = 0;

  [[gnu::always_inline]] void tell(Meta& m, uint32_t decision, uint64_t version) noexcept {
    decisions |= decision;
    origins |= static_cast<uint8_t>(m.origin);
    set_allowed(m, decision, version);
  }
  static_assert(Origin::wire == Origin{0} && Origin::intake == Origin{1});  // the others: held
  bool held_before() const noexcept { return origins >> 1 != 0; }
  bool all_allowed() const noexcept { return (decisions >> 16 | origins >> 1) == 0; }
};

// Packets of one program, at most kBurstMax. When some were held before, nothing is decided yet.
Evaluated evaluate_by_sums(const Program& p, State& state, Burst& burst,
                           const Selection& packets) noexcept {
  const Sums& sums = *p.sums;
  const uint32_t* const of_sum = p.decision_of_sum.data();
  const uint64_t version = p.version;
  Told told;
  for_each(burst, packets, [&](Meta& m) __attribute__((always_inline)) {
    told.tell(m, of_sum[sums.of(m)], version);
  });
  if (told.all_allowed()) [[likely]]
    return Evaluated::all_allowed;
  if (told.held_before()) return Evaluated::some_held_before;
  bool classified = false, all_allowed = true;
  for (uint32_t k = 0; k < packets.count; ++k) {
    const uint16_t sum = sums.of(burst.meta[packets.index[k]]);
    if (of_sum[sum] >> 16 == 0) continue;
    all_allowed &=
        settle(p, state, burst, packets, k, of_sum[sum], p.row_of_sum[sum], classified);
  }
  return all_allowed ? Evaluated::all_allowed : Evaluated::some_refused;
}

Evaluated evaluate_by_classes(const Program& p, State& state, Burst& burst,
                              const Selection& packets) noexcept {
  uint32_t rows[kBurstMax], decisions[kBurstMax];
  decide_by_classes(p, state, burst, packets, rows, decisions);
  Told told;
  for (uint32_t k = 0; k < packets.count; ++k)
    told.tell(burst.meta[packets.index[k]], decisions[k], p.version);
  if (told.all_allowed()) return Evaluated::all_allowed;
  if (told.held_before()) return Evaluated::some_held_before;
  bool classified = true, all_allowed = true;
  for (uint32_t k = 0; k < packets.count; ++k)
    if (decisions[k] >> 16 != 0)
      all_allowed &= settle(p, state, burst, packets, k, decisions[k], rows[k], classified);
  return all_allowed ? Evaluated::all_allowed : Evaluated::some_refused;
}

Evaluated evaluate(const Program& p, State& state, Burst& burst,
                   const Selection& packets) noexcept {
  return p.sums ? evaluate_by_sums(p, state, burst, packets)
                : evaluate_by_classes(p, state, burst, packets);
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

}  // namespace

void run(const Table& table, State& state, Burst& burst, Selection& live) noexcept {
  // Mostly nobody is on another program than the first.
  if (table.org_program.empty()) [[likely]] {
    const Evaluated first = evaluate(*table.programs[0], state, burst, live);
    if (first == Evaluated::all_allowed) [[likely]]
      return;
    if (first == Evaluated::some_refused) return keep_undecided(burst, live);
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
