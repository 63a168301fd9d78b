// SPDX-License-Identifier: Apache-2.0
#include "control/quota/commands.hpp"

#include <algorithm>
#include <utility>

#include "dataplane/admission/admission.hpp"

namespace lf::quota {
namespace {

using rpc::Json;

constexpr int64_t kTopDefault = 10, kTopMax = 10'000;

Result<int64_t> integer(const Json& params, const char* name, std::optional<int64_t> absent) {
  const auto it = params.find(name);
  if (it == params.end() || it->is_null()) {
    if (absent) return *absent;
    return fail(ErrorCode::invalid, "{}: is missing", name);
  }
  if (!it->is_number_integer()) return fail(ErrorCode::invalid, "{}: must be an integer", name);
  if (it->is_number_unsigned() && it->get<uint64_t>() > INT64_MAX)
    return fail(ErrorCode::invalid, "{}: {} is too large", name, it->get<uint64_t>());
  return it->get<int64_t>();
}

bool has(const Json& params, const char* name) {
  const auto it = params.find(name);
  return it != params.end() && !it->is_null();
}

Result<OrgIndex> org_in(const Quotas& quotas, const Json& params) {
  const auto it = params.find("org");
  if (it == params.end()) return fail(ErrorCode::invalid, "org: is missing");
  std::optional<OrgIndex> org;
  if (it->is_string())
    org = quotas.find_org(std::string_view(it->get_ref<const std::string&>()));
  else if (it->is_number_unsigned() && it->get<uint64_t>() <= UINT32_MAX)
    org = quotas.find_org(it->get<uint32_t>());
  else
    return fail(ErrorCode::invalid, "org: must be a name or an id");
  if (!org) return fail(ErrorCode::not_found, "org: {} is not configured", it->dump());
  return *org;
}

// A name, or a code: a code that no intent has is "other", as on the wire.
Result<IntentIndex> intent_in(const Quotas& quotas, const Json& params) {
  const Json& value = params.at("intent");
  if (value.is_string()) {
    if (const auto i = quotas.find_intent(value.get_ref<const std::string&>())) return *i;
    return fail(ErrorCode::not_found, "intent: {} is not configured", value.dump());
  }
  if (value.is_number_unsigned() && value.get<uint64_t>() <= UINT8_MAX)
    return quotas.find_intent(static_cast<uint8_t>(value.get<uint64_t>()));
  return fail(ErrorCode::invalid, "intent: must be a name or a code 0..255");
}

Json to_json(const KeyStatus& s) {
  Json json{{"used", s.used},
            {"limit", s.limit},
            {"hard", s.hard},
            {"utilization_percent", s.utilization_percent},
            {"tier", name_of(s.tier)},
            {"reset_seconds", s.reset_seconds},
            {"throttle_ms", s.throttle_ms},
            {"rejected", s.rejected},
            {"counted", s.counted}};
  json["quota_remaining"] = s.remaining ? Json(*s.remaining) : Json(nullptr);
  return json;
}

Json named(const Quotas& quotas, Key key, const KeyStatus& s) {
  Json json = to_json(s);
  json["org"] = quotas.org_name(org_of(key));
  if (!is_org_key(key)) json["intent"] = quotas.intent_name(intent_of(key));
  json["set_at_run_time"] = quotas.is_set(key);
  return json;
}

Json status_of(const Quotas& quotas, OrgIndex org, IntentIndex intent, Tsc now) {
  const Status s = quota_status(quotas, org, intent, now);
  Json json = to_json(s.rules);
  json["org"] = quotas.org_name(org);
  json["intent"] = quotas.intent_name(intent);
  json["of_intent"] = named(quotas, intent_key(org, intent), s.intent);
  json["of_org"] = named(quotas, org_key(org), s.org);
  return json;
}

Result<Json> status(const CommandContext& c, const Json& params) {
  const auto org = org_in(c.quotas, params);
  if (!org) return tl::unexpected(org.error());
  const Tsc now = c.now();
  if (has(params, "intent")) {
    const auto intent = intent_in(c.quotas, params);
    if (!intent) return tl::unexpected(intent.error());
    return status_of(c.quotas, *org, *intent, now);
  }
  Json json = named(c.quotas, org_key(*org), c.quotas.key_status(org_key(*org), now));
  Json& intents = json["intents"] = Json::array();
  for (IntentIndex i = 0; i < kIntentsMax; ++i) {
    if (c.quotas.intent_name(i).empty()) continue;
    const Key key = intent_key(*org, i);
    intents.push_back(named(c.quotas, key, c.quotas.key_status(key, now)));
  }
  return json;
}

Result<Json> set(const CommandContext& c, const Json& params) {
  const auto org = org_in(c.quotas, params);
  if (!org) return tl::unexpected(org.error());
  Key key = org_key(*org);
  if (has(params, "intent")) {
    const auto intent = intent_in(c.quotas, params);
    if (!intent) return tl::unexpected(intent.error());
    key = intent_key(*org, *intent);
  }
  const bool given = params.contains("limit"), per_minute = params.contains("per_minute");
  if (given == per_minute)
    return fail(ErrorCode::invalid, "give limit: commands per minute, -1 for none, or null");
  const char* name = given ? "limit" : "per_minute";
  std::optional<config::Quota> quota;
  if (has(params, name)) {
    const auto limit = integer(params, name, std::nullopt);
    if (!limit) return tl::unexpected(limit.error());
    if (*limit < -1 || *limit > kLimitMax)
      return fail(ErrorCode::invalid, "{}: {} is not within -1..{}", name, *limit, kLimitMax);
    quota = config::Quota{*limit, false};
    if (const auto hard = params.find("hard"); hard != params.end() && !hard->is_null()) {
      if (!hard->is_boolean()) return fail(ErrorCode::invalid, "hard: must be true or false");
      quota->hard = hard->get<bool>();
    }
  }
  const Tsc now = c.now();
  if (auto r = c.quotas.set(key, quota, now); !r) return tl::unexpected(r.error());
  c.publish();
  return named(c.quotas, key, c.quotas.key_status(key, now));
}

Result<Json> top(const CommandContext& c, const Json& params) {
  const auto count = integer(params, "count", kTopDefault);
  if (!count) return tl::unexpected(count.error());
  if (*count < 1 || *count > kTopMax)
    return fail(ErrorCode::invalid, "count: {} is not within 1..{}", *count, kTopMax);
  const std::string by = has(params, "by") ? params.at("by").dump() : "\"used\"";
  Rank rank = Rank::used;
  if (by == "\"utilization\"")
    rank = Rank::utilization;
  else if (by == "\"rejected\"")
    rank = Rank::rejected;
  else if (by != "\"used\"")
    return fail(ErrorCode::invalid, "by: {} is none of used, utilization, rejected", by);
  Json keys = Json::array();
  for (const TopKey& t : top_keys(c.quotas, rank, static_cast<size_t>(*count), c.now()))
    keys.push_back(named(c.quotas, t.key, t.status));
  return Json{{"keys", std::move(keys)},
              {"windows", c.quotas.windows().open_keys()},
              {"windows_max", c.quotas.windows().rings()}};
}

Result<Json> evaluate(const CommandContext& c, const Json& params) {
  const auto backlog = integer(params, "backlog", std::nullopt);
  if (!backlog) return tl::unexpected(backlog.error());
  const auto inflight = integer(params, "inflight", std::nullopt);
  if (!inflight) return tl::unexpected(inflight.error());
  const auto hard_limit = integer(params, "hard_limit", std::nullopt);
  if (!hard_limit) return tl::unexpected(hard_limit.error());
  const auto d = admission::admission_control(*backlog, *inflight, *hard_limit);
  Json json{{"accepted", d.accepted}, {"reason", admission::name_of(d.reason)}, {"ratio", d.ratio}};
  KeyStatus s;
  if (has(params, "org")) {
    const auto org = org_in(c.quotas, params);
    if (!org) return tl::unexpected(org.error());
    s = c.quotas.key_status(org_key(*org), c.now());
    if (has(params, "intent")) {
      const auto intent = intent_in(c.quotas, params);
      if (!intent) return tl::unexpected(intent.error());
      s = quota_status(c.quotas, *org, *intent, c.now()).rules;
    }
  } else if (has(params, "intent")) {
    return fail(ErrorCode::invalid, "intent: needs org");
  }
  json["quota_remaining"] = s.remaining ? Json(*s.remaining) : Json(nullptr);
  json["reset_seconds"] = s.reset_seconds;
  json["throttle_ms"] = s.throttle_ms;
  return json;
}

}  // namespace

std::vector<rpc::Command> quota_commands(CommandContext context) {
  const rpc::Parameter org{"org", "any", true, "organisation, by name or id"};
  const rpc::Parameter intent{"intent", "any", false, "intent, by name or code"};
  using Handler = Result<Json> (*)(const CommandContext&, const Json&);
  const auto bind = [&](Handler handler) {
    return [context, handler](const Json& params) { return handler(context, params); };
  };
  return {
      {"quota.status",
       "what an organisation has used of its quota, for one intent or all of them",
       {org, intent},
       false,
       bind(status)},
      {"quota.set",
       "set a limit until it is taken back or the daemon stops; counts stay",
       {org,
        intent,
        {"limit", "any", false, "commands per minute; -1: no limit; null: the configuration's"},
        {"per_minute", "any", false, "another name for limit"},
        {"hard", "boolean", false, "no delay tier"}},
       true,
       bind(set)},
      {"quota.top",
       "the keys that rank highest",
       {{"by", "string", false, "used (default), utilization, rejected"},
        {"count", "integer", false, "how many; 10 unless given"}},
       false,
       bind(top)},
      {"admission.evaluate",
       "whether a command would be taken in at this load, and what is left of its quota",
       {{"backlog", "integer", true, "commands waiting"},
        {"inflight", "integer", true, "commands in flight"},
        {"hard_limit", "integer", true, "most of both together"},
        {"org", "any", false, "organisation, by name or id"},
        intent},
       false,
       bind(evaluate)},
  };
}

}  // namespace lf::quota
