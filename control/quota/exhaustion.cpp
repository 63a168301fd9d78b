// SPDX-License-Identifier: Apache-2.0
#include "control/quota/exhaustion.hpp"

#include <fmt/core.h>

namespace lf::quota {
namespace {

constexpr MonoNs kWindowNs = 60'000'000'000;
constexpr uint8_t kSeverity = 3;

notify::Event event_of(const Quotas& quotas, Key key, Tsc now) {
  const std::string org = quotas.org_name(org_of(key));
  const std::string intent = is_org_key(key) ? "" : quotas.intent_name(intent_of(key));
  const KeyStatus s = quotas.key_status(key, now);
  notify::Event e;
  e.severity = kSeverity;
  e.subsystem = "quota";
  e.text = fmt::format(
      "{}{}{}: quota of {} commands a minute exhausted again and again; {} rejected since start",
      org, intent.empty() ? ", all intents" : ", ", intent, s.limit, s.rejected);
  e.labels = {{"org", org}, {"intent", intent.empty() ? "all" : intent}};
  return e;
}

}  // namespace

bool ExhaustionTracker::rejected(Key key, MonoNs now) {
  Exhausted& e = keys_[key];
  if (!e.over && now - e.last < kWindowNs) return false;
  e.over = false;
  e.last = now;
  e.began.push_back(now);
  ++exhaustions_;
  while (now - e.began.front() > within_ns_) e.began.pop_front();
  if (e.began.size() < times_) return false;
  e.began.clear();
  return true;
}

void ExhaustionTracker::tick(MonoNs now, const std::function<bool(Key)>& is_allowed) {
  for (auto it = keys_.begin(); it != keys_.end();) {
    Exhausted& e = it->second;
    if (!e.over) e.over = is_allowed(it->first);
    const bool forget = e.over && now - e.last > within_ns_;
    it = forget ? keys_.erase(it) : std::next(it);
  }
}

std::vector<notify::Event> watch_exhaustion(Quotas& quotas, ExhaustionTracker& tracker, Tsc now,
                                            MonoNs mono_now) {
  std::vector<notify::Event> events;
  quotas.windows().take_marked([&](Key key) {
    if (tracker.rejected(key, mono_now)) events.push_back(event_of(quotas, key, now));
  });
  tracker.tick(mono_now, [&](Key key) { return quotas.key_status(key, now).tier == Tier::allow; });
  return events;
}

}  // namespace lf::quota
