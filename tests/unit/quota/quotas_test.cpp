// SPDX-License-Identifier: Apache-2.0
// Control's side of quotas: limits from the configuration and at run time, status, top, reloads,
// the commands, and repeated exhaustion.
#include "control/quota/quotas.hpp"

#include <gtest/gtest.h>

#include "control/quota/commands.hpp"
#include "control/quota/exhaustion.hpp"
#include "control/quota/limits.hpp"
#include "control/quota/ranking.hpp"

namespace lf::quota {
namespace {

constexpr uint64_t kHz = 2'100'000'000;
constexpr Tsc kSecond = kHz;

config::Config two_orgs() {
  config::Config c;
  c.intents = {{.name = "status-refresh", .code = 1, .quota = {100, false}},
               {.name = "firmware-patch", .code = 5}};
  c.organisations = {{.name = "acme", .id = 1, .quota = {200, false}}, {.name = "globex", .id = 2}};
  c.organisations[1].intents["status-refresh"] = {40, true};
  return c;
}

class QuotasTest : public ::testing::Test {
 protected:
  QuotasTest() : config(two_orgs()) {
    EXPECT_TRUE(slots.sync(config));
    quotas = std::move(Quotas::create(config, slots, 1, kHz, now).value());
  }

  Result<void> configure() {
    return quotas->prepare(config, slots).map([this](Quotas::Prepared&& next) {
      quotas->take(std::move(next), now);
    });
  }
  Key key(std::string_view org, std::string_view intent = {}) {
    const OrgIndex o = *quotas->find_org(org);
    return intent.empty() ? org_key(o) : intent_key(o, *quotas->find_intent(intent));
  }
  void use(Key k, uint32_t n) {
    quotas->windows().reserve(k, quotas->windows().step_at(now), n, kLimitMax);
  }
  KeyStatus status(Key k) { return quotas->key_status(k, now); }

