// SPDX-License-Identifier: Apache-2.0
#include "dataplane/quota/quota.hpp"

#include <algorithm>

#include "dataplane/core/mbuf_note.hpp"
#include "dataplane/core/metas.hpp"
#include "dataplane/quota/decider.hpp"
#include "dataplane/quota/left.hpp"

namespace lf::quota {
namespace {

uint32_t place_of(uint32_t x) noexcept {
  static_assert(kPlaces == 512);
  return (x * 0x9e3779b1u) >> 23;
}

// Another table may understand the same limit otherwise.
void know(const Table& t, Scratch& s) noexcept {
  const Tiers tiers = tiers_of(t);
  if (s.tiers == tiers) [[likely]]
    return;
  s.tiers = tiers;
  std::fill(std::begin(s.known), std::end(s.known), Known{});
}

const Known& known(const Table& t, Scratch& s, Limit limit) noexcept {
  static_assert(kKnown == 16);
  Known& known = s.known[(limit * 0x9e3779b1u) >> 28];
  if (known.limit != limit) [[unlikely]]
    known = {limit, bounds_of(t, limit)};
  return known;
}

void start_group(const Table& t, Scratch& s, Group& g, Key key, Limit limit) noexcept {
  static_cast<Known&>(g) = known(t, s, limit);
  g.key = key;
  g.want = 0;
}

// A place in the hash holds the round in which it was taken and the number of what took it: what
// an earlier burst left is of another round, so nothing has to be cleared.
OrgGroup& org_group(const Table& t, Scratch& s, OrgIndex org) noexcept {
  const Key key = org_key(org);
  uint32_t p = place_of(org);
  for (; s.places[p] >> 8 == s.round; p = (p + 1) % kPlaces)
    if (s.orgs[s.places[p] & 0xff].key == key) return s.orgs[s.places[p] & 0xff];
  const uint32_t o = s.orgs_used++;
  s.places[p] = s.round << 8 | o;
  start_group(t, s, s.orgs[o], key, t.org_limits[org]);
  std::fill(std::begin(s.orgs[o].lane_of), std::end(s.orgs[o].lane_of), kNoLane);
  return s.orgs[o];
}

uint8_t start_lane(const Table& t, Scratch& s, OrgGroup& group, OrgIndex org,
                   IntentIndex intent) noexcept {
  const uint32_t l = s.lanes_used++;
  Lane& lane = s.lanes[l];
  start_group(t, s, lane.own, intent_key(org, intent), t.intent_limits[org].by_intent[intent]);
  lane.org = &group;
  return static_cast<uint8_t>(l);
}

void start_round(Scratch& s) noexcept {
  s.lanes_used = s.orgs_used = 0;
  if (++s.round <= kRoundMax) return;
  std::fill(std::begin(s.places), std::end(s.places), 0);
  s.round = 1;
}

// Which lane each packet that costs quota is in, and how many packets each lane has.
void gather(const Table& t, Scratch& s, const Burst& burst, const Selection& live,
            uint16_t from) noexcept {
  start_round(s);
  const Meta* const meta = metas(burst);
  const auto orgs = static_cast<uint32_t>(t.org_limits.size());
  OrgIndex previous = kNoOrg;
  OrgGroup* org = nullptr;
  const uint32_t count = live.count;
  for (uint32_t k = from; k < count; ++k) {
    const uint32_t i = live.index[k];
    const Meta& m = meta[i];
    if (m.is_retry || m.org >= orgs) [[unlikely]]
      continue;
    if (m.org != previous) {
      org = &org_group(t, s, m.org);
      previous = m.org;
    }
    uint8_t& lane = org->lane_of[m.intent_index];
    if (lane == kNoLane) lane = start_lane(t, s, *org, m.org, m.intent_index);
    s.lane_of[i] = lane;
    ++s.lanes[lane].own.want;
  }
  s.singly = 8 * s.orgs_used >= 7 * (count - from) ? kSinglyBursts : 0;
}

uint32_t room_of(const Table& t, Windows& w, Scratch& s, Key key, Limit limit, Step step,
                 uint64_t era) noexcept {
  if (limit == kUncounted) return w.room_uncounted(key);
  return w.room(key, step, known(t, s, limit).bounds.allow_max, era);
}

// A command of a lone worker of which a key has no grant: mostly that key's first in a step.
// False: it is not simply allowed.
[[gnu::noinline]] bool count_anew(const Table& t, Windows& w, Scratch& s, const Meta& m, Step step,
                                  uint64_t era) noexcept {
  const Key own = intent_key(m.org, m.intent_index), all = org_key(m.org);
  const Limit own_limit = t.intent_limits[m.org].by_intent[m.intent_index];
  const uint32_t own_room = room_of(t, w, s, own, own_limit, step, era);
  const uint32_t all_room = room_of(t, w, s, all, t.org_limits[m.org], step, era);
  if (own_room == 0 || all_room == 0) return false;
  w.grant(own, own_room, era);
  w.grant(all, all_room, era);
  return w.count_granted(m.org, m.intent_index, era);
}

// The place of a packet in the selection.
uint16_t place_in(const Burst& burst, const Selection& live, const Meta& m) noexcept {
  return static_cast<uint16_t>(std::find(live.begin(), live.end(), position_of(burst, m)) -
                               live.begin());
}

// Where one key has no grant, most others of the burst mostly have none: there are so many of them,
// or a step has just begun. Gets what count_anew() reads of those from `first` on under way.
[[gnu::noinline]] void look_ahead(const Table& t, const Windows& w, const Burst& burst,
                                  const Selection& live, const Meta& first, Step step) noexcept {
  const uint32_t from = place_in(burst, live, first);
  const Meta* const meta = metas(burst);
  for (uint32_t k = from; k < live.count; ++k) {
    const Meta& m = meta[live.index[k]];
    if (!costs_quota(t, m)) continue;
    __builtin_prefetch(&t.intent_limits[m.org]);
    __builtin_prefetch(&t.org_limits[m.org]);
    w.prefetch_details(org_key(m.org));
  }
  for (uint32_t k = from; k < live.count; ++k) {
    const Meta& m = meta[live.index[k]];
    if (!costs_quota(t, m)) continue;
    w.prefetch_ring(org_key(m.org), step);
    const Key own = intent_key(m.org, m.intent_index);
    if (t.intent_limits[m.org].by_intent[m.intent_index] != kUncounted) w.prefetch_ring(own, step);
  }
}

// The usual burst of a lone worker: counts commands from the front as long as they are allowed.
// Returns how many of `live` it has been through. Mostly it reads no limit and no ring.
uint16_t admit_front(const Table& t, Windows& w, Scratch& s, Burst& burst, const Selection& live,
                     Step step) noexcept {
  const uint64_t era = w.era(step, t.number);
  const auto orgs = static_cast<uint32_t>(t.org_limits.size());
  bool looked_ahead = false;
  const Meta* stopped_at = nullptr;
  const bool all = while_each(burst, live, [&](const Meta& m) __attribute__((always_inline)) {
    if (m.is_retry || m.org >= orgs) [[unlikely]]
      return true;
    if (w.count_granted(m.org, m.intent_index, era)) [[likely]]
      return true;
    stopped_at = &m;
    if (!looked_ahead) look_ahead(t, w, burst, live, m, step);
    looked_ahead = true;
    return count_anew(t, w, s, m, step, era);
  });
  return all ? live.count : place_in(burst, live, *stopped_at);
}

void reserve_group(Windows& w, Group& g, Step step) noexcept {
  if (g.counted())
    g.got = w.reserve(g.key, step, g.want, g.bounds.admit_max);
  else
    g.got = {step, 0, g.want};
}

// Of several workers, the same without grants: a swap for each of a command's two keys.
[[gnu::noinline]] uint16_t admit_singly(const Table& t, Windows& w, Scratch& s, Burst& burst,
                                        const Selection& live, Step step) noexcept {
  const auto orgs = static_cast<uint32_t>(t.org_limits.size());
  const Meta* stopped_at = nullptr;
  Known own = s.known[0], org = s.known[0];  // of the command before: mostly the limit is the same
  const bool all = while_each(burst, live, [&](const Meta& m) __attribute__((always_inline)) {
    if (m.is_retry || m.org >= orgs) [[unlikely]]
      return true;
    stopped_at = &m;
    const Limit own_limit = t.intent_limits[m.org].by_intent[m.intent_index];
    const Limit org_limit = t.org_limits[m.org];
    if (own_limit != own.limit) own = known(t, s, own_limit);
    if (org_limit != org.limit) org = known(t, s, org_limit);
    const Key key = intent_key(m.org, m.intent_index);
    if (own_limit != kUncounted && !w.reserve_simply(key, step, 1, own.bounds.allow_max))
      return false;
    if (org_limit == kUncounted ||
        w.reserve_simply(org_key(m.org), step, 1, org.bounds.allow_max)) [[likely]]
      return true;
    if (own_limit != kUncounted) w.give_back(key, step, 1);
    return false;
  });
  return all ? live.count : place_in(burst, live, *stopped_at);
}

// Reserves; true when all of it is in the allow tier.
[[gnu::noinline]] bool reserve_anyhow(Windows& w, Group& g, Step step) noexcept {
  reserve_group(w, g, step);
  return g.got.granted == g.want && g.got.used + g.want <= g.bounds.allow_max;
}

// Mostly in one look and one swap.
[[gnu::always_inline]] inline bool reserve_allowed(Windows& w, Group& g, Step step) noexcept {
  return (g.counted() && w.reserve_simply(g.key, step, g.want, g.bounds.allow_max, &g.got)) ||
         reserve_anyhow(w, g, step);
}

// The intents first: an organisation is asked for no more than its intents have room for.
// True when every packet is in the allow tier and waits for nobody.
bool reserve(Windows& w, Scratch& s, Step step, Tsc released_until) noexcept {
  bool plain = true;
  const bool look_at_dues = w.latest_due() > released_until;
  for (uint32_t l = 0; l < s.lanes_used; ++l) {
    Lane& lane = s.lanes[l];
    Group& org = *lane.org;
    if (lane.own.bounds.admit_max == 0 || org.bounds.admit_max == 0) [[unlikely]]
      lane.own.want = 0, plain = false;
    plain &= reserve_allowed(w, lane.own, step);
    org.want += lane.own.got.granted;
  }
  for (uint32_t o = 0; o < s.orgs_used; ++o) plain &= reserve_allowed(w, s.orgs[o], step);
  if (plain && !look_at_dues) return true;
  for (uint32_t l = 0; l < s.lanes_used; ++l) {
    Lane& lane = s.lanes[l];
    Group& org = *lane.org;
    lane.zero = lane.own.bounds.admit_max == 0 || org.bounds.admit_max == 0;
    lane.due_raised = false;
    lane.last_due = 0;
    if (look_at_dues && (lane.own.counted() || org.counted()))
      lane.last_due = w.last_due(lane.own.counted() ? lane.own.key : org.key);
  }
  return false;
}

void start_packets(Group& g) noexcept {
  g.spent = g.rejected = 0;
  g.room = 0;
}

void settle_group(Windows& w, const Group& g, Step step) noexcept {
  if (!g.counted()) return;
  if (g.got.granted > g.spent) w.give_back(g.key, g.got.step, g.got.granted - g.spent);
  if (g.rejected != 0) w.note_rejected(g.key, step, g.rejected);
}

void settle(Windows& w, const Scratch& s, Step step) noexcept {
  for (uint32_t l = 0; l < s.lanes_used; ++l) {
    const Lane& lane = s.lanes[l];
    settle_group(w, lane.own, step);
    if (lane.due_raised)
      w.raise_last_due(lane.own.counted() ? lane.own.key : lane.org->key, lane.last_due);
  }
  for (uint32_t o = 0; o < s.orgs_used; ++o) settle_group(w, s.orgs[o], step);
}

}  // namespace

State::State(uint32_t delay_packets, Tsc slot_tsc, Tsc horizon_tsc)
    : wheel(delay_packets, slot_tsc,
            static_cast<uint32_t>(
                std::clamp<Tsc>(horizon_tsc / std::max<Tsc>(slot_tsc, 1) + 1, 64, 65536))) {}

void run(const Table& table, Windows& windows, State& state, Burst& burst, Selection& live, Tsc now,
         uint64_t unix_us) noexcept {
  state.delayed_count = 0;
  if (live.count == 0) return;
  const Tsc time = state.clock.at(now);
  const Step step = windows.step_at(time);
  Scratch& scratch = state.scratch;
  know(table, scratch);
  uint16_t kept = 0;  // of live, from the front
  if ((windows.alone() || scratch.singly != 0) &&
      windows.latest_due() <= state.released_until) {
    scratch.singly -= scratch.singly != 0;
    kept = windows.alone() ? admit_front(table, windows, scratch, burst, live, step)
                           : admit_singly(table, windows, scratch, burst, live, step);
    if (kept == live.count) return;
  }
  const uint16_t front = kept;
  gather(table, scratch, burst, live, front);
  if (reserve(windows, scratch, step, state.released_until)) return;  // all go on: the usual burst
  for (uint32_t l = 0; l < scratch.lanes_used; ++l) start_packets(scratch.lanes[l].own);
  for (uint32_t o = 0; o < scratch.orgs_used; ++o) start_packets(scratch.orgs[o]);
  Decider decider(table, windows, state, burst, time, unix_us);
  for (uint16_t k = front; k < live.count; ++k) {
    const uint8_t i = live.index[k];
    Meta& m = burst.meta[i];
    const bool on = !costs_quota(table, m) || decider.decide(i);
    live.index[kept] = i;
    kept += on;
  }
  live.count = kept;
  settle(windows, scratch, step);
}

void park(State& state, Burst& burst) noexcept {
  for (uint16_t k = 0; k < state.delayed_count; ++k) {
    const Delayed& d = state.delayed[k];
    rte_mbuf* packet = burst.packets[d.position];
    note_of(packet).meta = burst.meta[d.position];
    state.wheel.insert(packet, d.due);
    burst.packets[d.position] = nullptr;
  }
  state.delayed_count = 0;
}

uint32_t release(State& state, Tsc now, Burst& out, Selection& live) noexcept {
  const Tsc time = state.clock.at(now);
  rte_mbuf* due[kBurstMax];
  const uint32_t room = kBurstMax - out.count;
  const uint32_t n = state.wheel.expire(time, due, room);
  for (uint32_t k = 0; k < n; ++k) {
    const uint32_t i = out.count++;
    out.packets[i] = due[k];
    out.meta[i] = note_of(due[k]).meta;
    live.add(i);
  }
  // An item leaves with the first slot that begins at its time or later.
  if (n < room) state.released_until = time & ~(state.wheel.slot_tsc() - 1);
  return n;
}

}  // namespace lf::quota
