// SPDX-License-Identifier: Apache-2.0
#include "dataplane/authenticate/authenticate.hpp"

#include <rte_prefetch.h>

#include <cstring>

namespace lf::authenticate {
namespace {

// What a packet has to show.
enum class Need : uint8_t { nothing, claim, tag_if_any, tag };

Mode mode_of(const Table& table, const Meta& m) noexcept {
  return m.service < table.modes.size() ? table.modes[m.service] : Mode::required;
}

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
  return m.origin != Origin::wire && (m.flags & lcp::kFlagTagged) &&
         mode_of(table, m) != Mode::off;
}

void prefetch_key(const crypto::CmacKey& key) noexcept {
  const auto* p = reinterpret_cast<const uint8_t*>(&key);
  for (uint32_t line = 0; line < sizeof(key) / kCacheLine; ++line)
    rte_prefetch0(p + line * kCacheLine);
}

// One store.
static_assert(offsetof(Meta, authenticated) == offsetof(Meta, org) + 4 &&
              offsetof(Meta, pad) == offsetof(Meta, org) + 5 && sizeof(Meta::pad) == 3);
void set_org(Meta& m, OrgIndex org, bool authenticated) noexcept {
  const uint64_t words = org | uint64_t{authenticated} << 32;
  std::memcpy(&m.org, &words, sizeof words);
}

// Notes a tag that is to be checked. The organisation is set as it will be when the tag is right.
[[gnu::always_inline]] inline void add_job(const crypto::CmacKey& key, State& state, Meta& m,
                                           const Place& place, uint32_t i, uint32_t jobs) noexcept {
  prefetch_key(key);
  state.batch.set(jobs, &key, m.lcp, m.payload_length);
  state.positions[jobs] = static_cast<uint8_t>(i);
  set_org(m, place.org, true);
}

// Two neighbours in one.
static_assert(offsetof(Meta, origin) == offsetof(Meta, kind) + 1);
constexpr uint16_t kFromWire =
    static_cast<uint16_t>(Kind::command) | static_cast<uint16_t>(Origin::wire) << 8;
uint16_t kind_and_origin(const Meta& m) noexcept {
  uint16_t both;
  std::memcpy(&both, &m.kind, sizeof both);
  return both;
}

// Decides what needs no cryptography; notes the rest as a job. Returns whether it did.
[[gnu::noinline]] bool look_up_any(const Table& table, State& state, Burst& burst, uint32_t i,
                                   uint32_t jobs) noexcept {
  Meta& m = burst.meta[i];
  const Need need = need_of(table, m);
  if (need == Need::nothing) return false;
  const bool tagged = m.flags & lcp::kFlagTagged;
  if (need == Need::tag && !tagged) {
    burst.decide(i, Verdict::auth_missing);
    return false;
  }
  const Place* place = find(table, m.org_id);
  if (!place) {
    burst.decide(i, Verdict::auth_unknown_org);
    return false;
  }
  if (need == Need::claim || !tagged) {
    set_org(m, place->org, trusted(table, m));
    return false;
  }
  const uint32_t key = find_key(*place, m.key_id);
  if (key == kNoKey) {
    burst.decide(i, Verdict::auth_unknown_key);
    return false;
  }
  add_job(table.keys[key], state, m, *place, i, jobs);
  return true;
}

// What most packets are is decided here: a command off the wire whose organisation is at `home`,
// where the map mostly has it. With a tag under the organisation's first key; or for a service
// that asks for none, when `kAnyOff` says that there may be one.
template <bool kAnyOff>
[[gnu::always_inline]] inline bool look_up(const Table& table, const Place* home,
                                           const crypto::CmacKey* keys, State& state, Burst& burst,
                                           uint32_t i, uint32_t jobs, uint32_t& claims) noexcept {
  Meta& m = burst.meta[i];
  if (kind_and_origin(m) != kFromWire) [[unlikely]]
    return look_up_any(table, state, burst, i, jobs);
  const Place* place = home;
  if (place->org_id != m.org_id) [[unlikely]] {
    place = find(table, m.org_id);
    if (place == nullptr) return look_up_any(table, state, burst, i, jobs);
  }
  if (kAnyOff && mode_of(table, m) == Mode::off) {
    if (place->org == kNoOrg) [[unlikely]]  // a free place
      return look_up_any(table, state, burst, i, jobs);
    set_org(m, place->org, false);
    ++claims;
    return false;
  }
  // A free place has no key.
  if ((m.flags & lcp::kFlagTagged) == 0 || place->key_id[0] != m.key_id ||
      place->first_key == kNoKey) [[unlikely]]
    return look_up_any(table, state, burst, i, jobs);
  add_job(keys[place->first_key], state, m, *place, i, jobs);
  return true;
}

// Returns how many tags are to be checked. `claims`: of how many commands the organisation is known
// without.
template <bool kAnyOff>
uint32_t look_up_all(const Table& table, State& state, Burst& burst, const Selection& live,
                     uint32_t& claims) noexcept {
  const uint32_t count = live.count;
  const Place* const places = table.places.data();
  const crypto::CmacKey* const keys = table.keys.data();
  for (uint32_t k = 0; k < count; ++k) {
    state.homes[k] = home(table, burst.meta[live.index[k]].org_id);
    rte_prefetch0(places + state.homes[k]);
  }
  uint32_t jobs = 0;
  for (uint32_t k = 0; k < count; ++k)
    jobs += look_up<kAnyOff>(table, places + state.homes[k], keys, state, burst, live.index[k],
                             jobs, claims);
  return jobs;
}

// Some tag is wrong.
[[gnu::noinline]] void refuse(const State& state, Burst& burst, uint32_t jobs) noexcept {
  for (uint32_t k = 0; k < jobs; ++k) {
    Meta& m = burst.meta[state.positions[k]];
    if (crypto::equal_tags(state.batch.tag[k], m.lcp->tag)) continue;
    m.org = kNoOrg;
    m.authenticated = false;
    burst.decide(state.positions[k], Verdict::auth_bad_tag);
  }
}

}  // namespace

void run(const Table& table, State& state, Burst& burst, Selection& live, Tsc) noexcept {
  uint32_t claims = 0;
  const uint32_t jobs = table.any_off ? look_up_all<true>(table, state, burst, live, claims)
                                      : look_up_all<false>(table, state, burst, live, claims);
  crypto::cmac_lanes(state.batch, jobs);
  const bool right = crypto::all_carried(state.batch, jobs);
  if (!right) refuse(state, burst, jobs);
  if (!right || jobs + claims != live.count) keep_undecided(burst, live);
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
      h.key_id = lcp::be16(place->key_id[0]);
    }
    h.flags |= lcp::kFlagTagged;
    prefetch_key(table.keys[key]);
    state.batch.set(jobs, &table.keys[key], &h, lcp::be16(h.payload_length));
    state.positions[jobs++] = static_cast<uint8_t>(i);
  }

  crypto::cmac_lanes(state.batch, jobs);
  for (uint32_t k = 0; k < jobs; ++k)
    std::memcpy(datagrams[state.positions[k]]->tag, state.batch.tag[k].bytes, lcp::kTagSize);
  return jobs;
}

}  // namespace lf::authenticate
