// SPDX-License-Identifier: Apache-2.0
#include "control/forward/table_builder.hpp"

#include <gtest/gtest.h>

#include "tests/support/columns.hpp"

namespace lf::forward {
namespace {

IpAddress v4(uint32_t host) {
  return {0, uint64_t{lcp::be32(host)} << 32 | 0xffff0000u};
}

// Services "orbit" (regions east, then west) and "audit"; every node is resolved.
class TableBuilder : public ::testing::Test {
 protected:
  void SetUp() override {
    config_.services.resize(2);
    config::Service& orbit = config_.services[0];
    orbit.name = "orbit";
    orbit.region = "east";
    orbit.failover = {"north", "west"};
    orbit.timeout_ms = 250;
    orbit.breaker.slow_ms = 40;
    orbit.balance = Balance::least_loaded;
    add(orbit, "e1", 1, 100, "east");
    add(orbit, "e2", 2, 300, "east");
    add(orbit, "w1", 3, 100, "west");
    config_.services[1].name = "audit";
    config_.services[1].mode = Mode::dsr_l2;
    config_.services[1].port = 9000;
    add(config_.services[1], "a1", 4, 1, "default");
    sync();
  }

  void add(config::Service& s, const char* name, uint32_t id, uint32_t weight, const char* region) {
    config::Node n;
    n.name = name;
    n.id = id;
    n.address = v4(0x0a000000 + id);
    n.weight = weight;
    n.region = region;
    s.nodes.push_back(n);
  }

  void sync() {
    ASSERT_TRUE(slots_.sync(config_));
    hops_.assign(slots_.nodes.used(), {});
    for (size_t i = 0; i < hops_.size(); ++i) {
      hops_[i].resolved = true;
      hops_[i].mac.addr_bytes[5] = static_cast<uint8_t>(i);
      hops_[i].out_port = static_cast<uint8_t>(i);
    }
    plans_ = fixed_plans(config_, slots_);
  }