  config::Config config;
  forward::Slots slots;
  Tsc now = 1000 * kSecond;
  std::unique_ptr<Quotas> quotas;
};

TEST_F(QuotasTest, TableHasTheOrganisationsOwnLimitOrTheIntentsDefault) {
  const auto t = quotas->table();
  ASSERT_EQ(t->org_limits.size(), 2u);
  EXPECT_EQ(t->org_limits[0], 200u);
  EXPECT_EQ(t->org_limits[1], kUnlimited);
  EXPECT_EQ(t->intent_limits[0].by_intent[1], 100u);
  EXPECT_EQ(t->intent_limits[1].by_intent[1], 40u | kHard);
  EXPECT_EQ(t->intent_limits[0].by_intent[2], kUnlimited);
  EXPECT_EQ(t->intent_limits[0].by_intent[0], kUnlimited);
  EXPECT_EQ(t->intent_limits[0].by_intent[3], kUncounted) << "no such intent";
  EXPECT_EQ(t->delay_tsc[1], kHz * 80 / 1000);
  EXPECT_EQ(t->delay_tsc[6], kHz * 2560 / 1000);
  EXPECT_EQ(t->whole_below, 2u);
  EXPECT_EQ(quotas->table(), t) << "the same while nothing changes";
}

TEST_F(QuotasTest, EveryCountedKeyOfTheTableHasAWindow) {
  const auto t = quotas->table();
  for (OrgIndex o = 0; o < 2; ++o) {
    EXPECT_TRUE(quotas->windows().is_open(org_key(o)));
    for (IntentIndex i = 0; i < kIntentsMax; ++i)
      EXPECT_EQ(quotas->windows().is_open(intent_key(o, i)),
                t->intent_limits[o].by_intent[i] != kUncounted);
  }
}

TEST_F(QuotasTest, StatusFollowsTheTiers) {
  const Key k = key("acme", "status-refresh");
  EXPECT_EQ(status(k).tier, Tier::allow);
  EXPECT_EQ(status(k).remaining, 90u);
  use(k, 68);
  EXPECT_EQ(status(k).tier, Tier::allow);
  use(k, 1);  // the next one makes 70 of 100
  EXPECT_EQ(status(k).tier, Tier::delay);
  EXPECT_EQ(status(k).throttle_ms, 80u);
  EXPECT_DOUBLE_EQ(status(k).utilization_percent, 69.0);
  use(k, 20);
  EXPECT_EQ(status(k).throttle_ms, 2560u);
  EXPECT_EQ(status(k).remaining, 1u);
  now += 10 * kSecond;
  use(k, 1);
  const KeyStatus full = status(k);
  EXPECT_EQ(full.tier, Tier::reject);
  EXPECT_EQ(full.remaining, 0u);
  EXPECT_EQ(full.used, 90u);
  EXPECT_EQ(full.reset_seconds, 51u);
  EXPECT_EQ(full.throttle_ms, 51'000u);
  now += 51 * kSecond;
  EXPECT_EQ(status(k).tier, Tier::allow);
  EXPECT_EQ(status(k).used, 1u);
}

TEST_F(QuotasTest, TheTighterWindowRulesTheStatus) {
  const OrgIndex acme = *quotas->find_org("acme");
  const IntentIndex refresh = *quotas->find_intent("status-refresh");
  use(key("acme"), 178);
  use(key("acme", "status-refresh"), 20);
  Status s = quota_status(*quotas, acme, refresh, now);
  EXPECT_EQ(s.rules.limit, 200);
  EXPECT_EQ(s.rules.remaining, 2u);
  EXPECT_EQ(s.rules.tier, Tier::delay);
  EXPECT_EQ(s.intent.tier, Tier::allow);
  const IntentIndex patch = *quotas->find_intent("firmware-patch");
  s = quota_status(*quotas, acme, patch, now);
  EXPECT_EQ(s.rules.limit, 200) << "an intent without a limit does not rule";
  s = quota_status(*quotas, *quotas->find_org("globex"), patch, now);
  EXPECT_EQ(s.rules.limit, -1);
  EXPECT_FALSE(s.rules.remaining);
}

TEST_F(QuotasTest, ALimitSetAtRunTimeKeepsTheCount) {
  const Key k = key("acme", "status-refresh");
  const auto before = quotas->table();
  use(k, 50);
  ASSERT_TRUE(quotas->set(k, config::Quota{60, true}, now));
  const auto after = quotas->table();
  EXPECT_NE(before, after);
  EXPECT_EQ(before->intent_limits[0].by_intent[1], 100u) << "a published table never changes";
  EXPECT_EQ(after->intent_limits[0].by_intent[1], 60u | kHard);
  EXPECT_EQ(status(k).used, 50u);
  EXPECT_EQ(status(k).remaining, 4u);
  ASSERT_TRUE(quotas->set(k, std::nullopt, now));
  EXPECT_EQ(quotas->table()->intent_limits[0].by_intent[1], 100u);
  EXPECT_EQ(status(k).used, 50u);
}

TEST_F(QuotasTest, WhatWasUsedWithoutALimitCountsOnceThereIsOne) {
  const Key k = key("globex", "firmware-patch");
  use(k, 30);
  ASSERT_TRUE(quotas->set(k, config::Quota{20, false}, now));
  EXPECT_EQ(status(k).used, 30u);
  EXPECT_EQ(status(k).tier, Tier::reject);
  EXPECT_DOUBLE_EQ(status(k).utilization_percent, 150.0);
}

TEST_F(QuotasTest, QuotaZeroRejects) {
  const Key k = key("globex");
  ASSERT_TRUE(quotas->set(k, config::Quota{0, false}, now));
  EXPECT_EQ(status(k).tier, Tier::reject);
  EXPECT_EQ(status(k).remaining, 0u);
}

TEST_F(QuotasTest, AReloadKeepsCountsAndLimitsSetAtRunTime) {
  const Key acme = key("acme"), refresh = key("globex", "status-refresh");
  use(acme, 11);
  use(refresh, 7);
  ASSERT_TRUE(quotas->set(acme, config::Quota{500, false}, now));
  std::swap(config.organisations[0], config.organisations[1]);
  config.organisations[0].intents["status-refresh"] = {80, false};
  ASSERT_TRUE(slots.sync(config));
  ASSERT_TRUE(configure());
  EXPECT_EQ(key("acme"), acme);
  EXPECT_EQ(status(acme).used, 11u);
  EXPECT_EQ(status(acme).limit, 500);
  EXPECT_EQ(status(refresh).used, 7u);
  EXPECT_EQ(status(refresh).limit, 80);
}

TEST_F(QuotasTest, MoreLimitsThanWindowsAreRefusedWithoutAChange) {
  const Key acme = key("acme");
  const auto table = quotas->table();
  const uint32_t open = quotas->windows().open_keys();
  for (uint8_t code = 100; code < 113; ++code)
    config.intents.push_back({.name = fmt::format("i{}", code), .code = code, .quota = {9, false}});
  for (uint32_t id = 10; id < 10 + quotas->windows().rings() / 13; ++id)
    config.organisations.push_back({.name = fmt::format("o{}", id), .id = id});
  config.organisations[0].quota = {7, false};
  ASSERT_TRUE(slots.sync(config));
  const auto refused = configure();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("have no window"), std::string::npos);
  EXPECT_EQ(quotas->table(), table);
  EXPECT_EQ(quotas->windows().open_keys(), open);
  EXPECT_EQ(status(acme).limit, 200);
  EXPECT_FALSE(quotas->find_org("o10"));
}

TEST_F(QuotasTest, AnOrganisationThatIsGoneHasNoLimits) {
  const Key acme = key("acme");
  config.organisations.erase(config.organisations.begin());
  ASSERT_TRUE(slots.sync(config));
  ASSERT_TRUE(configure());
  EXPECT_FALSE(quotas->find_org("acme"));
  EXPECT_EQ(quotas->table()->org_limits[0], kUncounted);
  EXPECT_FALSE(quotas->set(acme, config::Quota{1, false}, now));
}

TEST_F(QuotasTest, TopRanksByUseUtilizationAndRejections) {
  use(key("acme"), 100);                       // 50 %
  use(key("globex", "status-refresh"), 36);    // 90 %
  use(key("globex", "firmware-patch"), 1000);  // no limit
  quotas->windows().note_rejected(key("acme"), quotas->windows().step_at(now), 3);
  auto top = top_keys(*quotas, Rank::used, 2, now);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0].key, key("globex", "firmware-patch"));
  EXPECT_EQ(top[1].key, key("acme"));
  top = top_keys(*quotas, Rank::utilization, 10, now);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0].key, key("globex", "status-refresh"));
  top = top_keys(*quotas, Rank::rejected, 10, now);
  ASSERT_EQ(top.size(), 1u);
  EXPECT_EQ(top[0].status.rejected, 3u);
}

