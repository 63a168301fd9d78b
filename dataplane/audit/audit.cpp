// SPDX-License-Identifier: Apache-2.0
#include "dataplane/audit/audit.hpp"

#include <immintrin.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

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
              offsetof(Meta, severity) == offsetof(Meta, intent) + 1);

// A record ends with eight bytes, made of two parts of Meta.
constexpr size_t kEnd = offsetof(Record, kind), kParsed = offsetof(Meta, kind),
                 kDecided = offsetof(Meta, breaker_epoch);
static_assert(kEnd + 8 == sizeof(Record) && offsetof(Record, worker) == kEnd + 1 &&
              offsetof(Record, intent) == kEnd + 2 && offsetof(Record, severity) == kEnd + 3 &&
              offsetof(Record, clearance_mfa) == kEnd + 4 && offsetof(Record, flags) == kEnd + 5 &&
              offsetof(Record, outcome) == kEnd + 6 && offsetof(Record, verdict) == kEnd + 7);

__m128i load(const void* bytes) noexcept {
  return _mm_loadu_si128(static_cast<const __m128i*>(bytes));
}
void store(void* bytes, __m128i value) noexcept {
  _mm_storeu_si128(static_cast<__m128i*>(bytes), value);
}

// What all records of a burst have in common, and where in the parts of Meta the bytes of a
// record's end are.
struct Common {
  static constexpr char kVerdict = offsetof(Meta, verdict) - kParsed,
                        kAuthenticated = offsetof(Meta, authenticated) - kParsed,
                        kLevels = offsetof(Meta, levels) - kDecided,
                        kDegraded = offsetof(Meta, comms_degraded) - kDecided,
                        kOutcome = offsetof(Meta, outcome) - kDecided;

  Common(uint8_t worker, uint64_t unix_us) noexcept
      : now_us(unix_us),
        start(_mm_setr_epi8(static_cast<char>(RecordKind::decision), static_cast<char>(worker), 0,
                            0, 0, Record::kEvaluated | Record::kOrgKnown, 0, 0, 0, 0, 0, 0, 0, 0,
                            0, 0)) {}

  const uint64_t now_us;
  const __m128i start;
  static_assert(Record::kAuthenticated == 1 && Record::kCommsDegraded == 2);
  const __m128i of_parsed = _mm_setr_epi8(-1, -1, -1, -1, -1, kAuthenticated, -1, kVerdict, -1, -1,
                                          -1, -1, -1, -1, -1, -1);
  const __m128i of_decided = _mm_setr_epi8(-1, -1, -1, -1, kLevels, kDegraded, kOutcome, -1, -1, -1,
                                           -1, -1, -1, -1, -1, -1);
  const __m128i degraded = _mm_setr_epi8(-1, -1, -1, -1, -1, kDegraded, -1, -1, -1, -1, -1, -1, -1,
                                         -1, -1, -1);  // its flag is 2, so it is added twice
};

// What was met in packets, by OR and least value.
struct Met {
  __m128i parsed = _mm_setzero_si128(), decided = _mm_setzero_si128();
  __m128i least = _mm_set1_epi32(-1);  // its last number: of policy versions

  // Whether flags of one of them are other than those that write() knows of.
  bool unusual_flags() const noexcept {
    Meta any;
    std::memcpy(reinterpret_cast<uint8_t*>(&any) + kParsed, &parsed, sizeof parsed);
    std::memcpy(reinterpret_cast<uint8_t*>(&any) + kDecided, &decided, sizeof decided);
    static_assert(kOrgsMax < kNoOrg / 2, "several indices by OR are not kNoOrg");
    return any.origin != Origin::wire || any.replayable || any.org == kNoOrg || any.is_retry ||
           _mm_extract_epi32(least, 3) == 0;
  }
};

