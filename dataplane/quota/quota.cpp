// SPDX-License-Identifier: Apache-2.0
#include "dataplane/quota/quota.hpp"

#include <algorithm>

#include "dataplane/core/mbuf_note.hpp"
#include "dataplane/core/metas.hpp"

namespace lf::quota {
namespace {

constexpr uint32_t kNoRemaining = 0xffffffff;  // no limit applies
constexpr uint32_t kWindowSeconds = 60;

uint32_t place_of(uint32_t x) noexcept {
  static_assert(kPlaces == 512);
  return (x * 0x9e3779b1u) >> 23;
}

uint64_t to_us(const Table& t, Tsc ticks) noexcept {
  return static_cast<uint64_t>((static_cast<Int128>(ticks) * t.us_per_tick_q32) >> 32);
}

uint32_t ceil_div(uint64_t us, uint32_t by) noexcept {
  return static_cast<uint32_t>((us + by - 1) / by);
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

bool costs_quota(const Table& t, const Meta& m) noexcept {
  return !m.is_retry && m.org < t.org_limits.size();
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

uint32_t remaining_after(const Group& g, uint32_t count) noexcept {
  if (g.bounds.limit == kUnlimited) return kNoRemaining;
  return g.bounds.admit_max > count ? g.bounds.admit_max - count : 0;
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

// One packet's way through the tiers. Everything that it needs is in hand: no atomics here.
class Decider {
 public:
  Decider(const Table& table, const Windows& windows, State& state, Burst& burst, Tsc now,
          uint64_t unix_us) noexcept
      : t_(table), w_(windows), s_(state), burst_(burst), now_(now), unix_us_(unix_us) {}

  // True when the packet goes on now.
  bool decide(uint8_t i) noexcept {
    Scratch& s = s_.scratch;
    Lane& lane = s.lanes[s.lane_of[i]];
    Group& org = *lane.org;
    Meta& m = burst_.meta[i];
    if (lane.zero) return refuse(i, Verdict::quota_zero, kWindowSeconds, kWindowSeconds * 1000);
    if (lane.own.spent >= lane.own.got.granted || org.spent >= org.got.granted)
      return reject(i, lane.own, org);

    const uint32_t own_count = lane.own.got.used + lane.own.spent + 1;
    const uint32_t org_count = org.got.used + org.spent + 1;
    const uint32_t n =
        std::max(delay_step(t_, lane.own.bounds, own_count), delay_step(t_, org.bounds, org_count));
    m.quota_remaining =
        std::min(remaining_after(lane.own, own_count), remaining_after(org, org_count));
    m.reset_seconds = 0;
    m.throttle_ms = 0;
    const bool waits = n != 0 || lane.last_due > s_.released_until;
    if (waits && !delay(i, lane, n)) return false;
    ++lane.own.spent;
    ++org.spent;
    return !waits;
  }

 private:
  bool refuse(uint8_t i, Verdict verdict, uint32_t reset_seconds, uint32_t throttle_ms) noexcept {
    Meta& m = burst_.meta[i];
    m.reply_status = lcp::Status::throttled;
    m.quota_remaining = 0;
    m.reset_seconds = reset_seconds;
    m.throttle_ms = throttle_ms;
    burst_.decide(i, verdict);
    return false;
  }

  static bool is_full(const Group& g) noexcept {
    return g.counted() && g.got.used + g.spent >= g.bounds.admit_max;
  }

  // Ticks until a full key has room for one more.
  Tsc until_room(Group& g) noexcept {
    if (g.room == 0) g.room = w_.room_at(g.key, g.got.step, g.bounds.admit_max - 1);
    const Tsc room = w_.begin_of(g.room);
    return room > now_ ? room - now_ : 0;
  }

  // The key that is full is the one that is exhausted; when both are, the intent's.
  bool reject(uint8_t i, Group& own, Group& org) noexcept {
    ++(is_full(own) ? own : org).rejected;
    if ((burst_.meta[i].flags & lcp::kFlagWantsReply) == 0)  // nobody would read it
      return refuse(i, Verdict::quota_rejected, 0, 0);
    Tsc wait = 0;
    if (is_full(org)) wait = until_room(org);
    if (is_full(own)) wait = std::max(wait, until_room(own));
    const uint64_t us = to_us(t_, wait);
    return refuse(i, Verdict::quota_rejected, ceil_div(us, 1'000'000), ceil_div(us, 1000));
  }

  // Lists the packet for the wheel; false when it must be refused instead.
  bool delay(uint8_t i, Lane& lane, uint32_t n) noexcept {
    Meta& m = burst_.meta[i];
    const Tsc due = std::max(n != 0 ? now_ + t_.delay_tsc[n] : now_, lane.last_due);
    const uint64_t wait_us = to_us(t_, due - now_);
    const uint32_t wait_ms = ceil_div(wait_us, 1000);
    const uint32_t left = m.quota_remaining;
    if (unix_us_ + wait_us > m.deadline_us) {
      refuse(i, Verdict::delay_past_deadline, 0, wait_ms);
      m.quota_remaining = left + (left != kNoRemaining);
      return false;
    }
    if (s_.wheel.size() + s_.delayed_count >= s_.wheel.capacity()) {
      refuse(i, Verdict::delay_full, 0, wait_ms);
      m.quota_remaining = left + (left != kNoRemaining);
      return false;
    }
    m.reply_status = lcp::Status::delayed;
    m.throttle_ms = wait_ms;
    lane.last_due = due;
    lane.due_raised = true;
    s_.delayed[s_.delayed_count++] = {i, due};
    return true;
  }

  const Table& t_;
  const Windows& w_;
  State& s_;
  Burst& burst_;
  Tsc now_;
  uint64_t unix_us_;
};

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

// What is left of a key in this step.
static uint32_t left_of(const Windows& w, Key key, const Bounds& bounds, Step step) noexcept {
  if (bounds.limit == kUnlimited) return kNoRemaining;
  const uint32_t used = w.used(key, step);
  return bounds.admit_max > used ? bounds.admit_max - used : 0;
}

void tell(const Table& table, const Windows& windows, Burst& burst, const Selection& refused,
          Tsc now) noexcept {
  const Step step = windows.step_at(now);
  for (const uint8_t i : refused) {
    Meta& m = burst.meta[i];
    if ((m.flags & lcp::kFlagWantsReply) == 0 || m.org >= table.org_limits.size()) continue;
    m.quota_remaining = kNoRemaining;
    m.reset_seconds = 0;
    const auto look = [&](Key key, Limit limit) {
      const Bounds bounds = bounds_of(table, limit);
      const uint32_t left = left_of(windows, key, bounds, step);
      m.quota_remaining = std::min(m.quota_remaining, left);
      if (left != 0) return;
      const Tsc room = bounds.admit_max == 0
                           ? now + kWindowSeconds * windows.step_tsc()
                           : windows.begin_of(windows.room_at(key, step, bounds.admit_max - 1));
      const uint64_t us = to_us(table, room > now ? room - now : 0);
      m.reset_seconds = std::max(m.reset_seconds, ceil_div(us, 1'000'000));
      m.throttle_ms = std::max(m.throttle_ms, ceil_div(us, 1000));
    };
    look(org_key(m.org), table.org_limits[m.org]);
    look(intent_key(m.org, m.intent_index), table.intent_limits[m.org].by_intent[m.intent_index]);
  }
}

void tell_left(const Table& table, const Windows& windows, const State& state, Burst& burst,
               const Selection& admitted) noexcept {
  const Step step = windows.step_at(state.clock.last());
  for (const uint8_t i : admitted) {
    Meta& m = burst.meta[i];
    if ((m.flags & lcp::kFlagWantsReply) == 0 || !costs_quota(table, m)) continue;
    const auto left = [&](Key key, Limit limit) {
      return left_of(windows, key, bounds_of(table, limit), step);
    };
    const Limit own = table.intent_limits[m.org].by_intent[m.intent_index];
    m.quota_remaining = std::min(left(org_key(m.org), table.org_limits[m.org]),
                                 left(intent_key(m.org, m.intent_index), own));
  }
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
