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

uint32_t flag(bool set, uint32_t which) noexcept {
  return set ? which : 0;
}

uint8_t flags_of(const Meta& m) noexcept {
  // The policy stage gives every command that it saw a version, or the released command's rule.
  const bool released = was_held(m.origin);
  const bool evaluated = m.policy_version != 0 && !released;
  // What replay has to say is only about commands that were sent.
  const bool unkept = m.replayable && m.unkept && m.verdict == Verdict::forwarded;
  return static_cast<uint8_t>(
      flag(m.authenticated, Record::kAuthenticated) |
      flag(m.comms_degraded, Record::kCommsDegraded) | flag(m.is_retry, Record::kRetry) |
      flag(released, Record::kReleased) | flag(m.origin == Origin::intake, Record::kFromIntake) |
      flag(evaluated, Record::kEvaluated) | flag(m.org != kNoOrg, Record::kOrgKnown) |
      flag(unkept, Record::kUnkept));
}

// Neighbours that a record has in common with the header and with Meta are copied together.
constexpr size_t kDecisionSize = 16;
static_assert(offsetof(Record, operator_id) == offsetof(Record, org_id) + 4 &&
              offsetof(Record, node) == offsetof(Record, role_bits) + 14 &&
              offsetof(Meta, operator_id) == offsetof(Meta, org_id) + 4 &&
              offsetof(Meta, pattern_bits) == offsetof(Meta, role_bits) + 4 &&
              offsetof(Meta, rule) == offsetof(Meta, role_bits) + 8 &&
              offsetof(Record, rule) == offsetof(Record, role_bits) + 8 &&
              offsetof(Meta, risk_centi) == offsetof(Meta, role_bits) + 10 &&
              offsetof(Record, risk_centi) == offsetof(Record, role_bits) + 10 &&
              offsetof(Meta, target_group) == offsetof(Meta, role_bits) + 12 &&
              offsetof(Record, group) == offsetof(Record, role_bits) + 12 &&
              offsetof(Meta, node) == offsetof(Meta, role_bits) + 14 &&
              offsetof(Record, verdict) == offsetof(Record, kind) + 7);

void write(Record& r, const Meta& m, uint8_t worker, uint64_t now_us) noexcept {
  const lcp::Header& h = *m.lcp;
  r.time_us = now_us;
  std::memcpy(r.trace_id, h.trace_id, 16);
  std::memcpy(r.command_id, h.command_id, 16);
  std::memcpy(&r.org_id, &m.org_id, 8);
  r.target_id = m.target_id;
  r.policy_version = m.policy_version;
  std::memcpy(&r.role_bits, &m.role_bits, kDecisionSize);
  const uint64_t rest = uint64_t{static_cast<uint8_t>(RecordKind::decision)} |
                        uint64_t{worker} << 8 | uint64_t{m.intent} << 16 |
                        uint64_t{m.severity} << 24 |
                        uint64_t{static_cast<uint8_t>(m.clearance | m.mfa_level << 4)} << 32 |
                        uint64_t{flags_of(m)} << 40 | static_cast<uint64_t>(m.outcome) << 48 |
                        static_cast<uint64_t>(m.verdict) << 56;
  std::memcpy(&r.kind, &rest, sizeof rest);
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

void append_end(State& state, const Meta& kept, Verdict end, uint64_t now_us) noexcept {
  if (!state.ring || !state.ring->enabled()) return;
  if (make_room(state, 1) == 0) {
    lose(state, kept, state.sequence++, now_us);
    state.lost.add(1);
    return;
  }
  Record& r = state.ring->at(state.head);
  write(r, kept, state.worker, now_us);
  r.verdict = static_cast<uint8_t>(end);
  r.flags &= static_cast<uint8_t>(~Record::kUnkept);
  if (end == Verdict::none) r.flags |= Record::kUnkept;
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
