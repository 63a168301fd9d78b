// SPDX-License-Identifier: Apache-2.0
// The quota stage: admits, delays or rejects commands by what their organisation, and their
// organisation and intent together, have used in the last minute; the tighter limit rules.
// Called by the pipeline after policy, on workers. A burst's packets are gathered by key, each key
// is reserved with one atomic operation, the packets are decided in order against what was
// reserved, and what was not used is given back. Retries of commands in flight cost nothing.
// A worker that is alone needs no gathering: it counts a burst's commands one by one with plain
// stores, under grants (windows.hpp), up to the first that is not simply allowed; the others go
// the way above. Several workers do the same with two swaps a command where a burst names hardly
// any organisation twice, as gathering finds out in one of sixteen bursts: keys that many commands
// share are better swapped once, as another worker may want them, too.
//
// The delay tier keeps packets in the worker's wheel. run() lists them in State::delayed and takes
// them out of the selection; park() then moves them into the wheel; release() gives them back when
// they are due, to go on at the choose stage. In between the pipeline may answer the client.
// Order within (organisation, intent) is kept: a key's window remembers when its latest delayed
// command leaves, on whichever worker, and a later command waits until then, whatever its tier.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "dataplane/core/burst.hpp"
#include "dataplane/core/stays_in_cache.hpp"
#include "dataplane/core/timing_wheel.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/quota/table.hpp"
#include "dataplane/quota/windows.hpp"

namespace lf::quota {

// A worker's time that never goes back: a TSC that jumps back goes on from where it was.
class SteadyTsc {
 public:
  Tsc at(Tsc now) noexcept {
    const Tsc t = now + offset_;
    if (t >= last_) return last_ = t;
    offset_ += last_ - t;
    return last_;
  }
  Tsc last() const noexcept { return last_; }

 private:
  Tsc offset_ = 0, last_ = 0;
};

struct Delayed {
  uint8_t position = 0;  // in the burst
  Tsc due = 0;
};

// Bounds of a limit that was looked at: most keys have one of a few limits. Copied as a whole.
struct alignas(16) Known {
  Limit limit = kHard | kUncounted;  // of no key
  Bounds bounds;
};

// What run() keeps of one key between its passes.
struct Group : Known {
  Key key = 0;
  uint32_t want = 0;
  Reservation got;
  // Only in bursts that need a look at each packet:
  uint32_t spent = 0;     // of what was granted
  uint32_t rejected = 0;  // by this key
  Step room = 0;          // when it has room again; 0: not looked up yet

  bool counted() const noexcept { return limit != kUncounted; }  // has a window
};

inline constexpr uint8_t kNoLane = 0xff;

// An organisation in the burst, and its lanes.
struct OrgGroup : Group {
  uint8_t lane_of[kIntentsMax] = {};
};

// The packets of one (organisation, intent) in the burst.
struct Lane {
  Group own;  // limit of the intent
  OrgGroup* org = nullptr;
  // Only in bursts that need a look at each packet:
  bool zero = false;  // a limit of 0 applies
  bool due_raised = false;
  Tsc last_due = 0;
};

inline constexpr uint32_t kPlaces = 8 * kBurstMax;
inline constexpr uint32_t kRoundMax = (1u << 24) - 1;

inline constexpr uint32_t kKnown = 16;
inline constexpr uint16_t kSinglyBursts = 15;

struct Scratch {
  uint16_t lanes_used = 0, orgs_used = 0;
  uint16_t singly = 0;  // so many of the next bursts are counted command by command
  uint32_t round = 0;  // of the burst, 1..kRoundMax
  Tiers tiers;         // that known was worked out for
  Known known[kKnown];
  Lane lanes[kBurstMax];
  OrgGroup orgs[kBurstMax];
  uint8_t lane_of[kBurstMax];  // by position in the burst, of those that cost quota
  // A hash: the round in which a place was taken, and 8 bits: of which of `orgs`. Sparse, so that
  // most organisations find theirs free, or their own, at once.
  uint32_t places[kPlaces] = {};
};

// Per worker; allocated before the loop.
struct State {
  // slot_tsc: how late a delayed packet may leave at most; horizon_tsc: the usual longest delay.
  State(uint32_t delay_packets, Tsc slot_tsc, Tsc horizon_tsc);

  uint16_t delayed_count = 0;  // of the last run()
  Delayed delayed[kBurstMax];
  TimingWheel<rte_mbuf*> wheel;
  SteadyTsc clock;
  Tsc released_until = 0;  // everything due up to then has been handed out
  Scratch scratch;
};

// Gets what run() will read of a command's limits and counts on its way to the cache, some stages
// before.
class Expect {
 public:
  Expect(const Table& table, const Windows& windows) noexcept
      : table_(table), windows_(windows), orgs_(static_cast<uint32_t>(table.org_limits.size())) {}
  // Of few organisations nothing need be asked for.
  bool pays() const noexcept { return orgs_ > kStaysInCache / Windows::kBytesOfOrg; }
  // Inline, or GCC takes the call for one without effect.
  [[gnu::always_inline]] void operator()(const Meta& m) const noexcept {
    if (m.org >= orgs_) [[unlikely]]
      return;
    windows_.prefetch(m.org, m.intent_index);
    if (windows_.alone()) return;  // then the windows say it all, mostly
    __builtin_prefetch(&table_.intent_limits[m.org]);
    __builtin_prefetch(&table_.org_limits[m.org]);
  }

 private:
  const Table& table_;
  const Windows& windows_;
  uint32_t orgs_;
};

// Decides the commands in `live`. Refused ones get their verdict, delayed ones go to
// state.delayed, and both leave `live` with their quota fields filled. unix_us: for deadlines.
void run(const Table& table, Windows& windows, State& state, Burst& burst, Selection& live, Tsc now,
         uint64_t unix_us) noexcept;

// What is left of the quota, for commands that run() admitted, cost some, and may be refused yet by
// a later stage, whose senders want to know. After all of the burst.
void tell_left(const Table& table, const Windows& windows, const State& state, Burst& burst,
               const Selection& admitted) noexcept;

// Fills the quota fields of commands that something else refuses and that want to know: what is
// left of their quota. throttle_ms becomes at least the time until there is some.
void tell(const Table& table, const Windows& windows, Burst& burst, const Selection& refused,
          Tsc now) noexcept;

// Moves the packets of state.delayed into the wheel; their places in the burst become null.
// run() has seen to it that there is room.
void park(State& state, Burst& burst) noexcept;

// Appends packets that are due to `out`, as far as it has room, and names them in `live`. Call it
// once a loop with every burst's time; when it fills the burst there may be more.
// Returns how many were added.
uint32_t release(State& state, Tsc now, Burst& out, Selection& live) noexcept;

}  // namespace lf::quota
