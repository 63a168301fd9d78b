// SPDX-License-Identifier: Apache-2.0
// The control socket's policy commands, compare mode and replay, over a real engine.
#include "control/policy/commands.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "control/audit/collector.hpp"
#include "control/audit/query.hpp"
#include "control/rpc/command_table.hpp"
#include "dataplane/audit/audit.hpp"
#include "dataplane/identity/identity.hpp"
#include "dataplane/policy/policy.hpp"
#include "tests/unit/policy/random_rules.hpp"

namespace lf::policy {
namespace {

using rpc::Json;

config::Config config_of_test() {
  config::Config c;
  c.policy.store = ":memory:";
  c.organisations = {{"acme", 1}, {"globex", 2}};
  c.operators = {{7, "ann", {"security"}, 2, 0, {"acme"}}, {8, "bob", {"planner"}, 1, 0, {}}};
  c.targets = {{100, 70, "leo", false}, {101, 50, "geo", true}};
  return c;
}

struct CommandsTest : testing::Test {
  ManualClock clock;
  std::unique_ptr<Engine> engine = Engine::create(config_of_test(), clock, 1).value();
  Compare compare{*engine};
  CommandContext context{*engine, compare, clock, ""};
  rpc::CommandTable table;

  CommandsTest() { table.add(commands(context)); }

