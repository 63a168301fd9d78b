// SPDX-License-Identifier: Apache-2.0
#include "dataplane/authenticate/authenticate.hpp"

#include <immintrin.h>
#include <rte_prefetch.h>

#include <bit>
#include <cstring>

#include "dataplane/core/metas.hpp"
#include "dataplane/core/stays_in_cache.hpp"
#include "dataplane/crypto/cmac_expand.hpp"

namespace lf::authenticate {
namespace {

// What a packet has to show.
enum class Need : uint8_t { nothing, claim, tag_if_any, tag };

Mode mode_of(const Table& table, const Meta& m) noexcept { return mode_of(table, m.service); }

Need need_of(const Table& table, const Meta& m) noexcept {
  switch (m.kind) {
    case Kind::command:
      if (m.origin != Origin::wire) return Need::claim;
      switch (mode_of(table, m)) {
        case Mode::required:
          return Need::tag;
        case Mode::optional:
          return Need::tag_if_any;
        case Mode::off:
          return Need::claim;
      }
      return Need::tag;
    case Kind::approval:
    case Kind::report:
      return Need::tag;
    case Kind::reply:
    case Kind::probe:
    case Kind::probe_reply:
      return m.flags & lcp::kFlagTagged ? Need::tag : Need::nothing;
    default:
      return Need::nothing;
  }
}

// A command that was held was checked before; what control submits is its own.
bool trusted(const Table& table, const Meta& m) noexcept {
  if (m.origin == Origin::intake) return true;
  return m.origin != Origin::wire && (m.flags & lcp::kFlagTagged) && mode_of(table, m) != Mode::off;
}

void prefetch_key(const crypto::CmacKey& key) noexcept {
  const auto* p = reinterpret_cast<const uint8_t*>(&key);
  for (uint32_t line = 0; line < sizeof(key) / kCacheLine; ++line)
    rte_prefetch0(p + line * kCacheLine);
}

// Asks for a key. Returns where it is, or will be once compute_tags() has expanded it.
const crypto::CmacKey* take_key(const Table& table, State& state, uint32_t key,
                                uint32_t job) noexcept {
  if (has_packed_keys(table)) {
    state.packed[job] = &table.packed_keys[key];
    rte_prefetch0(state.packed[job]);
    return &state.expanded[job];
  }
  prefetch_key(table.keys[key]);
  return &table.keys[key];
}

void compute_tags(const Table& table, State& state, uint32_t jobs) noexcept {
  if (has_packed_keys(table)) crypto::expand_packed(state.packed, jobs, state.expanded);
  crypto::cmac_lanes(state.batch, jobs);
}

// One store.
static_assert(offsetof(Meta, authenticated) == offsetof(Meta, org) + 4 &&
              offsetof(Meta, pad) == offsetof(Meta, org) + 5 && sizeof(Meta::pad) == 3);
void set_org(Meta& m, OrgIndex org, bool authenticated) noexcept {
  const uint64_t words = org | uint64_t{authenticated} << 32;
  std::memcpy(&m.org, &words, sizeof words);
}

// Notes a tag that is to be checked. The organisation is set as it will be when the tag is right.
[[gnu::always_inline]] inline void add_job(const crypto::CmacKey* key, crypto::CmacBatch& batch,
                                           Meta& m, const Place& place, uint32_t jobs) noexcept {
  batch.set(jobs, key, m.lcp, m.payload_length);
  set_org(m, place.org, true);
}

// Two neighbours in one.
static_assert(offsetof(Meta, origin) == offsetof(Meta, kind) + 1);
constexpr uint16_t from_wire(Kind kind) noexcept {
  return static_cast<uint16_t>(static_cast<uint16_t>(kind) |
                               static_cast<uint16_t>(Origin::wire) << 8);
}
constexpr uint16_t kFromWire = from_wire(Kind::command), kReplyFromWire = from_wire(Kind::reply);
uint16_t kind_and_origin(const Meta& m) noexcept {
  uint16_t both;
  std::memcpy(&both, &m.kind, sizeof both);
  return both;
}

// Decides what needs no cryptography; notes the rest as a job. Returns whether it did.
[[gnu::noinline]] bool look_up_any(const Table& table, State& state, Meta& m,
                                   uint32_t jobs) noexcept {
  const Need need = need_of(table, m);
  if (need == Need::nothing) return false;
  const bool tagged = m.flags & lcp::kFlagTagged;
  if (need == Need::tag && !tagged) {
    m.verdict = Verdict::auth_missing;
    return false;
  }
  const Place* place = find(table, m.org_id);
  if (!place) {
    m.verdict = Verdict::auth_unknown_org;
    return false;
  }
  if (need == Need::claim || !tagged) {
    set_org(m, place->org, trusted(table, m));
    return false;
  }
  const uint32_t key = find_key(*place, m.key_id);
  if (key == kNoKey) {
    m.verdict = Verdict::auth_unknown_key;
    return false;
  }
  add_job(take_key(table, state, key, jobs), state.batch, m, *place, jobs);
  return true;
}

// Finds out which tags of a burst are to be checked, a packet at a time. What most packets are is
// decided here: a command or a reply off the wire whose organisation is in the map at its home,
// where the map mostly has it. With a tag under the organisation's first key; or, of commands, for a
// service that asks for none, when `kAnyOff` says that there may be one. Most are for the service of
// the one before.
// kFarKeys: keys have to be asked for, or are packed.
template <bool kAnyOff, bool kFarKeys>
class LookUp {
 public:
  LookUp(const Table& table, State& state, uint32_t jobs) noexcept
      : table_(table),
        state_(state),
        places_(table.places.data()),
        keys_(table.keys.data()),
        multiplier_(table.multiplier),
        shift_(table.shift),
        jobs_(jobs) {}

