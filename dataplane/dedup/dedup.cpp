// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dedup/dedup.hpp"

#include <immintrin.h>

#include <cstddef>
#include <cstring>

#include "dataplane/core/metas.hpp"
#include "dataplane/ledger/hash_lanes.hpp"

namespace lf::dedup {
namespace {

using ledger::Admission;
using ledger::Ledger;
using ledger::Lookup;

bool is_hashed(const State& state, const Meta& m, uint32_t i) noexcept {
  return (state.hashed >> i & 1) != 0 && (state.as_proven >> i & 1) == uint64_t{m.authenticated};
}

// Hashes the commands that have no hash yet, or one of the other space.
void hash_missing(const Ledger& ledger, State& state, const Burst& burst,
                  const Selection& commands) noexcept {
  uint8_t missing[kBurstMax];
  uint32_t count = 0;
  for (const uint8_t i : commands) {
    const Meta& m = burst.meta[i];
    if (is_hashed(state, m, i)) continue;
    state.names[count] = {m.lcp->command_id, ledger::space_of(m.org_id, m.authenticated)};
    missing[count++] = i;
  }
  ledger.hasher().run(state.names, count, state.fresh_hashes);
  for (uint32_t k = 0; k < count; ++k) {
    const uint64_t bit = uint64_t{1} << missing[k];
    state.hashes[missing[k]] = state.fresh_hashes[k];
    state.hashed |= bit;
    state.as_proven &= ~bit;
    if (burst.meta[missing[k]].authenticated) state.as_proven |= bit;
    ledger.prefetch(state.fresh_hashes[k]);
  }
}

// What the ledger is asked. False: some have no hash.
bool ask(State& state, const Burst& burst, const Selection& commands) noexcept {
  const Meta* meta = metas(burst);
  uint64_t asked = 0, proven = 0;
  for (uint32_t k = 0; k < commands.count; ++k) {
    const uint8_t i = commands.index[k];
    const Meta& m = meta[i];
    asked |= uint64_t{1} << i;
    proven |= uint64_t{m.authenticated} << i;
    state.commands[k] = {state.hashes[i], Ledger::group_of(m.org, m.authenticated), m.attempt};
  }
  return (asked & (~state.hashed | (proven ^ state.as_proven))) == 0;
}

// Whether the command's earlier attempt is among those of the burst that were let pass.
bool is_ahead(const State& state, uint32_t k) noexcept {
  for (uint32_t earlier = 0; earlier < k; ++earlier) {
    const Admission& a = state.admissions[earlier];
    if (a.result == Lookup::fresh && a.ref == state.admissions[k].ref) return true;
  }
  return false;
}

// Whether the command stays in the selection.
bool take(State& state, Burst& burst, uint32_t i, uint32_t k) noexcept {
  Meta& m = burst.meta[i];
  const Admission& a = state.admissions[k];
  m.ledger_ref = 0;
  m.is_retry = false;
  switch (a.result) {
    case Lookup::fresh:
      m.ledger_ref = a.ref;
      return true;
    case Lookup::retry:
      m.ledger_ref = a.ref;
      m.is_retry = true;
      m.node = a.node;
      return true;
    case Lookup::unsent:
      if (is_ahead(state, k)) {
        state.deferred.add(i);
        return false;
      }
      [[fallthrough]];
    case Lookup::duplicate_in_flight:
      m.reply_status = lcp::Status::duplicate;
      burst.decide(i, Verdict::duplicate_in_flight);
      return false;
    case Lookup::duplicate_answered:
      m.reply_status = a.status;
      burst.decide(i, Verdict::duplicate_answered);
      return false;
    case Lookup::full:
      break;
  }
  m.reply_status = lcp::Status::busy;
  burst.decide(i, Verdict::ledger_full);
  return false;
}

constexpr uint32_t kLanes = ledger::Hasher::kLanes;

// The space of a command as if its tag were right: the id of the organisation, and a bit above it
// where there is no tag.
[[gnu::always_inline]] inline __m128i space_as_proven(const Meta& m) noexcept {
  static_assert(lcp::kFlagTagged == 1 && offsetof(Meta, flags) == offsetof(Meta, org_id) + 8 &&
                sizeof(Meta) >= offsetof(Meta, org_id) + 16);
  static_assert(ledger::space_of(0, false) == uint64_t{1} << 32 && ledger::space_of(7, true) == 7);
  const auto* from = reinterpret_cast<const uint8_t*>(&m) + offsetof(Meta, org_id);
  const __m128i order = _mm_setr_epi8(0, 1, 2, 3, 8, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const __m128i org_and_flags =
      _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)), order);
  const __m128i turned = _mm_xor_si128(org_and_flags, _mm_setr_epi32(0, lcp::kFlagTagged, 0, 0));
  return _mm_and_si128(turned, _mm_setr_epi32(-1, lcp::kFlagTagged, 0, 0));
}

bool has_tag(const Meta& m) noexcept {
  return (m.flags & lcp::kFlagTagged) != 0;
}

// Which of the commands have a tag, a bit each from bit 0 on.
uint64_t tagged_ones(const Meta* first, uint32_t count) noexcept {
  uint64_t bits = 0;
  for (uint32_t k = 0; k < count; ++k) bits |= uint64_t{has_tag(first[k])} << k;
  return bits;
}

