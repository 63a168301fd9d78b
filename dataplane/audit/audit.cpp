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

[[gnu::noinline]] uint8_t all_flags(const Meta& m) noexcept {
  // The policy stage gives every command that it saw a version, or the released command's rule.
  uint32_t flags = flag(m.authenticated, Record::kAuthenticated) |
                   flag(m.comms_degraded, Record::kCommsDegraded) |
                   flag(m.is_retry, Record::kRetry) |
                   flag(m.policy_version != 0, Record::kEvaluated) |
                   flag(m.org != kNoOrg, Record::kOrgKnown) | rare_flags(m);
  if ((flags & Record::kReleased) != 0) flags &= ~uint32_t{Record::kEvaluated};
  return static_cast<uint8_t>(flags);
}

// Mostly two are set and the rare ones are not.
[[gnu::always_inline]] inline uint8_t flags_of(const Meta& m) noexcept {
  if (m.policy_version == 0 || m.org == kNoOrg || m.origin != Origin::wire || m.replayable)
      [[unlikely]]
    return all_flags(m);
  static_assert(Record::kAuthenticated == 1 && Record::kCommsDegraded == 2 && Record::kRetry == 4);
  static_assert(offsetof(Meta, is_retry) == offsetof(Meta, comms_degraded) + 1);
  uint16_t both;
  std::memcpy(&both, &m.comms_degraded, sizeof both);
  return static_cast<uint8_t>(Record::kEvaluated + Record::kOrgKnown + uint32_t{m.authenticated} +
                              2 * _pext_u32(both, 0x101));
}

// The ring is larger than a worker's own caches, and its reader had the lines last. Each record ends
// in a line that the one before did not reach, and may begin in one. By its name, as GCC asks to
// write only where all processors of the target know it; the others take it for nothing.
[[gnu::always_inline]] inline void prefetch_behind(const Record* r) noexcept {
  constexpr size_t kAhead = 16;  // records
  const auto* first = reinterpret_cast<const uint8_t*>(r) + kAhead * sizeof(Record);
  asm volatile("prefetchw %0" : : "m"(*first));
  asm volatile("prefetchw %0" : : "m"(first[sizeof(Record) - 1]));
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
              offsetof(Meta, target_id) % sizeof(__m128i) == 0 &&
              offsetof(Meta, org_id) == offsetof(Meta, target_id) + 8 &&
              offsetof(Record, target_id) == offsetof(Record, org_id) + 8 &&
              offsetof(Record, policy_version) == offsetof(Record, org_id) + 12 &&
              offsetof(Record, worker) == offsetof(Record, kind) + 1 &&
              offsetof(Meta, severity) == offsetof(Meta, intent) + 1 &&
              offsetof(Record, severity) == offsetof(Record, intent) + 1);

// `kind`: with the worker behind it, as they lie in a record.
[[gnu::always_inline]] inline void write(Record& r, const Meta& m, uint16_t kind,
                                         uint64_t now_us) noexcept {
  const lcp::Header& h = *m.lcp;
  r.time_us = now_us;
  // Both ids at once, which stand the other way round in the header.
  const __m256i ids = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(h.command_id));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(r.trace_id), _mm256_permute4x64_epi64(ids, 0x4e));
  // Four words: of those from target_id on the third, the fourth and the first, then the version.
  const __m128i words = _mm_load_si128(reinterpret_cast<const __m128i*>(
      reinterpret_cast<const uint8_t*>(&m) + offsetof(Meta, target_id)));
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(reinterpret_cast<uint8_t*>(&r) + offsetof(Record, org_id)),
      _mm_insert_epi32(_mm_shuffle_epi32(words, _MM_SHUFFLE(0, 0, 3, 2)),
                       static_cast<int>(m.policy_version), 3));
  std::memcpy(&r.role_bits, &m.role_bits, kDecisionSize);
  std::memcpy(&r.kind, &kind, 2);
  std::memcpy(&r.intent, &m.intent, 2);
  r.clearance_mfa = m.levels;
  r.flags = flags_of(m);
  r.outcome = static_cast<uint8_t>(m.outcome);
  r.verdict = static_cast<uint8_t>(m.verdict);
}

uint16_t decision_of(uint8_t worker) noexcept {
  return static_cast<uint16_t>(static_cast<uint32_t>(RecordKind::decision) | uint32_t{worker} << 8);
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
  write(r, kept, decision_of(state.worker), now_us);
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
  Record* const first = &state.ring->at(0);
  Record* const last = first + (state.ring->capacity() - 1);
  Record* next = &state.ring->at(state.head);
  const uint16_t kind = decision_of(state.worker);
  const Meta* const meta = metas(burst);
  uint64_t written = 0, lost = 0;
  for (const uint8_t i : packets) {
    const Meta& m = meta[i];
    if (!m.lcp) continue;
    if (written == left) [[unlikely]] {
      lose(state, m, state.sequence + written + lost, now_us);
      ++lost;
      continue;
    }
    prefetch_behind(next);
    write(*next, m, kind, now_us);
    next = next == last ? first : next + 1;
    ++written;
  }
  state.head += written;
  state.sequence += written + lost;
  state.recorded.add(written);
  if (lost > 0) state.lost.add(lost);
  state.ring->publish(state.head);
}

}  // namespace lf::audit
