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

// Notes a tag that is to be checked.
void add_job(const Table& table, State& state, const Meta& m, const Place& place, uint32_t key,
             uint32_t i, uint32_t jobs) noexcept {
  prefetch_key(table.keys[key]);
  state.batch.set(jobs, &table.keys[key], m.lcp, m.payload_length);
  state.orgs[jobs] = place.org;
  state.positions[jobs] = static_cast<uint8_t>(i);
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
    m.org = place->org;
    m.authenticated = trusted(table, m);
    return false;
  }
  const uint32_t key = find_key(*place, m.key_id);
  if (key == kNoKey) {
    burst.decide(i, Verdict::auth_unknown_key);
    return false;
  }
  add_job(table, state, m, *place, key, i, jobs);
  return true;
}

// What most packets are is decided here: a tagged command off the wire, under a key that is live.
bool look_up(const Table& table, State& state, Burst& burst, uint32_t i, uint32_t jobs) noexcept {
  const Meta& m = burst.meta[i];
  if (m.kind == Kind::command && m.origin == Origin::wire && (m.flags & lcp::kFlagTagged) != 0 &&
      mode_of(table, m) != Mode::off) [[likely]] {
    const Place* place = find(table, m.org_id);
    const uint32_t key = place != nullptr ? find_key(*place, m.key_id) : kNoKey;
    if (key != kNoKey) [[likely]] {
      add_job(table, state, m, *place, key, i, jobs);
      return true;
    }
  }
  return look_up_any(table, state, burst, i, jobs);
}

}  // namespace

void run(const Table& table, State& state, Burst& burst, Selection& live, Tsc) noexcept {
  for (const uint8_t i : live) rte_prefetch0(&table.places[home(table, burst.meta[i].org_id)]);

  uint32_t jobs = 0;
  for (const uint8_t i : live) jobs += look_up(table, state, burst, i, jobs);

  crypto::cmac_lanes(state.batch, jobs);
  uint32_t right = 0;
  for (uint32_t k = 0; k < jobs; ++k) {
    const uint32_t i = state.positions[k];
    Meta& m = burst.meta[i];
    if (crypto::equal_tags(state.batch.tag[k], m.lcp->tag)) [[likely]] {
      m.org = state.orgs[k];
      m.authenticated = true;
      ++right;
    } else {
      burst.decide(i, Verdict::auth_bad_tag);
    }
  }
  if (right != live.count) keep_undecided(burst, live);
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