  [[gnu::always_inline]] void look_up(Meta& m) noexcept {
    const uint32_t what = kind_and_origin(m);
    if (what != kFromWire) [[unlikely]] {
      if (what != kReplyFromWire) return otherwise(m);
      if ((m.flags & lcp::kFlagTagged) == 0) return;  // nothing is asked of it here
    }
    const Place* place = places_ + (m.org_id * multiplier_ >> shift_);
    if (place->org_id != m.org_id) [[unlikely]] {
      place = find(table_, m.org_id);
      if (place == nullptr) return otherwise(m);
    }
    if (kAnyOff && what == kFromWire && is_off(m)) {
      if (place->org == kNoOrg) [[unlikely]]  // a free place
        return otherwise(m);
      return set_org(m, place->org, false);
    }
    // A free place has no key.
    if ((m.flags & lcp::kFlagTagged) == 0 || place->first_key_id != m.key_id ||
        place->first_key == kNoKey) [[unlikely]]
      return otherwise(m);
    const crypto::CmacKey* const key =
        kFarKeys ? take_key(table_, state_, place->first_key, jobs_) : keys_ + place->first_key;
    add_job(key, state_.batch, m, *place, jobs_++);
  }

  uint32_t jobs() const noexcept { return jobs_; }
  bool some_decided() const noexcept { return some_decided_; }  // or may be

 private:
  [[gnu::always_inline]] bool is_off(const Meta& m) noexcept {
    if (m.service != service_) [[unlikely]] {
      service_ = m.service;
      off_ = mode_of(table_, m) == Mode::off;
    }
    return off_;
  }

  [[gnu::always_inline]] void otherwise(Meta& m) noexcept {
    const bool job = look_up_any(table_, state_, m, jobs_);
    jobs_ += job;
    some_decided_ |= !job;
  }

