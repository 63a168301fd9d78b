// SPDX-License-Identifier: Apache-2.0
#include "control/quota/limits.hpp"

#include <algorithm>
#include <cmath>

#include "dataplane/core/backoff.hpp"

namespace lf::quota {
namespace {

const config::Quota& intent_quota(const config::Organisation& org, const config::Intent& intent) {
  const auto own = org.intents.find(intent.name);
  return own != org.intents.end() ? own->second : intent.quota;
}

uint32_t parts_of(double share) {
  return static_cast<uint32_t>(std::lround(std::clamp(share, 0.0, 1.0) * kPartsWhole));
}

}  // namespace

Limit limit_of(const config::Quota& quota) {
  if (quota.per_minute < 0) return kUnlimited;
  const auto whole = static_cast<Limit>(std::min<int64_t>(quota.per_minute, kLimitMax));
  return whole | (quota.hard ? kHard : 0);
}

Table table_of(const config::Config& config, const forward::Slots& slots, uint32_t workers,
               uint64_t tsc_hz) {
  Table t;
  t.delay_from_parts = parts_of(config.quotas.delay_from);
  t.reject_above_parts = parts_of(config.quotas.reject_above);
  t.whole_below = std::max(workers, 2u);
  t.us_per_tick_q32 = static_cast<uint64_t>((Int128{1'000'000} << 32) / tsc_hz);
  for (uint32_t n = 1; n <= kDelaySteps; ++n) {
    const int64_t ms =
        retry_backoff(n, config.quotas.backoff_base_ms, config.quotas.backoff_cap_ms);
    t.delay_tsc[n] = static_cast<Tsc>(Int128{ms} * tsc_hz / 1000);
  }
  IntentLimits none;
  std::fill(std::begin(none.by_intent), std::end(none.by_intent), kUncounted);
  t.org_limits.assign(slots.organisations.used(), kUncounted);
  t.intent_limits.assign(slots.organisations.used(), none);
  for (const config::Organisation& org : config.organisations) {
    const OrgIndex o = slots.organisation(org.id);
    if (o >= t.org_limits.size()) continue;
    t.org_limits[o] = limit_of(org.quota);
    IntentLimits& limits = t.intent_limits[o];
    limits.by_intent[kOtherIntent] = kUnlimited;
    for (const config::Intent& intent : config.intents)
      limits.by_intent[slots.intent(intent.name)] = limit_of(intent_quota(org, intent));
  }
  return t;
}

uint64_t count_limited(const config::Config& config) {
  uint64_t n = 0;
  for (const config::Organisation& org : config.organisations) {
    n += org.quota.per_minute >= 0;
    for (const config::Intent& intent : config.intents)
      n += intent_quota(org, intent).per_minute >= 0;
  }
  return n;
}

}  // namespace lf::quota
