// SPDX-License-Identifier: Apache-2.0
#include "control/health/commands.hpp"

#include <gtest/gtest.h>

#include "tests/unit/health/mesh.hpp"

namespace lf::health {
namespace {

using rpc::Json;
using test::Mesh;

// The clock of a mesh, so that handlers and ticks agree on the time.
class MeshClock final : public Clock {
 public:
  explicit MeshClock(const Mesh& mesh) : mesh_(mesh) {}
  MonoNs mono_ns() const override { return mesh_.now.mono; }
  UnixUs unix_us() const override { return mesh_.now.unix_us; }

 private:
  const Mesh& mesh_;
};

class Commands : public ::testing::Test {
 protected:
  void SetUp() override {
    config::Intent status;
    status.name = "status-refresh";
    status.code = 1;
    status.chain = {"intake", "orbit", "analytics"};
    intents_ = {status};
    for (auto& c : node_commands(m_.engine, clock_, [this] { applied_ += m_.tick(0); }))
      commands_[c.name] = c;
    for (auto& c :
         route_commands(m_.engine, clock_,
                        [this]() -> const std::vector<config::Intent>& { return intents_; }))
      commands_[c.name] = c;
    m_.start();
  }

  Json ok(const std::string& name, const Json& params = Json::object()) {
    const auto r = commands_.at(name).handler(params);
    EXPECT_TRUE(r) << name << ": " << (r ? "" : r.error().message);
    return r ? *r : Json();
  }
  std::string refused(const std::string& name, const Json& params = Json::object()) {
    const auto r = commands_.at(name).handler(params);
    EXPECT_FALSE(r) << name;
    return r ? "" : r.error().message;
  }