  const Table& table_;
  State& state_;
  const Place* const places_;
  const crypto::CmacKey* const keys_;
  const uint64_t multiplier_;
  const uint32_t shift_;
  uint32_t jobs_;
  uint32_t service_ = 0x10000;  // no ServiceIndex
  bool off_ = false, some_decided_ = false;
};

// set_org() of a proven one, where the padding is empty: two stores, and no word to be put
// together.
[[gnu::always_inline]] inline void set_proven(Meta& m, OrgIndex org) noexcept {
  constexpr uint32_t kAuthenticated = 1;
  m.org = org;
  std::memcpy(&m.authenticated, &kAuthenticated, sizeof kAuthenticated);
}

// The neighbours that are compared together, in Meta and in Place; below them there is what does
// not matter.
constexpr uint32_t kBelowIds = 16;
static_assert(offsetof(Meta, key_id) == offsetof(Meta, payload_length) + kBelowIds / 8 &&
              offsetof(Meta, org_id) == offsetof(Meta, payload_length) + 4 &&
              offsetof(Place, first_key_id) == offsetof(Place, second_key_id) + kBelowIds / 8 &&
              offsetof(Place, org_id) == offsetof(Place, second_key_id) + 4);
[[gnu::always_inline]] inline uint64_t word_at(const void* p) noexcept {
  uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

// Packets that are decided about together, if all are usual.
constexpr uint32_t kTogether = 8;

// kTogether neighbours, as if each were what the first one is, a tagged command or reply off the
// wire, under the first key of an organisation that is at its home in the map: without a branch, as
// all are asked at the end whether they were. False: some was not; then none has been looked up.
[[gnu::always_inline]] inline bool look_up_together(const Table& table, crypto::CmacBatch& batch,
                                                    uint32_t what, uint32_t jobs,
                                                    Meta* m) noexcept {
  // Of Meta from the flags on.
  constexpr size_t kKind = offsetof(Meta, kind) - offsetof(Meta, flags);
  static_assert(kKind == 12 && lcp::kFlagTagged == 1);
  const __m128i usual = _mm_setr_epi32(lcp::kFlagTagged, 0, 0, static_cast<int>(what));
  const __m128i counts = _mm_setr_epi32(lcp::kFlagTagged, 0, 0, 0xffff);
  constexpr uint64_t kOfPlace = ~(sizeof(Place) - 1);
  const auto* const places = reinterpret_cast<const uint8_t*>(table.places.data());
  const crypto::CmacKey* const keys = table.keys.data();
  const uint64_t multiplier = table.multiplier;
  const uint32_t shift = table.shift - std::countr_zero(sizeof(Place));
  __m128i unusual = _mm_setzero_si128();
  uint64_t other_ids = 0;
  uint32_t no_key = 0;  // its upper bit: that of kNoKey
  static_assert(kOrgsMax * kKeysMax < 1u << 31);
#pragma GCC unroll 8
  for (uint32_t k = 0; k < kTogether; ++k) {
    const auto* flags = reinterpret_cast<const __m128i*>(&m[k].flags);
    unusual = _mm_or_si128(unusual, _mm_xor_si128(_mm_loadu_si128(flags), usual));
    // GCC would find out where it is from its number, an instruction more.
    const Place& place =
        *reinterpret_cast<const Place*>(places + (m[k].org_id * multiplier >> shift & kOfPlace));
    other_ids |= word_at(&m[k].payload_length) ^ word_at(&place);
    no_key |= place.first_key;
    asm("" : "+r"(other_ids), "+r"(no_key));  // or GCC keeps all of them to the end, on the stack
    batch.set(jobs + k, keys + place.first_key, m[k].lcp, m[k].payload_length);
    set_proven(m[k], place.org);
  }
  if (_mm_testz_si128(unusual, counts) != 0 && other_ids >> kBelowIds == 0 && no_key >> 31 == 0)
      [[likely]]
    return true;
  for (uint32_t k = 0; k < kTogether; ++k) set_org(m[k], kNoOrg, false);
  return false;
}

// As many as possible of a selection's first ones. Calls nothing, so that all is in registers.
[[gnu::noinline]] uint32_t look_up_first(const Table& table, crypto::CmacBatch& batch, Burst& burst,
                                         const Selection& live) noexcept {
  const uint32_t count = live.count;
  uint32_t done = 0;
  if (count < kTogether || !is_run(live)) return 0;
  Meta* const first = metas(burst) + live.index[0];
  // A probe, say, is not worth the attempt.
  const uint32_t what = kind_and_origin(*first);
  if ((what != kFromWire && what != kReplyFromWire) || (first->flags & lcp::kFlagTagged) == 0)
    return 0;
  while (count - done >= kTogether && look_up_together(table, batch, what, done, first + done))
    done += kTogether;
  return done;
}

struct LookedUp {
  uint32_t jobs;
  bool some_decided;
};

template <bool kAnyOff, bool kFarKeys>
LookedUp look_up_all(const Table& table, State& state, Burst& burst,
                     const Selection& live) noexcept {
  if (table.places.size() > kStaysInCache / sizeof(Place)) {
    const Place* const places = table.places.data();
    for_each(
        burst, live, [&](Meta & m) __attribute__((always_inline)) {
          rte_prefetch0(places + home(table, m.org_id));
        });
  }
  uint32_t done = 0;
  if constexpr (!kAnyOff && !kFarKeys) done = look_up_first(table, state.batch, burst, live);
  if (done == live.count) return {done, false};
  LookUp<kAnyOff, kFarKeys> look_up(table, state, done);
  Meta* const all = metas(burst);
  for (uint32_t k = done; k < live.count; ++k) look_up.look_up(all[live.index[k]]);
  return {look_up.jobs(), look_up.some_decided()};
}

LookedUp look_up_all(const Table& table, State& state, Burst& burst,
                     const Selection& live) noexcept {
  const bool far_keys =
      has_packed_keys(table) || table.keys.size() > kStaysInCache / sizeof(crypto::CmacKey);
  const auto which = table.any_off ? far_keys ? look_up_all<true, true> : look_up_all<true, false>
                     : far_keys ? look_up_all<false, true>
                                   : look_up_all<false, false>;
  return which(table, state, burst, live);
}

// Some tag is wrong. The batch has its datagrams in the order of the burst.
[[gnu::noinline]] void refuse(const State& state, Burst& burst, const Selection& live,
                              uint32_t jobs) noexcept {
  uint32_t k = 0;
  for (const uint8_t i : live) {
    if (k == jobs) return;
    Meta& m = burst.meta[i];
    if (state.batch.datagram[k] != reinterpret_cast<const uint8_t*>(m.lcp)) continue;
    if (crypto::equal_tags(state.batch.tag[k++], m.lcp->tag)) continue;
    m.org = kNoOrg;
    m.authenticated = false;
    burst.decide(i, Verdict::auth_bad_tag);
  }
}

}  // namespace

void run(const Table& table, State& state, Burst& burst, Selection& live, Tsc) noexcept {
  const auto [jobs, some_decided] = look_up_all(table, state, burst, live);
  bool right = true;
  if (jobs != 0) {
    compute_tags(table, state, jobs);
    right = crypto::all_carried(state.batch, jobs);
    if (!right) refuse(state, burst, live, jobs);
  }
  if (some_decided || !right) keep_undecided(burst, live);
}

uint32_t sign(const Table& table, State& state, lcp::Header* const* datagrams,
              uint32_t count) noexcept {
  for (uint32_t i = 0; i < count; ++i)
    rte_prefetch0(&table.places[home(table, lcp::be32(datagrams[i]->org_id))]);

  uint32_t jobs = 0;
  for (uint32_t i = 0; i < count; ++i) {
    lcp::Header& h = *datagrams[i];
    const Place* place = find(table, lcp::be32(h.org_id));
    if (!place || place->first_key == kNoKey) {
      h.flags &= static_cast<uint8_t>(~lcp::kFlagTagged);
      std::memset(h.tag, 0, sizeof(h.tag));
      continue;
    }
    uint32_t key = find_key(*place, lcp::be16(h.key_id));
    if (key == kNoKey) {
      key = place->first_key;
      h.key_id = lcp::be16(place->first_key_id);
    }
    h.flags |= lcp::kFlagTagged;
    state.batch.set(jobs, take_key(table, state, key, jobs), &h, lcp::be16(h.payload_length));
    state.positions[jobs++] = static_cast<uint8_t>(i);
  }

  compute_tags(table, state, jobs);
  for (uint32_t k = 0; k < jobs; ++k)
    std::memcpy(datagrams[state.positions[k]]->tag, state.batch.tag[k].bytes, lcp::kTagSize);
  return jobs;
}

}  // namespace lf::authenticate
