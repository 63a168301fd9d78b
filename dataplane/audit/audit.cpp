// SPDX-License-Identifier: Apache-2.0
#include "dataplane/audit/audit.hpp"

#include <immintrin.h>

#include <algorithm>

#include "dataplane/core/hold_end.hpp"
#include "dataplane/core/metas.hpp"

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

// What few packets have: an origin other than the wire, or an intent that is replayed.
[[gnu::noinline]] uint32_t rare_flags(const Meta& m) noexcept {
  // What replay has to say is only about commands that were sent.
  const bool unkept = m.replayable && m.unkept && m.verdict == Verdict::forwarded;
  return flag(was_held(m.origin), Record::kReleased) |
         flag(m.origin == Origin::intake, Record::kFromIntake) | flag(unkept, Record::kUnkept);
}

uint8_t flags_of(const Meta& m) noexcept {
  // The policy stage gives every command that it saw a version, or the released command's rule.
  static_assert(Record::kAuthenticated == 1 && Record::kCommsDegraded == 2 && Record::kRetry == 4);
  uint32_t flags = uint32_t{m.authenticated} + 2u * m.comms_degraded + 4u * m.is_retry +
                   flag(m.policy_version != 0, Record::kEvaluated) +
                   flag(m.org != kNoOrg, Record::kOrgKnown);
  if (m.origin != Origin::wire || m.replayable) [[unlikely]] {
    flags |= rare_flags(m);
    if ((flags & Record::kReleased) != 0) flags &= ~uint32_t{Record::kEvaluated};
  }
  return static_cast<uint8_t>(flags);
}

// Neighbours that a record has in common with the header and with Meta are copied together.
constexpr size_t kDecisionSize = 16;
static_assert(offsetof(Record, command_id) == offsetof(Record, trace_id) + 16 &&
              offsetof(lcp::Header, trace_id) == offsetof(lcp::Header, command_id) + 16 &&
              offsetof(Record, operator_id) == offsetof(Record, org_id) + 4 &&
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
              offsetof(Record, worker) == offsetof(Record, kind) + 1 &&
              offsetof(Meta, severity) == offsetof(Meta, intent) + 1 &&
              offsetof(Record, severity) == offsetof(Record, intent) + 1);

void write(Record& r, const Meta& m, uint8_t worker, uint64_t now_us) noexcept {
  const lcp::Header& h = *m.lcp;
  r.time_us = now_us;
  // Both ids at once, which stand the other way round in the header.
  const __m256i ids = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(h.command_id));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(r.trace_id), _mm256_permute4x64_epi64(ids, 0x4e));
  std::memcpy(&r.org_id, &m.org_id, 8);
  r.target_id = m.target_id;
  r.policy_version = m.policy_version;
  std::memcpy(&r.role_bits, &m.role_bits, kDecisionSize);
  const auto kind = static_cast<uint16_t>(static_cast<uint32_t>(RecordKind::decision) |
                                          uint32_t{worker} << 8);
  std::memcpy(&r.kind, &kind, 2);
  std::memcpy(&r.intent, &m.intent, 2);
  r.clearance_mfa = static_cast<uint8_t>(m.clearance | m.mfa_level << 4);
  r.flags = flags_of(m);
  r.outcome = static_cast<uint8_t>(m.outcome);
  r.verdict = static_cast<uint8_t>(m.verdict);
}

[[gnu::noinline]] void lose(State& s, const Meta& m, uint64_t sequence, uint64_t now_us) noexcept {
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
  // Known for the whole loop: what it writes could be anything, as far as the compiler sees.
  Record* const records = &state.ring->at(0);
  const uint64_t mask = state.ring->capacity() - 1, head = state.head;
  const uint8_t worker = state.worker;
  const Meta* const meta = metas(burst);
  uint32_t written = 0, lost = 0;
  for (const uint8_t i : packets) {
    const Meta& m = meta[i];
    if (!m.lcp) continue;
    if (written == left) {
      lose(state, m, state.sequence + written + lost, now_us);
      ++lost;
      continue;
    }
    write(records[(head + written) & mask], m, worker, now_us);
    ++written;
  }
  state.head = head + written;
  state.sequence += written + lost;
  state.recorded.add(written);
  if (lost > 0) state.lost.add(lost);
  state.ring->publish(state.head);
}

}  // namespace lf::audit