  Mesh m_;
  MeshClock clock_{m_};
  std::vector<config::Intent> intents_;
  std::map<std::string, rpc::Command> commands_;
  int applied_ = 0;
};

TEST_F(Commands, NodesListHasWhatIsPromised) {
  m_.counts.histograms[m_.slot("a")][latency_bucket(1000)] = 100;
  m_.run_well(8);
  m_.answer("a", 0, 2, 3);
  m_.tick();
  const Json nodes = ok("nodes.list");
  ASSERT_EQ(nodes.size(), 3u);
  const Json& a = nodes[0];
  EXPECT_EQ(a["name"], "a");
  EXPECT_EQ(a["id"], 1);
  EXPECT_EQ(a["service"], "orbit");
  EXPECT_EQ(a["region"], "default");
  EXPECT_TRUE(a["address"].is_string());
  EXPECT_EQ(a["state"], "active");
  EXPECT_NEAR(a["health"].get<double>(), 0.7, 1e-6);
  EXPECT_NEAR(a["trend"].get<double>(), -0.3, 1e-6);
  EXPECT_GT(a["score"].get<double>(), 100);
  EXPECT_EQ(a["ramp"], 1.0);
  EXPECT_LT(a["weight"].get<double>(), 0.01);
  EXPECT_EQ(a["breaker"], "closed");
  EXPECT_NEAR(a["latency_us"]["p50"].get<double>(), 1000, 250);
  EXPECT_NEAR(a["latency_us"]["p99"].get<double>(), 1000, 250);
  EXPECT_EQ(a["inflight"], 0);
  EXPECT_EQ(a["sent"], 805);
  EXPECT_EQ(a["replies"], 802);
  EXPECT_EQ(a["timeouts"], 3);
  EXPECT_EQ(a["failures"], 2);
  EXPECT_EQ(a["stale"], false);
  EXPECT_EQ(ok("nodes.list", {{"service", "orbit"}}).size(), 3u);
  EXPECT_EQ(refused("nodes.list", {{"service", "nope"}}), "no service nope");
}

TEST_F(Commands, DrainAndUndrainHoldWhenAnswered) {
  EXPECT_TRUE(commands_["node.drain"].mutates);
  Json r = ok("node.drain", {{"node", "a"}});
  EXPECT_EQ(r["state"], "draining");
  EXPECT_EQ(r["weight"], 0);
  EXPECT_EQ(r["changed"], true);
  EXPECT_EQ(applied_, 1);
  r = ok("node.drain", {{"node", 1}});
  EXPECT_EQ(r["changed"], false);
  EXPECT_EQ(applied_, 1);
  r = ok("node.undrain", {{"node", "orbit/a"}});
  EXPECT_EQ(r["state"], "warming");
  EXPECT_NEAR(r["weight"].get<double>(), 0.1 / 2.1, 1e-9);
  EXPECT_EQ(refused("node.drain", {{"node", "zz"}}), "no node zz");
  EXPECT_EQ(refused("node.drain", {{"node", "a"}, {"service", "x"}}), "no node a in service x");
  EXPECT_EQ(refused("node.drain"), "node: must be a name or an id");
}

TEST_F(Commands, SetWeight) {
  const Json r = ok("node.set_weight", {{"node", "b"}, {"weight", 200}});
  EXPECT_DOUBLE_EQ(r["weight"].get<double>(), 0.5);
  EXPECT_EQ(r["base_weight"], 200);
  for (const Json& bad : {Json(-1), Json(65536), Json("100"), Json(nullptr)})
    EXPECT_EQ(refused("node.set_weight", {{"node", "b"}, {"weight", bad}}),
              "weight: must be a number from 0 to 65535");
}

TEST_F(Commands, HistorySaysWhyAndWhen) {
  m_.tick(250);
  ok("node.drain", {{"node", "b"}});
  m_.tick(1500);
  m_.kill("a");  // its first sample is its health
  const Json of_a = ok("nodes.history", {{"node", "a"}});
  ASSERT_EQ(of_a.size(), 2u);
  EXPECT_EQ(of_a[1]["from"], "active");
  EXPECT_EQ(of_a[1]["to"], "ejected");
  EXPECT_EQ(of_a[1]["cause"], "health-low");
  EXPECT_EQ(of_a[1]["why"], "health fell below eject_below");
  EXPECT_EQ(of_a[1]["at"], "2026-01-01T00:00:02.000Z");
  EXPECT_LT(of_a[1]["health"].get<double>(), 0.3);
  const Json all = ok("nodes.history");
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(all[3]["cause"], "drained");
  EXPECT_EQ(all[3]["node"], "b");
  EXPECT_EQ(all[4]["node"], "a");
}

TEST_F(Commands, RouteScore) {
  const Json base = {
      {"latency_ms", 10}, {"queue_depth", 2}, {"saturation", 0.5}, {"degraded", true}};
  EXPECT_DOUBLE_EQ(ok("route.score", base)["score"].get<double>(), 576);
  Json with = base;
  with["health"] = 0.5;
  with["trend"] = -0.2;
  EXPECT_DOUBLE_EQ(ok("route.score", with)["score"].get<double>(), 576 + 200 + 40);
  EXPECT_EQ(refused("route.score", {{"latency_ms", "x"}}), "latency_ms: must be a number");
  EXPECT_EQ(refused("route.score", {{"degraded", 1}}), "degraded: must be true or false");
}

TEST_F(Commands, RouteSelect) {
  const Json nodes = {{{"name", "x"}, {"latency_ms", 5}},
                      {{"name", "y"}, {"latency_ms", 3}},
                      {{"name", "z"}, {"latency_ms", 3}}};
  EXPECT_EQ(ok("route.select", {{"nodes", nodes}})["name"], "y");
  EXPECT_EQ(ok("route.select", {{"nodes", nodes}, {"blocked", {"y"}}})["name"], "z");
  EXPECT_EQ(refused("route.select", {{"nodes", nodes}, {"blocked", {"x", "y", "z"}}}),
            "no route nodes available");
  m_.engine.drain(m_.slot("a"), m_.now);
  m_.tick();
  EXPECT_EQ(ok("route.select", {{"service", "orbit"}})["name"], "b");  // a drains
  EXPECT_EQ(refused("route.select", {{"service", "x"}}), "no service x");
  EXPECT_EQ(refused("route.select"), "nodes or service must be given");
}

TEST_F(Commands, RouteChain) {
  const Json chain = {"intake", "orbit", "analytics"};
  EXPECT_EQ(ok("route.chain", {{"intent", "status-refresh"}})["chain"], chain);
  EXPECT_EQ(ok("route.chain", {{"intent", 1}})["chain"], chain);
  EXPECT_EQ(ok("route.chain", {{"intent", 1}})["service"], "analytics");
  const Json rest = {"intake", "policy", "audit"};
  EXPECT_EQ(ok("route.chain", {{"intent", "other"}})["chain"], rest);
  EXPECT_EQ(ok("route.chain", {{"intent", 99}})["chain"], rest);
  EXPECT_EQ(refused("route.chain"), "intent: must be a name or a code");
}

}  // namespace
}  // namespace lf::health