TEST(QuotaLimits, AreTakenWithinTheRangeOfATable) {
  EXPECT_EQ(limit_of({-1, true}), kUnlimited);
  EXPECT_EQ(limit_of({0, false}), 0u);
  EXPECT_EQ(limit_of({7, true}), 7u | kHard);
  EXPECT_EQ(limit_of({int64_t{1} << 40, false}), kLimitMax);
}

class QuotaCommands : public QuotasTest {
 protected:
  QuotaCommands()
      : commands(quota_commands({*quotas, [this] { return now; }, [this] { ++published; }})) {}

  Result<rpc::Json> call(std::string_view name, const char* params) {
    for (const auto& c : commands)
      if (c.name == name) return c.handler(rpc::Json::parse(params));
    return fail(ErrorCode::not_found, "{}", name);
  }

  int published = 0;
  std::vector<rpc::Command> commands;
};

TEST_F(QuotaCommands, StatusHasTheFieldsOfTheTighterLimit) {
  use(key("acme", "status-refresh"), 85);
  const auto s = call("quota.status", R"({"org": "acme", "intent": "status-refresh"})").value();
  EXPECT_EQ(s["used"], 85);
  EXPECT_EQ(s["limit"], 100);
  EXPECT_EQ(s["utilization_percent"], 85.0);
  EXPECT_EQ(s["tier"], "delay");
  EXPECT_EQ(s["quota_remaining"], 5);
  EXPECT_EQ(s["reset_seconds"], 0);
  EXPECT_EQ(s["throttle_ms"], 1280);
  EXPECT_EQ(s, call("quota.status", R"({"org": 1, "intent": 1})").value()) << "by id and code";
  const auto all = call("quota.status", R"({"org": 1})").value();
  EXPECT_EQ(all["limit"], 200);
  ASSERT_EQ(all["intents"].size(), 3u);
  EXPECT_EQ(all["intents"][0]["intent"], "other");
  EXPECT_EQ(all["intents"][1]["used"], 85);
}