// kLanes commands, one behind the other in the burst. Returns which of them have a tag.
uint64_t expect_neighbours(const Ledger& ledger, const Meta* first, ledger::Hash* hashes) noexcept {
  ledger.hasher().lanes([first](uint32_t k) { return first[k].lcp->command_id; },
                        [first](uint32_t k) { return space_as_proven(first[k]); }, hashes);
  uint8_t all = first->flags, any = first->flags;
#pragma GCC unroll 8
  for (uint32_t k = 0; k < kLanes; ++k) {
    ledger.prefetch(hashes[k]);
    all &= first[k].flags;
    any |= first[k].flags;
  }
  if (((all ^ any) & lcp::kFlagTagged) != 0) [[unlikely]]
    return tagged_ones(first, kLanes);
  return (all & lcp::kFlagTagged) != 0 ? (uint64_t{1} << kLanes) - 1 : 0;
}

// Any commands, at least one.
void expect_some(const Ledger& ledger, State& state, const Burst& burst, const uint8_t* positions,
                 uint32_t count) noexcept {
  for (uint32_t k = 0; k < count; ++k) {
    const Meta& m = burst.meta[positions[k]];
    const uint64_t tagged = m.flags & lcp::kFlagTagged;
    state.names[k] = {m.lcp->command_id, ledger::space_of(m.org_id, tagged)};
    state.hashed |= uint64_t{1} << positions[k];
    state.as_proven |= tagged << positions[k];
  }
  ledger.hasher().run(state.names, count, state.fresh_hashes);
  for (uint32_t k = 0; k < count; ++k) {
    state.hashes[positions[k]] = state.fresh_hashes[k];
    ledger.prefetch(state.fresh_hashes[k]);
  }
}

}  // namespace

void expect(const Ledger& ledger, State& state, const Burst& burst, const Selection& commands,
            uint32_t first) noexcept {
  if (first == 0) state.hashed = state.as_proven = 0;
  const uint8_t* positions = commands.index + first;
  uint32_t count = commands.count - first;
  // Mostly there is nothing between them.
  for (; count >= kLanes; positions += kLanes, count -= kLanes) {
    const uint32_t at = positions[0];
    if (positions[kLanes - 1] - at != kLanes - 1) break;
    state.as_proven |= expect_neighbours(ledger, metas(burst) + at, &state.hashes[at]) << at;
    state.hashed |= ((uint64_t{1} << kLanes) - 1) << at;
  }
  if (count != 0) expect_some(ledger, state, burst, positions, count);
}

void run(Ledger& ledger, State& state, Burst& burst, Selection& commands, Tsc now) noexcept {
  const uint32_t count = commands.count;
  if (!ask(state, burst, commands)) [[unlikely]] {
    hash_missing(ledger, state, burst, commands);
    ask(state, burst, commands);
  }
  state.hashed = 0;
  state.deferred.count = 0;
  if (ledger.admit(state.commands, count, now, state.counts, state.admissions) == count)
      [[likely]] {
    Meta* meta = metas(burst);
    for (uint32_t k = 0; k < count; ++k) {
      Meta& m = meta[commands.index[k]];
      m.ledger_ref = state.admissions[k].ref;
      m.is_retry = false;
    }
    return;
  }
  uint16_t kept = 0;
  uint64_t duplicates = 0, retries = 0;
  for (uint32_t k = 0; k < count; ++k) {
    const uint8_t i = commands.index[k];
    const bool stays = take(state, burst, i, k);
    commands.index[kept] = i;
    kept += stays;
    retries += burst.meta[i].is_retry;
    duplicates += burst.meta[i].verdict == Verdict::duplicate_in_flight ||
                  burst.meta[i].verdict == Verdict::duplicate_answered;
  }
  commands.count = kept;
  if ((duplicates | retries) == 0) return;
  state.counts.duplicates.add(duplicates);
  state.counts.retries.add(retries);
}

void give_back(Ledger& ledger, State& state, const Meta& meta) noexcept {
  if (meta.ledger_ref == 0) return;
  if (meta.is_retry)
    ledger.release_retry(meta.ledger_ref, meta.attempt);
  else
    ledger.release(meta.ledger_ref, state.counts);
}

uint64_t duplicates(const Ledger& ledger, State& state, const Burst& burst,
                    const Selection& commands, Tsc now) noexcept {
  hash_missing(ledger, state, burst, commands);
  ledger::Hash* in_order = state.fresh_hashes;
  for (uint32_t k = 0; k < commands.count; ++k) in_order[k] = state.hashes[commands.index[k]];
  ledger.find(in_order, commands.count, now, state.found);
  uint64_t bits = 0;
  for (uint32_t k = 0; k < commands.count; ++k) {
    const uint8_t i = commands.index[k];
    const ledger::Found& f = state.found[k];
    const bool passes = f.has_flight() && burst.meta[i].attempt > f.word.attempt();
    bits |= uint64_t{f.ref != 0 && !passes} << i;
  }
  return bits;
}

}  // namespace lf::dedup
