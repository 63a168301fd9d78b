// SPDX-License-Identifier: Apache-2.0
// Quota limits as workers read them, and the arithmetic of the three tiers. The Table is built by
// control (control/quota), immutable, part of the Snapshot. It holds limits only: what was used
// lives in Windows and outlives every Table, so a changed limit never refunds anything.
// All tier arithmetic is in integers: boundaries are exact.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dataplane/core/types.hpp"

namespace lf::quota {

// A key names a window: one for each intent of an organisation, and one for the organisation. A few
// numbers are left out, so that what Windows has of an organisation begins with a cache line.
using Key = uint32_t;
inline constexpr uint32_t kKeysPerOrg = (kIntentsMax + 1 + 3) / 4 * 4;

constexpr Key intent_key(OrgIndex org, IntentIndex intent) noexcept {
  return org * kKeysPerOrg + 1 + intent;
}
constexpr Key org_key(OrgIndex org) noexcept {
  return org * kKeysPerOrg;
}
constexpr OrgIndex org_of(Key key) noexcept {
  return key / kKeysPerOrg;
}
constexpr bool is_org_key(Key key) noexcept {
  return key % kKeysPerOrg == 0;
}
constexpr IntentIndex intent_of(Key key) noexcept {
  return static_cast<IntentIndex>(key % kKeysPerOrg - 1);
}

// A limit in one word: bits 0..30 commands per minute, bit 31 hard (no delay tier).
using Limit = uint32_t;
inline constexpr Limit kHard = 0x80000000;
inline constexpr Limit kUncounted = 0x7fffffff;  // no limit and no window
inline constexpr Limit kUnlimited = 0x7ffffffe;  // no limit, but counted
inline constexpr uint32_t kLimitMax = 0x7ffffff0;

inline constexpr uint32_t kDelaySteps = 6;          // n of retry_backoff(n) is 1..6
inline constexpr uint32_t kPartsWhole = 1'000'000;  // tier boundaries are in millionths

struct alignas(kCacheLine) IntentLimits {
  Limit by_intent[kIntentsMax];  // by IntentIndex
};
static_assert(sizeof(IntentLimits) == kCacheLine);

struct Table {
  uint32_t number = 0;  // differs from those of other tables for the same Windows
  uint32_t delay_from_parts = 700'000;
  uint32_t reject_above_parts = 900'000;
  // Limits below this are whole: all of the limit is admitted, at once. One more than a worker
  // count; with so few commands a minute nine tenths of the limit say nothing.
  uint32_t whole_below = 2;
  uint64_t us_per_tick_q32 = 0;             // microseconds per TSC tick, 32 fractional bits
  Tsc delay_tsc[kDelaySteps + 1] = {};      // by n; [0] is unused
  std::vector<Limit> org_limits;            // by OrgIndex
  std::vector<IntentLimits> intent_limits;  // by OrgIndex, same size
};

// What the bounds of a limit depend on.
struct Tiers {
  uint32_t delay_from_parts = 0, reject_above_parts = 0, whole_below = 0;
  bool operator==(const Tiers&) const = default;
};

constexpr Tiers tiers_of(const Table& t) noexcept {
  return {t.delay_from_parts, t.reject_above_parts, t.whole_below};
}

// How many commands of a window get which tier, the deciding one included: up to allow_max it is
// allowed, up to admit_max delayed, beyond that rejected.
struct Bounds {
  uint32_t allow_max = 0;
  uint32_t admit_max = 0;
  uint32_t limit = 0;
};

constexpr Bounds bounds_of(const Table& t, Limit limit) noexcept {
  const uint32_t whole = limit & ~kHard;
  if (whole >= kUnlimited) return {kLimitMax, kLimitMax, kUnlimited};
  if (whole < t.whole_below) return {whole, whole, whole};
  // u < delay_from  <=>  count * parts < delay_from * limit; u <= reject_above likewise.
  const uint64_t delay_from = uint64_t{whole} * t.delay_from_parts;
  const auto admit_max =
      static_cast<uint32_t>(uint64_t{whole} * t.reject_above_parts / kPartsWhole);
  if ((limit & kHard) != 0) return {admit_max, admit_max, whole};
  const uint64_t allowed = delay_from == 0 ? 0 : (delay_from - 1) / kPartsWhole;
  const auto allow_max = static_cast<uint32_t>(allowed < admit_max ? allowed : admit_max);
  return {allow_max, admit_max, whole};
}

// n of retry_backoff(n) for the command that makes the window's count `count`; 0: not delayed.
// n = 1 + floor((u - delay_from) / ((reject_above - delay_from) / 6)), at most 6.
constexpr uint32_t delay_step(const Table& t, const Bounds& b, uint32_t count) noexcept {
  if (count <= b.allow_max) return 0;
  const uint64_t over = uint64_t{count} * kPartsWhole - uint64_t{b.limit} * t.delay_from_parts;
  const uint64_t band = uint64_t{b.limit} * (t.reject_above_parts - t.delay_from_parts);
  const uint64_t n = 1 + (band == 0 ? kDelaySteps : over * kDelaySteps / band);
  return n < kDelaySteps ? static_cast<uint32_t>(n) : kDelaySteps;
}

}  // namespace lf::quota