TEST_F(QuotaCommands, SetAppliesAndPublishes) {
  const auto s = call("quota.set", R"({"org": "acme", "intent": 5, "limit": 30, "hard": true})");
  ASSERT_TRUE(s) << s.error().message;
  EXPECT_EQ((*s)["limit"], 30);
  EXPECT_EQ((*s)["hard"], true);
  EXPECT_EQ((*s)["set_at_run_time"], true);
  EXPECT_EQ(published, 1);
  EXPECT_EQ(quotas->table()->intent_limits[0].by_intent[2], 30u | kHard);
  ASSERT_TRUE(call("quota.set", R"({"org": "acme", "intent": 5, "per_minute": -1})"));
  EXPECT_EQ(quotas->table()->intent_limits[0].by_intent[2], kUnlimited);
  ASSERT_TRUE(call("quota.set", R"({"org": "acme", "limit": null})"));
  EXPECT_EQ(quotas->table()->org_limits[0], 200u);
}

TEST_F(QuotaCommands, SaysWhatIsWrong) {
  const auto says = [&](std::string_view name, const char* params) {
    const auto r = call(name, params);
    return r ? "no error" : r.error().message;
  };
  EXPECT_EQ(says("quota.status", "{}"), "org: is missing");
  EXPECT_EQ(says("quota.status", R"({"org": "nobody"})"), "org: \"nobody\" is not configured");
  EXPECT_EQ(says("quota.status", R"({"org": -1})"), "org: must be a name or an id");
  EXPECT_EQ(says("quota.status", R"({"org": 1, "intent": "x"})"),
            "intent: \"x\" is not configured");
  EXPECT_EQ(says("quota.set", R"({"org": 1})"),
            "give limit: commands per minute, -1 for none, or null");
  EXPECT_EQ(says("quota.set", R"({"org": 1, "limit": 1.5})"), "limit: must be an integer");
  EXPECT_EQ(says("quota.set", R"({"org": 1, "limit": -2})"),
            "limit: -2 is not within -1..2147483632");
  EXPECT_EQ(says("quota.top", R"({"by": "size"})"),
            "by: \"size\" is none of used, utilization, rejected");
  EXPECT_EQ(says("admission.evaluate", R"({"backlog": 1})"), "inflight: is missing");
  EXPECT_EQ(published, 0);
}

TEST_F(QuotaCommands, AdmissionCarriesTheQuota) {
  use(key("globex", "status-refresh"), 36);
  auto a = call("admission.evaluate", R"({"backlog": 50, "inflight": 35, "hard_limit": 100,
                "org": "globex", "intent": "status-refresh"})")
               .value();
  EXPECT_EQ(a["accepted"], true);
  EXPECT_EQ(a["reason"], "degraded");
  EXPECT_EQ(a["ratio"], 0.85);
  EXPECT_EQ(a["quota_remaining"], 0);
  EXPECT_EQ(a["reset_seconds"], 61);
  EXPECT_EQ(a["throttle_ms"], 61'000);
  a = call("admission.evaluate", R"({"backlog": 100, "inflight": -3, "hard_limit": 100})").value();
  EXPECT_EQ(a["accepted"], false);
  EXPECT_EQ(a["reason"], "hard-limit");
  EXPECT_TRUE(a["quota_remaining"].is_null());
}

TEST_F(QuotasTest, RankingKeepsTheTightestOfTheLimited) {
  use(key("acme", "status-refresh"), 50);    // of 100
  use(key("acme"), 60);                      // of 200
  use(key("globex", "status-refresh"), 10);  // of 40
  use(key("globex"), 1000);                  // no limit
  Ranking ranking(2);
  // A walk may take several calls; what it found shows once it is whole.
  const uint32_t windows = quotas->windows().open_keys();
  for (uint32_t looked = 0; looked < windows; looked += 3) {
    EXPECT_TRUE(ranking.top().empty());
    ranking.walk(*quotas, 3, now);
  }
  ASSERT_EQ(ranking.top().size(), 2u);
  EXPECT_EQ(ranking.top()[0].key, key("acme", "status-refresh"));
  EXPECT_EQ(ranking.top()[0].status.utilization_percent, 50);
  EXPECT_EQ(ranking.top()[1].key, key("acme"));
  now += 62 * kSecond;  // nobody has used anything lately, but this one has rejected
  quotas->windows().note_rejected(key("globex", "status-refresh"), quotas->windows().step_at(now),
                                  1);
  ranking.walk(*quotas, windows, now);
  ASSERT_EQ(ranking.top().size(), 1u);
  EXPECT_EQ(ranking.top()[0].key, key("globex", "status-refresh"));
}

