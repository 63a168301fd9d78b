// SPDX-License-Identifier: Apache-2.0
#include "dataplane/audit/audit.hpp"

#include <algorithm>

#include "dataplane/core/hold_end.hpp"

namespace lf::audit {
namespace {

// Places that are free for decisions: one is kept for a gap record.
uint64_t room(State& s, uint64_t wanted) noexcept {
  const uint64_t capacity = s.ring->capacity() - 1;
  if (capacity - std::min(capacity, s.head - s.taken) < wanted) s.taken = s.ring->taken();
  return capacity - std::min(capacity, s.head - s.taken);
}

uint8_t flags_of(const Meta& m) noexcept {
  // The policy stage gives every command that it saw a version, or the released command's rule.
  const bool released = was_held(m.origin);
  const bool evaluated = m.policy_version != 0 && !released;
  // What replay has to say is only about commands that were sent.
  const bool unkept = m.verdict == Verdict::forwarded && m.replayable && m.unkept;
  return static_cast<uint8_t>(
      (m.authenticated ? Record::kAuthenticated : 0) |
      (m.comms_degraded ? Record::kCommsDegraded : 0) | (m.is_retry ? Record::kRetry : 0) |
      (released ? Record::kReleased : 0) | (m.origin == Origin::intake ? Record::kFromIntake : 0) |
      (evaluated ? Record::kEvaluated : 0) | (m.org != kNoOrg ? Record::kOrgKnown : 0) |
      (unkept ? Record::kUnkept : 0));
}

void write(Record& r, const Meta& m, uint8_t worker, uint64_t now_us) noexcept {
  r.time_us = now_us;
  std::memcpy(r.trace_id, m.lcp->trace_id, 16);
  std::memcpy(r.command_id, m.lcp->command_id, 16);
  r.org_id = m.org_id;
  r.operator_id = m.operator_id;
  r.target_id = m.target_id;
  r.policy_version = m.policy_version;
  r.role_bits = m.role_bits;
  r.pattern_bits = m.pattern_bits;
  r.rule = m.rule;
  r.risk_centi = m.risk_centi;
  r.group = m.target_group;
  r.node = m.node;
  r.kind = RecordKind::decision;
  r.worker = worker;
  r.intent = m.intent;
  r.severity = m.severity;
  r.clearance_mfa = static_cast<uint8_t>(m.clearance | m.mfa_level << 4);
  r.flags = flags_of(m);
  r.outcome = static_cast<uint8_t>(m.outcome);
  r.verdict = static_cast<uint8_t>(m.verdict);
}

void lose(State& s, const Meta& m, uint64_t sequence, uint64_t now_us) noexcept {
  if (!s.gap_open) {
    s.gap = {};
    s.gap.first = sequence;
    s.gap.time_us = now_us;
    s.gap_open = true;
  }
  s.gap.last = sequence;
  s.gap.end_time_us = now_us;
  ++s.gap.by_outcome[static_cast<uint32_t>(m.outcome)];
}

// Room for decisions, up to `wanted`, once what was lost before has its gap record.
uint64_t make_room(State& s, uint64_t wanted) noexcept {
  const uint64_t left = room(s, wanted);
  if (!s.gap_open || left == 0) return left;
  s.ring->at(s.head++) = make_gap(s.gap, s.worker);
  s.gap_open = false;
  return room(s, wanted);
}

}  // namespace

void admit(State& state, Burst& burst, const Selection& judged, Selection& live,
           uint32_t to_record) noexcept {
  if (!state.ring || state.drop_outcomes == 0 || !state.ring->enabled()) return;
  if (room(state, to_record) >= to_record) [[likely]]
    return;
  for (const uint8_t i : judged) {
    Meta& m = burst.meta[i];
    if ((state.drop_outcomes >> static_cast<uint32_t>(m.outcome) & 1) == 0) continue;
    m.reply_status = lcp::Status::busy;
    burst.decide(i, Verdict::audit_full);
  }
  keep_undecided(burst, live);
}

void append_expired(State& state, const Meta& kept, uint64_t now_us) noexcept {
  if (!state.ring || !state.ring->enabled()) return;
  if (make_room(state, 1) == 0) {
    lose(state, kept, state.sequence++, now_us);
    state.lost.add(1);
    return;
  }
  Record& r = state.ring->at(state.head);
  write(r, kept, state.worker, now_us);
  r.verdict = static_cast<uint8_t>(Verdict::none);
  r.flags |= Record::kUnkept;
  ++state.head;
  ++state.sequence;
  state.recorded.add(1);
  state.ring->publish(state.head);
}

void append(State& state, const Burst& burst, const Selection& packets, uint64_t now_us) noexcept {
  if (!state.ring || !state.ring->enabled() || packets.count == 0) return;
  const uint64_t left = make_room(state, packets.count);
  uint32_t written = 0, lost = 0;
  for (const uint8_t i : packets) {
    const Meta& m = burst.meta[i];
    if (!m.lcp) continue;
    if (written == left) {
      lose(state, m, state.sequence + written + lost, now_us);
      ++lost;
      continue;
    }
    write(state.ring->at(state.head + written), m, state.worker, now_us);
    ++written;
  }
  state.head += written;
  state.sequence += written + lost;
  state.recorded.add(written);
  if (lost > 0) state.lost.add(lost);
  state.ring->publish(state.head);
}

}  // namespace lf::audit
