// SPDX-License-Identifier: Apache-2.0
#include "control/quota/quotas.hpp"

#include <algorithm>
#include <cmath>

#include "control/quota/limits.hpp"
#include "dataplane/core/backoff.hpp"

namespace lf::quota {
namespace {

constexpr uint32_t kCountedUnlimited = 1u << 17;  // keys without a limit that are counted, at most
constexpr uint32_t kSpareRings = 1u << 18;        // for limits that are set or loaded later
constexpr uint32_t kWindowSeconds = 60;

}  // namespace

Result<std::unique_ptr<Quotas>> Quotas::create(const config::Config& config,
                                               const forward::Slots& slots, uint32_t workers,
                                               uint64_t tsc_hz, Tsc now) {
  std::unique_ptr<Quotas> q(new Quotas(workers, tsc_hz));
  const uint64_t rings = 2 * count_limited(config) + kSpareRings;
  q->windows_ = Windows::create(
      {.orgs = kOrgsMax,
       .rings = static_cast<uint32_t>(std::min<uint64_t>(rings, uint64_t{kOrgsMax} * kKeysPerOrg)),
       .step_tsc = tsc_hz * kWindowSeconds / kWindowSteps,
       .start = now,
       .alone = workers == 1});
  if (!q->windows_) return fail(ErrorCode::unavailable, "no memory for {} quota windows", rings);
  auto first = q->prepare(config, slots);
  if (!first) return tl::unexpected(std::move(first.error()));
  q->take(std::move(*first), now);
  return q;
}

template <typename Visit>
void Quotas::Names::each_key(Visit&& visit) const {
  for (OrgIndex o = 0; o < orgs.size(); ++o) {
    if (!orgs[o].in_use) continue;
    visit(org_key(o));
    for (IntentIndex i = 0; i < intents.size(); ++i)
      if (!intents[i].name.empty()) visit(intent_key(o, i));
  }
}

Result<Quotas::Prepared> Quotas::prepare(const config::Config& config,
                                         const forward::Slots& slots) const {
  auto names = names_of(config, slots);
  if (!names) return tl::unexpected(std::move(names.error()));
  Prepared next{std::move(*names), table_of(config, slots, workers_, tsc_hz_)};
  Table with_set_limits = next.table;
  apply_set_limits(with_set_limits);
  if (auto room = check_room(with_set_limits, next.names); !room)
    return tl::unexpected(std::move(room.error()));
  return next;
}

void Quotas::take(Prepared&& next, Tsc now) {
  rename(std::move(next.names), now);
  configured_ = std::move(next.table);
  configured_.number = current_.number;  // goes on
  current_ = configured_;
  apply_set_limits(current_);
  open_windows(current_, now);
  table_.reset();
}

Result<Quotas::Names> Quotas::names_of(const config::Config& config, const forward::Slots& slots) {
  Names names;
  names.orgs.resize(slots.organisations.used());
  for (const config::Organisation& o : config.organisations) {
    const auto place = slots.organisations.find(std::to_string(o.id));
    if (!place) return fail(ErrorCode::internal, "organisation {} has no number", o.name);
    names.orgs[place->index] = {o.name, o.id, place->epoch, true};
    names.org_by_name[o.name] = names.org_by_id[o.id] = place->index;
  }
  names.intents.resize(kIntentsMax);
  names.intents[kOtherIntent].name = kOtherIntentName;
  for (const config::Intent& i : config.intents) {
    const auto place = slots.intents.find(i.name);
    if (!place) return fail(ErrorCode::internal, "intent {} has no number", i.name);
    names.intents[place->index + 1] = {i.name, i.code, place->epoch};
  }
  return names;
}

Result<void> Quotas::check_room(const Table& table, const Names& names) const {
  uint32_t needed = 0;
  names.each_key([&](Key key) {
    needed += (limit_at(table, key) & ~kHard) < kUnlimited && !windows_->is_open(key);
  });
  const uint32_t open = windows_->open_keys(), room = windows_->rings() - open;
  if (needed <= room) return {};
  return fail(ErrorCode::unavailable,
              "{} quotas have no window: {} are in use; restart to get more", needed - room, open);
}

// Follows the numbers of organisations and intents. Windows and run-time limits of a number that
// has a new owner are emptied: the owner is another one.
void Quotas::rename(Names&& next, Tsc now) {
  const Step step = windows_->step_at(now);
  const auto renew = [&](Key key) {
    windows_->reset(key, step);
    set_.erase(key);
  };
  for (OrgIndex o = 0; o < next.orgs.size(); ++o) {
    const uint32_t last_epoch = o < names_.orgs.size() ? names_.orgs[o].epoch : 0;
    if (!next.orgs[o].in_use) next.orgs[o].epoch = last_epoch;
    const bool new_owner = last_epoch != 0 && next.orgs[o].epoch != last_epoch;
    if (new_owner) renew(org_key(o));
    for (IntentIndex i = 0; i < kIntentsMax; ++i) {
      const bool new_intent = i < names_.intents.size() && names_.intents[i].epoch != 0 &&
                              next.intents[i].epoch != 0 &&
                              names_.intents[i].epoch != next.intents[i].epoch;
      if (new_owner || new_intent) renew(intent_key(o, i));
    }
  }
  names_ = std::move(next);
}

Limit& Quotas::place(Table& table, Key key) const {
  return is_org_key(key) ? table.org_limits[org_of(key)]
                         : table.intent_limits[org_of(key)].by_intent[intent_of(key)];
}

Limit Quotas::limit_at(const Table& table, Key key) const {
  if (org_of(key) >= table.org_limits.size()) return kUncounted;
  return place(const_cast<Table&>(table), key);
}

void Quotas::apply_set_limits(Table& table) const {
  for (const auto& [key, limit] : set_)
    if (org_of(key) < table.org_limits.size()) place(table, key) = limit;
}

// Every key with a limit gets its window (check_room() has counted them); those without one are
// counted too, while there is room: then a limit that is set later finds what was used before.
void Quotas::open_windows(Table& table, Tsc now) {
  const Step step = windows_->step_at(now);
  names_.each_key([&](Key key) {
    if ((place(table, key) & ~kHard) < kUnlimited) windows_->open(key, step);
  });
  names_.each_key([&](Key key) {
    Limit& limit = place(table, key);
    if ((limit & ~kHard) < kUnlimited) return;
    const bool room = windows_->open_keys() < kCountedUnlimited;
    limit = windows_->is_open(key) || (room && windows_->open(key, step)) ? kUnlimited : kUncounted;
  });
}

Result<void> Quotas::set(Key key, std::optional<config::Quota> quota, Tsc now) {
  if (org_of(key) >= names_.orgs.size() || !names_.orgs[org_of(key)].in_use)
    return fail(ErrorCode::not_found, "no such organisation");
  Limit limit = quota ? limit_of(*quota) : limit_at(configured_, key);
  const bool limited = (limit & ~kHard) < kUnlimited;
  if (limited && !windows_->open(key, windows_->step_at(now)))
    return fail(ErrorCode::unavailable, "no window is left: {} are in use", windows_->open_keys());
  if (!limited) limit = windows_->is_open(key) ? kUnlimited : kUncounted;
  if (quota)
    set_[key] = limit;
  else
    set_.erase(key);
  if (place(current_, key) == limit) return {};
  place(current_, key) = limit;
  table_.reset();
  return {};
}

std::shared_ptr<const Table> Quotas::table() {
  if (!table_) {
    ++current_.number;
    table_ = std::make_shared<const Table>(current_);
  }
  return table_;
}

KeyStatus Quotas::key_status(Key key, Tsc now) const {
  KeyStatus s;
  const Limit limit = limit_at(current_, key);
  s.counted = windows_->is_open(key);
  const Step step = windows_->step_at(now);
  s.used = windows_->used(key, step);
  s.rejected = windows_->rejected(key);
  if ((limit & ~kHard) >= kUnlimited) return s;
  const Bounds b = bounds_of(current_, limit);
  s.limit = b.limit;
  s.hard = (limit & kHard) != 0;
  s.utilization_percent =
      b.limit == 0 ? 100.0 : std::round(1e6 * s.used / static_cast<double>(b.limit)) / 1e4;
  s.remaining = b.admit_max > s.used ? b.admit_max - s.used : 0;
  if (b.admit_max == 0) {
    s.tier = Tier::reject;
    s.reset_seconds = kWindowSeconds;
    s.throttle_ms = kWindowSeconds * 1000;
  } else if (s.used >= b.admit_max) {
    s.tier = Tier::reject;
    const Tsc room = windows_->begin_of(windows_->room_at(key, step, b.admit_max - 1));
    const Tsc wait = room > now ? room - now : 0;
    const auto ceil_of = [&](uint64_t per_second) {
      return static_cast<uint32_t>((Int128{wait} * per_second + tsc_hz_ - 1) / tsc_hz_);
    };
    s.reset_seconds = ceil_of(1);
    s.throttle_ms = ceil_of(1000);
  } else if (const uint32_t n = delay_step(current_, b, s.used + 1); n > 0) {
    s.tier = Tier::delay;
    s.throttle_ms =
        static_cast<uint32_t>((Int128{current_.delay_tsc[n]} * 1000 + tsc_hz_ - 1) / tsc_hz_);
  }
  return s;
}

std::optional<OrgIndex> Quotas::find_org(std::string_view name) const {
  const auto it = names_.org_by_name.find(std::string(name));
  if (it == names_.org_by_name.end()) return std::nullopt;
  return it->second;
}

std::optional<OrgIndex> Quotas::find_org(uint32_t id) const {
  const auto it = names_.org_by_id.find(id);
  if (it == names_.org_by_id.end()) return std::nullopt;
  return it->second;
}

std::optional<IntentIndex> Quotas::find_intent(std::string_view name) const {
  for (size_t i = 0; i < names_.intents.size(); ++i)
    if (!name.empty() && names_.intents[i].name == name) return static_cast<IntentIndex>(i);
  return std::nullopt;
}

IntentIndex Quotas::find_intent(uint8_t code) const {
  for (size_t i = 1; i < names_.intents.size(); ++i)
    if (!names_.intents[i].name.empty() && names_.intents[i].code == code)
      return static_cast<IntentIndex>(i);
  return kOtherIntent;
}

std::string Quotas::org_name(OrgIndex org) const {
  return org < names_.orgs.size() ? names_.orgs[org].name : std::string();
}

std::string Quotas::intent_name(IntentIndex intent) const {
  return intent < names_.intents.size() ? names_.intents[intent].name : std::string();
}

const char* name_of(Tier tier) {
  return tier == Tier::allow ? "allow" : tier == Tier::delay ? "delay" : "reject";
}

Status quota_status(const Quotas& quotas, OrgIndex org, IntentIndex intent, Tsc now) {
  Status s;
  s.intent = quotas.key_status(intent_key(org, intent), now);
  s.org = quotas.key_status(org_key(org), now);
  const auto tightness = [](const KeyStatus& k) {
    return std::pair(k.limit >= 0 ? static_cast<int>(k.tier) : -1, k.utilization_percent);
  };
  const bool org_rules = tightness(s.org) > tightness(s.intent);
  const KeyStatus& other = org_rules ? s.intent : s.org;
  s.rules = org_rules ? s.org : s.intent;
  if (other.remaining)
    s.rules.remaining = std::min(s.rules.remaining.value_or(*other.remaining), *other.remaining);
  s.rules.reset_seconds = std::max(s.rules.reset_seconds, other.reset_seconds);
  s.rules.throttle_ms = std::max(s.rules.throttle_ms, other.throttle_ms);
  return s;
}

std::vector<TopKey> top_keys(const Quotas& quotas, Rank rank, size_t count, Tsc now) {
  std::vector<std::pair<double, Key>> ranked;
  const Step step = quotas.windows().step_at(now);
  quotas.windows().for_each_open([&](Key key) {
    double value = 0;
    if (rank == Rank::used) value = quotas.windows().used(key, step);
    if (rank == Rank::rejected) value = static_cast<double>(quotas.windows().rejected(key));
    if (rank == Rank::utilization) value = quotas.key_status(key, now).utilization_percent;
    if (value > 0) ranked.emplace_back(value, key);
  });
  const auto higher = [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  };
  count = std::min(count, ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(count),
                    ranked.end(), higher);
  std::vector<TopKey> top;
  for (size_t i = 0; i < count; ++i)
    top.push_back({ranked[i].second, quotas.key_status(ranked[i].second, now)});
  return top;
}

}  // namespace lf::quota