constexpr MonoNs kNs = 1'000'000'000;

TEST(Exhaustion, ThreeWithinFiveMinutesNotify) {
  ExhaustionTracker t(3, 300 * kNs);
  EXPECT_FALSE(t.rejected(1, 0));
  t.tick(10 * kNs, [](Key) { return true; });
  EXPECT_FALSE(t.rejected(1, 100 * kNs));
  t.tick(110 * kNs, [](Key) { return true; });
  EXPECT_FALSE(t.rejected(2, 120 * kNs)) << "another key counts for itself";
  EXPECT_TRUE(t.rejected(1, 300 * kNs));
  t.tick(310 * kNs, [](Key) { return true; });
  EXPECT_FALSE(t.rejected(1, 320 * kNs)) << "counting starts anew";
}

TEST(Exhaustion, ThreeInMoreThanFiveMinutesDoNot) {
  ExhaustionTracker t(3, 300 * kNs);
  for (const MonoNs at : {0, 150, 301, 452}) {
    EXPECT_FALSE(t.rejected(1, at * kNs)) << at;
    t.tick(at * kNs, [](Key) { return true; });
  }
}

TEST(Exhaustion, StayingExhaustedCountsOncePerWindow) {
  ExhaustionTracker t(3, 300 * kNs);
  std::vector<int> notified;
  for (int s = 0; s < 300; ++s) {  // rejections in every second, never back below 70 %
    if (t.rejected(1, s * kNs)) notified.push_back(s);
    t.tick(s * kNs, [](Key) { return false; });
  }
  EXPECT_EQ(notified, (std::vector<int>{120}));
  EXPECT_EQ(t.exhaustions(), 5u);
}

TEST(Exhaustion, NewLimitsCountWhatWasBefore) {
  ExhaustionTracker t(3, 300 * kNs);
  EXPECT_FALSE(t.rejected(1, 0));
  t.set_limits(2, 300 * kNs);
  EXPECT_TRUE(t.rejected(1, 100 * kNs));
  EXPECT_FALSE(t.rejected(1, 200 * kNs));
  t.set_limits(2, 50 * kNs);
  EXPECT_FALSE(t.rejected(1, 300 * kNs)) << "the last one is too long ago now";
}

TEST(Exhaustion, QuietKeysAreForgotten) {
  ExhaustionTracker t(3, 300 * kNs);
  t.rejected(1, 0);
  t.tick(300 * kNs, [](Key) { return true; });
  EXPECT_EQ(t.tracked(), 1u);
  t.tick(301 * kNs, [](Key) { return true; });
  EXPECT_EQ(t.tracked(), 0u);
}

TEST_F(QuotasTest, RepeatedExhaustionBecomesAnEvent) {
  ExhaustionTracker tracker(3, 300 * kNs);
  const Key k = key("acme", "status-refresh");
  std::vector<notify::Event> events;
  for (int minute = 0; minute < 3; ++minute) {
    use(k, 90);
    quotas->windows().note_rejected(k, quotas->windows().step_at(now), 1);
    events = watch_exhaustion(*quotas, tracker, now, minute * 61 * kNs);
    EXPECT_EQ(events.size(), minute == 2 ? 1u : 0u);
    now += 61 * kSecond;
    EXPECT_TRUE(watch_exhaustion(*quotas, tracker, now, (minute * 61 + 60) * kNs).empty());
  }
  EXPECT_EQ(events[0].severity, 3);
  EXPECT_EQ(events[0].subsystem, "quota");
  EXPECT_EQ(events[0].labels.at("org"), "acme");
  EXPECT_EQ(events[0].labels.at("intent"), "status-refresh");
}

}  // namespace
}  // namespace lf::quota
