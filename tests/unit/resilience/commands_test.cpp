// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/commands.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "control/resilience/failover.hpp"
#include "control/resilience/replay_plan.hpp"
#include "tests/support/property.hpp"

namespace lf::resilience {
namespace {

using rpc::Json;

class ResilienceCommands : public ::testing::Test {
 protected:
  ResilienceCommands() {
    board.configure({{"orbit", "a", 11, 1, 1, {}}, {"audit", "a", 12, 2, 2, {}}});
    commands = breaker_commands(board, clock);
    for (auto& c : plan_commands()) commands.push_back(std::move(c));
  }
  Result<Json> call(const std::string& name, const Json& params = Json::object()) {
    for (const auto& c : commands)
      if (c.name == name) return c.handler(params);
    return fail(ErrorCode::not_found, "no command {}", name);
  }
  ErrorCode error(const std::string& name, const Json& params) {
    const auto r = call(name, params);
    EXPECT_FALSE(r) << *r;
    return r ? ErrorCode::internal : r.error().code;
  }

  ManualClock clock;
  std::unique_ptr<forward::NodeLive> live = std::make_unique<forward::NodeLive>();
  BreakerBoard board{*live, {}, 1};
  std::vector<rpc::Command> commands;
};

TEST_F(ResilienceCommands, ListsTripsAndResets) {
  auto list = call("breakers.list").value()["breakers"];
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]["node"], "a");
  EXPECT_EQ(list[0]["service"], "orbit");
  EXPECT_EQ(list[0]["state"], "closed");
  EXPECT_EQ(list[0]["failures"], 0);

  EXPECT_EQ(call("breaker.trip", {{"node", "audit/a"}}).value()["state"], "open");
  EXPECT_EQ(live->breaker(2).flag, forward::BreakerFlag::open);
  clock.advance_ms(10'000);
  board.tick(clock.mono_ns());
  list = call("breakers.list", {{"service", "audit"}}).value()["breakers"];
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0]["cause"], "tripped");
  EXPECT_EQ(list[0]["open_left_ms"], 20'000);
  EXPECT_EQ(list[0]["for_ms"], 10'000);
  EXPECT_EQ(list[0]["openings"], 1);

  EXPECT_EQ(call("breaker.reset", {{"node", 12}}).value()["state"], "closed");
  EXPECT_EQ(live->breaker(2).flag, forward::BreakerFlag::closed);
}

TEST_F(ResilienceCommands, ShowsTheTrialsOfAHalfOpenBreaker) {
  call("breaker.trip", {{"node", "11"}}).value();
  board.tick(clock.mono_ns());
  clock.advance_ms(30'000);
  board.tick(clock.mono_ns());
  const auto list = call("breakers.list").value()["breakers"];
  EXPECT_EQ(list[0]["state"], "half-open");
  EXPECT_EQ(list[0]["trials_left"], 3);
}

TEST_F(ResilienceCommands, RefusesWhatItCantName) {
  EXPECT_EQ(error("breaker.trip", {{"node", "a"}}), ErrorCode::invalid);
  EXPECT_EQ(error("breaker.trip", {{"node", "nobody"}}), ErrorCode::not_found);
  EXPECT_EQ(error("breaker.reset", {{"node", true}}), ErrorCode::invalid);
  EXPECT_EQ(error("breaker.reset", Json::object()), ErrorCode::invalid);
  EXPECT_EQ(error("breakers.list", {{"service", "nobody"}}), ErrorCode::not_found);
}

TEST_F(ResilienceCommands, PlansFailover) {
  const Json params{{"primary", "a"}, {"candidates", {"a", "b", "c"}}, {"degraded", {"b"}}};
  EXPECT_EQ(call("failover.plan", params).value(), (Json{{"region", "c"}}));
  EXPECT_EQ(call("failover.plan", {{"primary", "a"}}).value(), (Json{{"region", "a"}}));
  EXPECT_EQ(error("failover.plan", {{"candidates", {"b"}}}), ErrorCode::invalid);
  EXPECT_EQ(error("failover.plan", {{"primary", "a"}, {"degraded", {1}}}), ErrorCode::invalid);
}

TEST_F(ResilienceCommands, PlansReplay) {
  Json params{{"events", 1000}, {"timeout_s", 10}, {"primary", "a"}, {"candidates", {"b"}}};
  EXPECT_EQ(call("replay.plan", params).value(), (Json{{"budget", 108},
                                                       {"batch_size", 10},
                                                       {"retries", 5},
                                                       {"region", "b"},
                                                       {"outage_class", "critical"}}));
  params["events"] = 1e30;
  EXPECT_EQ(error("replay.plan", params), ErrorCode::invalid);
  params["events"] = UINT64_MAX;
  EXPECT_EQ(error("replay.plan", params), ErrorCode::invalid);
}

// What goes through JSON is what the functions say, over the whole range of the integers.
TEST_F(ResilienceCommands, PlansAgreeWithTheFunctions) {
  test::check_property(10'000, [&] {
    const int64_t events = *test::any_int64(), timeout_s = *test::any_int64();
    const auto region = rc::gen::elementOf(std::vector<std::string>{"a", "b", "c"});
    const auto list = rc::gen::scale(0.04, rc::gen::container<std::vector<std::string>>(region));
    const std::string primary = *region;
    const std::vector<std::string> candidates = *list, degraded = *list;
    const Json text{{"events", events},
                    {"timeout_s", timeout_s},
                    {"primary", primary},
                    {"candidates", candidates},
                    {"degraded", degraded}};
    const Json params = Json::parse(text.dump());
    const ReplayPlan plan = build_replay_plan(events, timeout_s, primary, candidates, degraded);
    const Json got = call("replay.plan", params).value();
    RC_ASSERT(got["budget"] == plan.budget);
    RC_ASSERT(got["batch_size"] == plan.batch_size);
    RC_ASSERT(got["retries"] == plan.retries);
    RC_ASSERT(got["region"] == plan.region);
    RC_ASSERT(got["outage_class"] == name(plan.outage_class));
    RC_ASSERT(call("failover.plan", params).value()["region"] ==
              choose_failover_region<std::string>(primary, candidates, degraded));
  });
}

}  // namespace
}  // namespace lf::resilience