// Whoever calls looks at unusual_flags() afterwards.
[[gnu::always_inline]] inline void write(const Common& c, Record& r, const Meta& m,
                                         Met& met) noexcept {
  const auto* of_meta = reinterpret_cast<const uint8_t*>(&m);
  auto* of_record = reinterpret_cast<uint8_t*>(&r);
  const lcp::Header& h = *m.lcp;
  r.time_us = c.now_us;
  // Both ids at once, which stand the other way round in the header.
  const __m256i ids = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(h.command_id));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(r.trace_id), _mm256_permute4x64_epi64(ids, 0x4e));
  // Four words: of those from target_id on the third, the fourth and the first, then the version.
  const __m128i words = _mm_insert_epi32(
      _mm_shuffle_epi32(load(of_meta + offsetof(Meta, target_id)), _MM_SHUFFLE(0, 0, 3, 2)),
      static_cast<int>(m.policy_version), 3);
  store(of_record + offsetof(Record, org_id), words);
  std::memcpy(&r.role_bits, &m.role_bits, kDecisionSize);
  const __m128i parsed = load(of_meta + kParsed), decided = load(of_meta + kDecided);
  uint16_t intent_and_severity;
  std::memcpy(&intent_and_severity, &m.intent, 2);
  __m128i end = _mm_insert_epi16(c.start, intent_and_severity, 1);
  end = _mm_add_epi8(end, _mm_shuffle_epi8(parsed, c.of_parsed));
  end = _mm_add_epi8(end, _mm_shuffle_epi8(decided, c.of_decided));
  end = _mm_add_epi8(end, _mm_shuffle_epi8(decided, c.degraded));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(of_record + kEnd), end);
  met.parsed = _mm_or_si128(met.parsed, parsed);
  met.decided = _mm_or_si128(met.decided, decided);
  met.least = _mm_min_epu32(met.least, words);
}

// `count` records at neighbouring places. `meta_at` gives the metadata of each.
template <typename MetaAt>
[[gnu::always_inline]] inline void write_all(const Common& c, Record* first, uint32_t count,
                                             MetaAt&& meta_at) noexcept {
  Met met;
  for (uint32_t k = 0; k < count; ++k) {
    prefetch_behind(first + k);
    write(c, first[k], meta_at(k), met);
  }
  if (!met.unusual_flags()) [[likely]]
    return;
  for (uint32_t k = 0; k < count; ++k) first[k].flags = all_flags(meta_at(k));
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
  Met met;
  write({state.worker, now_us}, r, kept, met);
  r.verdict = static_cast<uint8_t>(end);
  r.flags = static_cast<uint8_t>(all_flags(kept) & ~Record::kUnkept);
  if (end == Verdict::none) r.flags |= Record::kUnkept;
  ++state.head;
  ++state.sequence;
  state.recorded.add(1);
  state.ring->publish(state.head);
}

void append(State& state, const Burst& burst, const Selection& packets, uint64_t now_us) noexcept {
  if (!state.ring || !state.ring->enabled() || packets.count == 0) return;
  const auto fit = static_cast<uint32_t>(
      std::min<uint64_t>(make_room(state, packets.count), packets.count));
  const Common common(state.worker, now_us);
  const Meta* const meta = metas(burst);
  // In two pieces where they meet the end of the ring.
  for (uint32_t done = 0; done < fit;) {
    const uint64_t place = state.head + done;
    Record* const first = &state.ring->at(place);
    const uint32_t capacity = state.ring->capacity();  // a power of two
    const uint32_t count =
        std::min(fit - done, capacity - (static_cast<uint32_t>(place) & (capacity - 1)));
    const uint8_t* const index = packets.index + done;
    if (is_run(packets)) [[likely]]
      write_all(common, first, count, [near = meta + index[0]](uint32_t k) -> const Meta& {
        return near[k];
      });
    else
      write_all(common, first, count, [=](uint32_t k) -> const Meta& { return meta[index[k]]; });
    done += count;
  }
  for (uint32_t k = fit; k < packets.count; ++k)
    lose(state, meta[packets.index[k]], state.sequence + k, now_us);
  state.head += fit;
  state.sequence += packets.count;
  state.recorded.add(fit);
  if (fit < packets.count) state.lost.add(packets.count - fit);
  state.ring->publish(state.head);
}

}  // namespace lf::audit
