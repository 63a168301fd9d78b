// SPDX-License-Identifier: Apache-2.0
// What becomes of each packet of a burst that is not simply allowed as a whole: on, delayed or
// refused, in their order. Of use to the quota stage alone.
#pragma once

#include <algorithm>

#include "dataplane/quota/left.hpp"
#include "dataplane/quota/quota.hpp"

namespace lf::quota {

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
        std::min(left_after(lane.own.bounds, own_count), left_after(org.bounds, org_count));
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

}  // namespace lf::quota