  Result<Json> call(const char* name, Json params = Json::object()) {
    const rpc::Command* command = table.find(name);
    EXPECT_TRUE(command) << name;
    auto bound = rpc::bind_parameters(*command, std::move(params));
    if (!bound) return bound;
    return command->handler(*bound);
  }
  Json ok(const char* name, Json params = Json::object()) {
    auto result = call(name, std::move(params));
    EXPECT_TRUE(result) << name << ": " << (result ? "" : result.error().message);
    return result.value_or(Json());
  }
  std::string outcome(Json params) { return ok("policy.evaluate", std::move(params))["outcome"]; }
};

TEST_F(CommandsTest, EvaluateByEngineAndFunctionsAgreesOnItsWholeDomain) {
  uint32_t cases = 0;
  for (const char* intent : {"status-refresh", "replay-window", "orbit-adjust", "failover-region",
                             "firmware-patch", "unheard-of"})
    for (int clearance = 0; clearance <= 5; ++clearance)
      for (int mfa = 0; mfa <= 3; ++mfa)
        for (int severity = 0; severity <= 6; ++severity)
          for (const double risk : {0.0, 49.9999, 50.0, 64.9999, 65.0, 100.0}) {
            Json q = {{"intent", intent}, {"clearance", clearance},
                      {"mfa_level", mfa}, {"severity", severity},
                      {"risk", risk},     {"comms_degraded", cases % 2 == 1}};
            const std::string engine_says = outcome(q);
            q["path"] = "plain";
            const std::string plain_says = outcome(q);
            q["path"] = "functions";
            ASSERT_EQ(engine_says, outcome(q)) << q.dump();
            ASSERT_EQ(engine_says, plain_says) << q.dump();
            ++cases;
          }
}

TEST_F(CommandsTest, EvaluateLooksUpOperatorsAndTargets) {
  EXPECT_EQ(outcome({{"org", "acme"}, {"operator", 7}, {"intent", "firmware-patch"}}), "allow");
  EXPECT_EQ(outcome({{"org", "globex"}, {"operator", 7}, {"intent", "firmware-patch"}}), "deny");
  EXPECT_EQ(outcome({{"org", 2}, {"operator", 8}, {"intent", 3}}), "allow");
  EXPECT_EQ(outcome({{"org", "acme"}, {"operator", 7}, {"intent", 1}, {"target", 100}}), "hold");
  EXPECT_EQ(outcome({{"org", "acme"}, {"operator", 7}, {"intent", 1}, {"target", 101}}), "hold");
  const Json r = ok("policy.evaluate",
                    {{"roles", {"observer"}}, {"intent", "status-refresh"}, {"explain", true}});
  EXPECT_EQ(r["rule"], "authorized");
  EXPECT_EQ(r["version"], 1);
  EXPECT_EQ(r["explain"].back(), "authorized: matches: allow");
}

TEST_F(CommandsTest, EvaluateRefusesNonsense) {
  EXPECT_FALSE(call("policy.evaluate", {{"org", "umbrella"}}));
  EXPECT_FALSE(call("policy.evaluate", {{"version", 99}}));
  EXPECT_FALSE(call("policy.evaluate", {{"path", "elsewhere"}}));
  EXPECT_FALSE(call("policy.evaluate", {{"payload_base64", "?"}}));
}

TEST_F(CommandsTest, PayloadPatterns) {
  const int version = ok("policy.load", {{"text", R"(
patterns: {wipe: {regex: wipe, caseless: true}}
rules: [{id: w, outcome: deny, when: {payload: wipe}}, {id: rest, outcome: allow}]
)"}})["version"];
  EXPECT_EQ(outcome({{"version", version}, {"payload", "WIPE it"}}), "deny");
  EXPECT_EQ(outcome({{"version", version}, {"payload_base64", "d2lwZQ=="}}), "deny");
  EXPECT_EQ(outcome({{"version", version}, {"payload", "hello"}}), "allow");
}

TEST_F(CommandsTest, GateIsTheFunctions) {
  const Json r = ok("policy.gate", {{"snapshot", {{"temperature_c", 80}, {"fuel_kg", 100}}},
                                    {"burns", {2.0, 1.5}},
                                    {"incidents", {1, 2}},
                                    {"comms_degraded", true},
                                    {"operator_clearance", 2},
                                    {"manual_override", true},
                                    {"approvals", {"a", "b", "a"}}});
  EXPECT_EQ(r["risk"], 75.25);
  EXPECT_EQ(r["hold"], true);
  EXPECT_EQ(r["approved"], true);
  EXPECT_EQ(r["dual_control"], true);
  EXPECT_EQ(r["escalation"], "director");
  EXPECT_EQ(r["tags"], Json({"review-required", "board-notify"}));
  EXPECT_EQ(r["reasons"],
            Json({"risk-hold", "insufficient-clearance", "manual-override", "comms-degraded"}));
}

TEST_F(CommandsTest, LoadActivateRollback) {
  const Json loaded = ok("policy.load", {{"text", "rules: [{id: no, outcome: deny}]"}});
  EXPECT_EQ(loaded["version"], 2);
  EXPECT_EQ(outcome({{"clearance", 5}, {"mfa_level", 2}}), "allow");
  EXPECT_EQ(ok("policy.activate", {{"version", 2}})["version"], 2);
  EXPECT_EQ(outcome({{"clearance", 5}, {"mfa_level", 2}}), "deny");
  EXPECT_EQ(outcome({{"clearance", 5}, {"mfa_level", 2}, {"version", 1}}), "allow");
  const Json list = ok("policy.list");
  EXPECT_EQ(list["versions"].size(), 2u);
  EXPECT_EQ(list["versions"][1]["state"], "active");
  EXPECT_EQ(ok("policy.rollback")["version"], 1);
  EXPECT_EQ(outcome({{"clearance", 5}, {"mfa_level", 2}}), "allow");
  EXPECT_FALSE(call("policy.rollback"));
}

TEST_F(CommandsTest, CheckStoresNothing) {
  const Json bad = ok("policy.check", {{"text", "rules:\n  - {id: r, outcome: maybe}\n  - {}"}});
  EXPECT_EQ(bad["ok"], false);
  EXPECT_EQ(bad["errors"].size(), 3u);
  EXPECT_EQ(bad["errors"][0]["line"], 2);
  const Json warned = ok("policy.check", {{"text",
                                           "rules: [{id: a, outcome: deny}, {id: b, "
                                           "outcome: allow, when: {role: pilot}}]"}});
  EXPECT_EQ(warned["ok"], true);
  EXPECT_EQ(warned["warnings"].size(), 1u);
  EXPECT_EQ(ok("policy.list")["versions"].size(), 1u);
  EXPECT_FALSE(engine->vocabulary().roles.find("pilot"));
}

TEST_F(CommandsTest, Diff) {
  ok("policy.load", {{"text", "rules: [{id: a, outcome: allow}]"}});
  ok("policy.load", {{"text",
                      "rules: [{id: n, outcome: deny, when: {intent: firmware-patch, "
                      "clearance: 3..4}}, {id: a, outcome: allow}]"}});
  const Json r = ok("policy.diff", {{"from", 2}, {"to", 3}});
  ASSERT_EQ(r["differences"].size(), 1u);
  EXPECT_EQ(r["differences"][0]["text"], "clearance 3-4, intent firmware-patch: allow -> deny");
}

TEST_F(CommandsTest, TablesChangeWhatIsDecided) {
  const Json q = {{"org", "acme"}, {"operator", 50}, {"intent", 2}, {"target", 300}};
  EXPECT_EQ(outcome(q), "deny");
  ok("operator.set", {{"operator", 50}, {"roles", {"operator"}}, {"organisations", {"acme"}}});
  EXPECT_EQ(outcome(q), "allow");
  EXPECT_EQ(ok("risk.set", {{"target", 300}, {"risk", 65}})["requires_hold"], true);
  EXPECT_EQ(outcome(q), "hold");
  ok("risk.set",
     {{"target", 300}, {"snapshot", {{"temperature_c", 20}, {"fuel_kg", 100}}}, {"burns", {4.0}}});
  EXPECT_EQ(outcome(q), "allow");  // 22 + 30
  ok("risk.set", {{"target", 300}, {"comms_degraded", true}});
  EXPECT_EQ(outcome(q), "hold");
  EXPECT_FALSE(call("risk.set", {{"target", 300}, {"risk", 101}}));
  EXPECT_FALSE(call("operator.set", {{"operator", 50}, {"organisations", {"umbrella"}}}));
}

// Live commands through the stages, as a worker runs them: identity, policy, audit; then compare
// mode and replay over what they left behind.
struct LiveTest : CommandsTest {
  std::string dir = testing::TempDir() + "lf_live_" + std::to_string(getpid());
  audit::Ring ring{4096};
  audit::State audit_state;
  State policy_state;
  std::unique_ptr<Burst> burst = std::make_unique<Burst>();
  lcp::Header header{};
  std::unique_ptr<audit::Collector> collector;
  RandomRules random{11, 2, false};

  void SetUp() override {
    std::filesystem::remove_all(dir);
    audit_state.ring = &ring;
    audit::Collector::Options options;
    options.directory = dir;
    collector = audit::Collector::create(options, {&ring}, clock).value();
    collector->set_tap([this](std::span<const audit::Record> r) { compare.offer(r); });
    context.audit_directory = dir;
  }
  void TearDown() override {
    collector.reset();
    std::filesystem::remove_all(dir);
  }
  void run(uint32_t commands) {
    for (uint32_t n = 0; n < commands; n += kBurstMax) {
      const auto table = engine->table().value();
      Selection all, live;
      for (uint32_t i = 0; i < kBurstMax; ++i) {
        Meta& m = burst->meta[i];
        m = Meta{};
        m.lcp = &header;
        m.org = random.below(3) == 0 ? kNoOrg : random.below(2);
        m.org_id = m.org == kNoOrg ? 9 : m.org + 1;
        m.operator_id = 6 + random.below(4);
        m.target_id = 99 + random.below(4);
        m.intent = static_cast<uint8_t>(random.below(8));
        m.severity = static_cast<uint8_t>(1 + random.below(5));
        all.add(i);
      }
      live = all;
      identity::run(table->identity, *burst, live, static_cast<uint64_t>(clock.unix_us()));
      policy::run(*table, policy_state, *burst, live);
      audit::append(audit_state, *burst, all, static_cast<uint64_t>(clock.unix_us()));
      collector->poll();
      compare.tick();
    }
    collector->flush();
  }
  audit::ReplayReport replay() {
    audit::Filter all;
    all.limit = UINT64_MAX;
    return audit::replay(dir, all,
                         [this](uint32_t version, const Inputs& in) -> Result<Decision> {
                           auto answer = engine->evaluate(in, version);
                           if (!answer) return tl::unexpected(answer.error());
                           return answer->decision;
                         })
        .value();
  }
};

TEST_F(LiveTest, CompareFindsNoDisagreementWithTheShippedRules) {
  ok("policy.compare", {{"action", "start"}});
  run(64'000);
  const Json r = ok("policy.compare", {{"action", "stop"}});
  EXPECT_EQ(r["compared"], 64'000);
  EXPECT_EQ(r["disagreements"], 0);
}

TEST_F(LiveTest, CompareFindsARuleThatWasChanged) {
  std::string text = engine->text(1).value();
  text.replace(text.find("risk: \">= 65\""), 13, "risk: \">= 75\"");
  const int version = ok("policy.load", {{"text", text}})["version"];
  ok("policy.activate", {{"version", version}});
  ok("policy.compare", {{"action", "start"}});
  run(6'400);
  const Json r = ok("policy.compare", {{"action", "stop"}});
  EXPECT_GT(r["disagreements"].get<int>(), 0);
  const Json example = r["examples"][0];
  EXPECT_EQ(example["outcome"], "allow");
  EXPECT_EQ(example["other_outcome"], "hold");
  EXPECT_EQ(example["risk"], 70.0);
  // The same on history, and none against the version that decided.
  EXPECT_EQ(ok("policy.compare", {{"action", "history"}})["disagreements"], r["disagreements"]);
  EXPECT_EQ(ok("policy.compare", {{"action", "history"}, {"version", version}})["disagreements"],
            0);
}

TEST_F(LiveTest, ReplayReproducesEveryDecisionAcrossActivations) {
  const int deny = ok("policy.load", {{"text",
                                       "rules: [{id: no, outcome: deny, when: {org: acme}}, "
                                       "{id: t, outcome: hold, when: {target: leo}}, "
                                       "{id: yes, outcome: allow}]"}})["version"];
  run(6'400);
  ok("policy.activate", {{"version", deny}, {"organisations", {"globex"}}});
  run(6'400);
  ok("policy.activate", {{"version", deny}});
  run(6'400);
  ok("policy.rollback");
  run(6'400);
  const audit::ReplayReport r = replay();
  EXPECT_EQ(r.decisions, 25'600u);
  EXPECT_EQ(r.same, 25'600u);
  EXPECT_EQ(r.different, 0u);
}

}  // namespace
}  // namespace lf::policy
