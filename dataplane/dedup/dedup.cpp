// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dedup/dedup.hpp"

#include <immintrin.h>

#include <cstddef>
#include <cstring>

#include "dataplane/core/metas.hpp"
#include "dataplane/ledger/enter.hpp"
#include "dataplane/ledger/hash_lanes.hpp"

namespace lf::dedup {
namespace {

using ledger::Admission;
using ledger::Ledger;
using ledger::Lookup;

using Made = State::Made;

Made made_for(const Meta& m) noexcept {
  return static_cast<Made>(m.authenticated);
}

// Hashes the commands from the position `from` on that have no hash yet, or one of the other space.
[[gnu::noinline]] void hash_missing(const Ledger& ledger, State& state, const Burst& burst,
                                    const Selection& commands, uint32_t from) noexcept {
  uint8_t missing[kBurstMax];
  uint32_t count = 0;
  for (uint32_t k = from; k < commands.count; ++k) {
    const uint8_t i = commands.index[k];
    const Meta& m = burst.meta[i];
    if (state.made[i] == made_for(m)) continue;
    state.names[count] = {m.lcp->command_id, ledger::space_of(m.org_id, m.authenticated)};
    state.made[i] = made_for(m);
    missing[count++] = i;
  }
  ledger.hasher().run(state.names, count, state.fresh_hashes);
  for (uint32_t k = 0; k < count; ++k) {
    state.hashes[missing[k]] = state.fresh_hashes[k];
    ledger.prefetch(state.fresh_hashes[k]);
  }
}

// The group's bits in a ledger entry. As Ledger::group_of() has it: one more than the last twelve
// bits of the organisation, but the last group stays where it is.
constexpr uint64_t group_bits(OrgIndex org, bool proven) noexcept {
  constexpr uint32_t kOne = uint32_t{1} << 20;
  uint32_t bits = (uint32_t{org} << 20) + kOne;
  if (bits == 0) [[unlikely]]
    bits -= kOne;
  return bits & -uint32_t{proven};
}
constexpr bool is_group_bits(OrgIndex org) noexcept {
  return group_bits(org, true) == uint64_t{Ledger::group_of(org, true)} << 20 &&
         group_bits(org, false) == uint64_t{Ledger::group_of(org, false)} << 20;
}
static_assert(is_group_bits(0) && is_group_bits(7) && is_group_bits(4094) && is_group_bits(4095) &&
              is_group_bits(4096) && is_group_bits(8191) && is_group_bits(kNoOrg));

// What the ledger is asked.
[[gnu::always_inline]] inline ledger::Command command_of(const State& state, const Meta& m,
                                                         size_t i) noexcept {
  ledger::Command command;
  command.hash = state.hashes[i];
  command.entry = ledger::hash_in_hi(command.hash) | group_bits(m.org, m.authenticated) |
                  uint64_t{m.attempt} << 4;
  return command;
}

// Enters fresh commands from the front, as long as there is little to it; each is made where it is
// entered. Returns how many of the selection, in which there is nothing between them.
template <bool kAlone>
[[gnu::noinline]] uint32_t enter_front(Ledger& ledger, State& state, Burst& burst,
                                       const Selection& commands, Tsc now) noexcept {
  const size_t first = commands.index[0];
  Meta* const meta = metas(burst) + first;
  return ledger.admit_front<kAlone>(
      commands.count, now, state.counts,
      [&state, meta, first](size_t k, ledger::Command& command) {
        if (state.made[first + k] != made_for(meta[k])) [[unlikely]]
          return false;
        command = command_of(state, meta[k], first + k);
        return true;
      },
      [meta](size_t k, ledger::Ref ref) {
        meta[k].ledger_ref = ref;
        meta[k].is_retry = false;
      });
}

// Whether the command's earlier attempt is among those of the burst that were let pass.
bool is_ahead(const State& state, const Burst& burst, const Selection& commands, uint32_t front,
              uint32_t k) noexcept {
  const ledger::Ref ref = state.admissions[k].ref;
  for (uint32_t earlier = 0; earlier < front; ++earlier)
    if (burst.meta[commands.index[earlier]].ledger_ref == ref) return true;
  for (uint32_t earlier = front; earlier < k; ++earlier) {
    const Admission& a = state.admissions[earlier];
    if (a.result == Lookup::fresh && a.ref == ref) return true;
  }
  return false;
}

// What was found about a command that was not entered in front. Whether it stays in the selection.
bool take(State& state, Burst& burst, const Selection& commands, uint32_t front,
          uint32_t k) noexcept {
  const uint8_t i = commands.index[k];
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
      if (is_ahead(state, burst, commands, front, k)) {
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

// Those of a selection that were not entered in front.
[[gnu::noinline]] void run_rest(Ledger& ledger, State& state, Burst& burst, Selection& commands,
                                uint32_t front, Tsc now) noexcept {
  hash_missing(ledger, state, burst, commands, front);
  for (uint32_t k = front; k < commands.count; ++k) {
    const uint8_t i = commands.index[k];
    state.commands[k] = command_of(state, burst.meta[i], i);
  }
  if (ledger.admit(state.commands + front, commands.count - front, now, state.counts,
                   state.admissions + front) == commands.count - front) [[likely]] {
    Meta* const meta = metas(burst);
    for (uint32_t k = front; k < commands.count; ++k) {
      Meta& m = meta[commands.index[k]];
      m.ledger_ref = state.admissions[k].ref;
      m.is_retry = false;
    }
    return;
  }
  auto kept = static_cast<uint16_t>(front);
  uint64_t duplicates = 0, retries = 0;
  for (uint32_t k = front; k < commands.count; ++k) {
    const uint8_t i = commands.index[k];
    const bool stays = take(state, burst, commands, front, k);
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

constexpr uint32_t kLanes = ledger::Hasher::kLanes;

// The space of a command as if its tag were right: the id of the organisation, and a bit above it
// where there is no tag. From these words of its metadata, or of two commands' in one register.
static_assert(lcp::kFlagTagged == 1 && offsetof(Meta, flags) == offsetof(Meta, org_id) + 8 &&
              sizeof(Meta) >= offsetof(Meta, org_id) + 16);
static_assert(ledger::space_of(0, false) == uint64_t{1} << 32 && ledger::space_of(7, true) == 7);
[[gnu::always_inline]] inline __m128i words_of_space(const Meta& m) noexcept {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(&m.org_id));
}
[[gnu::always_inline]] inline __m256i space_as_proven(__m256i words) noexcept {
  const __m256i order = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, 1, 2, 3, 8, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
  const __m256i turned =
      _mm256_xor_si256(_mm256_shuffle_epi8(words, order),
                       _mm256_setr_epi32(0, lcp::kFlagTagged, 0, 0, 0, lcp::kFlagTagged, 0, 0));
  return _mm256_and_si256(
      turned, _mm256_setr_epi32(-1, lcp::kFlagTagged, 0, 0, -1, lcp::kFlagTagged, 0, 0));
}
[[gnu::always_inline]] inline __m128i space_as_proven(const Meta& m) noexcept {
  return _mm256_castsi256_si128(space_as_proven(_mm256_castsi128_si256(words_of_space(m))));
}
[[gnu::always_inline]] inline __m256i spaces_as_proven(const Meta* two) noexcept {
  return space_as_proven(_mm256_inserti128_si256(_mm256_castsi128_si256(words_of_space(two[0])),
                                                 words_of_space(two[1]), 1));
}

// As if the tag were right.
Made guess_of(const Meta& m) noexcept {
  static_assert(lcp::kFlagTagged == 1 && static_cast<int>(Made::as_proven) == 1);
  return static_cast<Made>(m.flags & lcp::kFlagTagged);
}

// Whether kLanes commands are all tagged or not, as the first one.
[[gnu::always_inline]] inline bool guessed_alike(const Meta* first) noexcept {
  uint8_t all = first[0].flags, some = first[0].flags;
  if (all & lcp::kFlagTagged) {
#pragma GCC unroll 8
    for (uint32_t k = 1; k < kLanes; ++k) all &= first[k].flags;
    return (all & lcp::kFlagTagged) != 0;
  }
#pragma GCC unroll 8
  for (uint32_t k = 1; k < kLanes; ++k) some |= first[k].flags;
  return (some & lcp::kFlagTagged) == 0;
}

// kLanes commands, one behind the other in the burst. Their hashes are there.
[[gnu::always_inline]] inline void note_hashed(const Ledger& ledger, State& state,
                                               const Meta* first, uint32_t at) noexcept {
  const ledger::Hash* const hashes = &state.hashes[at];
  Made* const made = &state.made[at];
#pragma GCC unroll 8
  for (uint32_t k = 0; k < kLanes; ++k) ledger.prefetch(hashes[k]);
  if (guessed_alike(first)) [[likely]] {
    static_assert(sizeof(Made) == 1 && kLanes == sizeof(uint64_t));
    const uint64_t eight = 0x0101'0101'0101'0101 * static_cast<uint64_t>(guess_of(first[0]));
    std::memcpy(made, &eight, sizeof eight);
    return;
  }
  for (uint32_t k = 0; k < kLanes; ++k) made[k] = guess_of(first[k]);
}

// Two of them in each register; a function's own, as it may then use instructions that not all
// CPUs have.
[[gnu::noinline]] LF_WIDE_HASH void expect_neighbours_wide(const Ledger& ledger, State& state,
                                                           const Meta* first,
                                                           uint32_t at) noexcept {
  ledger.hasher().wide_lanes([first](uint32_t k) { return first[k].lcp->command_id; },
                             [first](uint32_t k) { return spaces_as_proven(first + k); },
                             &state.hashes[at]);
  note_hashed(ledger, state, first, at);
}

void expect_neighbours(const Ledger& ledger, State& state, const Meta* first,
                       uint32_t at) noexcept {
  if (ledger.hasher().is_wide()) return expect_neighbours_wide(ledger, state, first, at);
  ledger.hasher().lanes([first](uint32_t k) { return first[k].lcp->command_id; },
                        [first](uint32_t k) { return space_as_proven(first[k]); },
                        &state.hashes[at]);
  note_hashed(ledger, state, first, at);
}

// Any commands, at least one.
[[gnu::noinline]] void expect_some(const Ledger& ledger, State& state, const Burst& burst,
                                   const uint8_t* positions, uint32_t count) noexcept {
  for (uint32_t k = 0; k < count; ++k) {
    const Meta& m = burst.meta[positions[k]];
    const Made guess = guess_of(m);
    state.names[k] = {m.lcp->command_id, ledger::space_of(m.org_id, guess == Made::as_proven)};
    state.made[positions[k]] = guess;
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
  if (first == 0) state.forget_hashes();
  const uint8_t* positions = commands.index + first;
  uint32_t count = commands.count - first;
  // Mostly there is nothing between them.
  for (; count >= kLanes; positions += kLanes, count -= kLanes) {
    const uint32_t at = positions[0];
    if (positions[kLanes - 1] - at != kLanes - 1) break;
    expect_neighbours(ledger, state, metas(burst) + at, at);
  }
  if (count != 0) expect_some(ledger, state, burst, positions, count);
}

void run(Ledger& ledger, State& state, Burst& burst, Selection& commands, Tsc now) noexcept {
  const uint32_t count = commands.count;
  state.deferred.count = 0;
  if (count == 0) return;
  uint32_t front = 0;
  if (is_run(commands)) {
    front = ledger.is_alone() ? enter_front<true>(ledger, state, burst, commands, now)
                              : enter_front<false>(ledger, state, burst, commands, now);
  }
  if (front != count) run_rest(ledger, state, burst, commands, front, now);
  state.forget_hashes();
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
  hash_missing(ledger, state, burst, commands, 0);
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