  std::shared_ptr<const Table> build() {
    auto r = build_table({config_, slots_, hops_, plans_, 1'000'000'000});
    EXPECT_TRUE(r) << r.error().message;
    return *r;
  }

  config::Config config_;
  Slots slots_;
  std::vector<NextHop> hops_;
  std::vector<PoolPlan> plans_;
};

TEST_F(TableBuilder, CarriesSettingsAndNextHops) {
  config_.services[0].nodes[0].mtu = 1400;
  hops_[0].mtu = 9000;
  hops_[1].mtu = 1280;
  const auto t = build();
  EXPECT_EQ(t->services[0].timeout_tsc, 250'000'000u);
  EXPECT_EQ(t->services[0].slow_tsc, 40'000'000u);
  EXPECT_EQ(t->services[0].balance, Balance::least_loaded);
  const Node& e1 = t->nodes[slots_.node("orbit", "e1")];
  EXPECT_TRUE(e1.configured && e1.resolved);
  EXPECT_EQ(e1.port, lcp::be16(7171));
  EXPECT_EQ(e1.mtu, 1400);
  EXPECT_EQ(e1.node_id, 1u);
  EXPECT_EQ(t->nodes[1].mtu, 1280);
  const Node& a1 = t->nodes[slots_.node("audit", "a1")];
  EXPECT_EQ(a1.mode, Mode::dsr_l2);
  EXPECT_EQ(a1.service, 1);
  EXPECT_EQ(a1.source_port, lcp::be16(9000));
  EXPECT_EQ(a1.mac.addr_bytes[5], 3);
  EXPECT_NE(e1.region, t->nodes[slots_.node("orbit", "w1")].region);
}

TEST_F(TableBuilder, FindsNodesByAddress) {
  const auto t = build();
  for (const config::Service& s : config_.services)
    for (const config::Node& n : s.nodes)
      EXPECT_EQ(find_node(*t, n.address, lcp::be16(n.port)), slots_.node(s.name, n.name));
  EXPECT_EQ(find_node(*t, v4(0x0a0000ff), lcp::be16(7171)), kNoNode);
  EXPECT_EQ(find_node(*t, v4(0x0a000001), lcp::be16(7172)), kNoNode);
}

TEST_F(TableBuilder, AddressSharedByTwoServicesIsTheFirstOnes) {
  config_.services[1].nodes[0].address = config_.services[0].nodes[1].address;
  sync();
  EXPECT_EQ(find_node(*build(), v4(0x0a000002), lcp::be16(7171)), slots_.node("orbit", "e2"));
}

TEST_F(TableBuilder, ThousandsOfNodesAreFound) {
  for (uint32_t i = 100; i < 3100; ++i)
    add(config_.services[1], ("x" + std::to_string(i)).c_str(), i, 1, "default");
  sync();
  const auto t = build();
  for (const config::Node& n : config_.services[1].nodes)
    ASSERT_EQ(find_node(*t, n.address, lcp::be16(n.port)), slots_.node("audit", n.name));
}

TEST_F(TableBuilder, FixedPlansAreTheConfiguredWeights) {
  const auto t = build();
  const auto shares = test::shares_of(t->columns, t->services[0].primary);
  EXPECT_NEAR(shares.at(0), 0.25, 1e-9);
  EXPECT_NEAR(shares.at(1), 0.75, 1e-9);
  EXPECT_NEAR(t->weights[1] / 4294967296.0, 0.75, 1e-9);
  const auto failover = test::shares_of(t->columns, t->services[0].failover);
  EXPECT_NEAR(failover.at(2), 1.0, 1e-9);  // region north has no node
}

TEST_F(TableBuilder, UnresolvedNodesAreLeftOut) {
  hops_[1].resolved = false;
  const auto t = build();
  const auto shares = test::shares_of(t->columns, t->services[0].primary);
  EXPECT_EQ(shares.size(), 1u);
  EXPECT_NEAR(shares.at(0), 1.0, 1e-9);
  EXPECT_EQ(t->weights[1], 0u);
  EXPECT_FALSE(t->services[0].unresolved);
}

TEST_F(TableBuilder, ServiceIsUnresolvedOnlyWhenNobodyElseCanTakeIt) {
  hops_[0].resolved = hops_[1].resolved = false;
  EXPECT_FALSE(build()->services[0].unresolved);
  EXPECT_EQ(build()->services[0].primary.count, 0u);
  EXPECT_EQ(build()->services[0].failover.count, 1u);
  hops_[2].resolved = false;
  EXPECT_TRUE(build()->services[0].unresolved);
  plans_[0] = {};
  EXPECT_FALSE(build()->services[0].unresolved);  // nobody has weight
}

TEST_F(TableBuilder, SpillKeepsItsShareOfThePool) {
  plans_[0].primary.push_back({kNoNode, 400});
  const auto t = build();
  const auto shares = test::shares_of(t->columns, t->services[0].primary);
  EXPECT_NEAR(shares.at(kNoNode), 0.5, 1e-9);
  EXPECT_NEAR(shares.at(1), 0.375, 1e-9);
  hops_[0].resolved = hops_[1].resolved = false;
  EXPECT_EQ(build()->services[0].primary.count, 0u);  // a pool of spill alone is no pool
}

TEST_F(TableBuilder, RemovedServiceLeavesAnEmptyPlace) {
  config_.services.erase(config_.services.begin());
  sync();
  const auto t = build();
  ASSERT_EQ(t->services.size(), 2u);
  EXPECT_EQ(t->services[0].primary.count, 0u);
  EXPECT_EQ(t->services[1].primary.count, 1u);
  EXPECT_FALSE(t->nodes[0].configured);
  EXPECT_EQ(find_node(*t, v4(0x0a000001), lcp::be16(7171)), kNoNode);
}

}  // namespace
}  // namespace lf::forward
