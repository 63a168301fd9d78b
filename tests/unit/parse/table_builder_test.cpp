// SPDX-License-Identifier: Apache-2.0
#include "control/parse/table_builder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "tests/support/world.hpp"

namespace lf::parse {
namespace {

using test::ip;

const Endpoint* at(const Table& t, const char* address, uint16_t port = lcp::kDefaultPort) {
  const IpAddress a = ip(address);
  return find_endpoint(t, a, lcp::be16(port),
                       std::string(address).find(':') == std::string::npos ? 4 : 6);
}

TEST(ParseTable, EachServiceHasItsEndpoint) {
  const Table t = build_table(test::world(), test::world_ports()).value();
  ASSERT_TRUE(at(t, test::kOwn4));
  EXPECT_TRUE(at(t, test::kOwn4)->takes_commands);
  EXPECT_EQ(at(t, test::kOwn4)->service[kOtherIntent], 0);
  ASSERT_TRUE(at(t, test::kOwn6));
  EXPECT_EQ(at(t, test::kOwn6)->service[5], 1);
  EXPECT_FALSE(at(t, test::kOwn4, 7172));
  EXPECT_FALSE(at(t, test::kClient4));
}

TEST(ParseTable, IntentGoesToTheServiceThatItsChainEndsWith) {
  config::Config c = test::world();
  c.services.push_back(test::service("orbit", test::kOwn4, {"10.0.0.20"}, 10));
  c.services.push_back(test::service("elsewhere", "10.0.0.2", {"10.0.0.21"}, 11));
  c.intents[2].chain = {"intake", "orbit"};
  c.intents[3].chain = {"intake", "elsewhere"};  // not on this endpoint: the default
  c.intents[4].chain = {"intake", "no-such-service"};
  const Table t = build_table(c, test::world_ports()).value();
  const Endpoint* e = at(t, test::kOwn4);
  ASSERT_TRUE(e);
  EXPECT_EQ(e->service[kOtherIntent], 0);
  EXPECT_EQ(e->service[1], 0);
  EXPECT_EQ(e->service[3], 2);
  EXPECT_EQ(e->service[4], 0);
  EXPECT_EQ(e->service[5], 0);
  EXPECT_EQ(at(t, "10.0.0.2")->service[kOtherIntent], 3);
}

TEST(ParseTable, IntentsByCode) {
  config::Config c = test::world();
  c.intents[4].code = 200;
  const Table t = build_table(c, test::world_ports()).value();
  EXPECT_EQ(t.intent_index[1], 1);
  EXPECT_EQ(t.intent_index[200], 5);
  EXPECT_EQ(t.intent_index[5], kOtherIntent);
  EXPECT_EQ(t.intent_index[0], kOtherIntent);
  EXPECT_EQ(t.replayable, 0b110u);
}

TEST(ParseTable, OwnAddressesTakeAnswersOnServicePorts) {
  config::Config c = test::world();
  c.ports[0].addresses.push_back({ip("10.0.0.3"), 24, 4});
  c.services[0].port = 9000;
  const Table t = build_table(c, test::world_ports()).value();
  const Endpoint* e = at(t, "10.0.0.3", 9000);
  ASSERT_TRUE(e);
  EXPECT_FALSE(e->takes_commands);
  EXPECT_EQ(e->service[0], kNoService);
  EXPECT_FALSE(at(t, "10.0.0.3", 9001));
}

TEST(ParseTable, NodesOfFlowsAloneReportToTheDefaultPortWhereNoFlowGoes) {
  config::Config c = test::world();
  c.services.resize(1);
  config::Service& s = c.services[0];
  s.kind = config::ServiceKind::flow;
  s.protocol = config::Protocol::udp;
  s.address = ip("10.0.0.3");
  s.port = 53;
  EXPECT_TRUE(at(build_table(c, test::world_ports()).value(), "10.0.0.3"));
  for (const auto& [protocol, port] : {std::pair{config::Protocol::udp, lcp::kDefaultPort},
                                       {config::Protocol::udp, uint16_t{0}},
                                       {config::Protocol::any, uint16_t{0}}}) {
    s.protocol = protocol;
    s.port = port;
    const Table t = build_table(c, test::world_ports()).value();
    EXPECT_FALSE(at(t, "10.0.0.3")) << "the service's";
    for (const char* own : {test::kOwn4, test::kOwn6}) {
      ASSERT_TRUE(at(t, own));
      EXPECT_FALSE(at(t, own)->takes_commands);
    }
  }
}

TEST(ParseTable, OwnAddressesKnowTheirPorts) {
  config::Config c = test::world();
  c.ports.push_back(c.ports[0]);
  c.ports[1].name = "wan";
  c.ports[1].addresses = {{ip("192.0.2.1"), 24, 4}, {ip(test::kOwn6), 64, 6}};
  c.services.push_back(test::service("routed", "203.0.113.9", {"10.0.0.20"}, 10));
  auto ports = test::world_ports();
  ports.push_back(ports[0]);
  ports[1].name = "wan";
  ports[1].id = 3;
  const Table t = build_table(c, ports).value();
  EXPECT_EQ(find_own(t, ip(test::kOwn4))->ports, 0b0001);
  EXPECT_EQ(find_own(t, ip("192.0.2.1"))->ports, 0b1000);
  EXPECT_EQ(find_own(t, ip(test::kOwn6))->ports, 0b1001);
  EXPECT_EQ(find_own(t, ip("203.0.113.9"))->ports, 0) << "ours, but no port answers ARP for it";
  EXPECT_FALSE(find_own(t, ip(test::kClient4)));
}

TEST(ParseTable, PortsCarryOffloadsAndKernelPorts) {
  config::Config c = test::world();
  c.ports[0].vlan = 7;
  c.ports[0].mtu = 9000;
  auto ports = test::world_ports();
  ports[0].rx_checksum = ports[0].tx_checksum = true;
  ports[0].exception_id = 5;
  const Table t = build_table(c, ports).value();
  EXPECT_TRUE(t.ports[0].rx_ip_checksum && t.ports[0].rx_udp_checksum && t.ports[0].tx_checksum);
  EXPECT_EQ(t.ports[0].vlan_tci, 7);
  EXPECT_EQ(t.ports[0].mtu, 9000);
  EXPECT_EQ(t.ports[0].kernel_port, 5);
  EXPECT_EQ(t.ports[5].kernel_of, 0);
  c.ports[0].offload_checksums = false;
  const Table plain = build_table(c, ports).value();
  EXPECT_FALSE(plain.ports[0].rx_ip_checksum || plain.ports[0].rx_udp_checksum ||
               plain.ports[0].tx_checksum);
}

TEST(ParseTable, RefusesWhatDoesNotFit) {
  auto ports = test::world_ports();
  ports[0].name = "no-such-port";
  EXPECT_FALSE(build_table(test::world(), ports));
  ports = test::world_ports();
  ports[0].id = kPortsMax;
  EXPECT_FALSE(build_table(test::world(), ports));
}

// The maps against plain lists, with addresses that crowd a few places.
RC_GTEST_PROP(ParseTable, MapsFindWhatWasAdded,
              (const std::vector<std::pair<uint8_t, uint8_t>>& in)) {
  Table t;
  std::set<std::pair<uint8_t, uint8_t>> model;
  for (const auto& [a, p] : in) {
    Endpoint e{.address = ip("10.0.0." + std::to_string(a % 16)),
               .port = static_cast<uint16_t>(p % 8),
               .ip_version = 4,
               .service = {}};
    RC_ASSERT(add_endpoint(t, e) == model.insert({a % 16, p % 8}).second);
    add_own(t, e.address, 4, 1);
  }
  for (uint8_t a = 0; a < 20; ++a) {
    bool own = false;
    for (uint8_t p = 0; p < 8; ++p) {
      const bool in_model = model.contains({a, p});
      own |= in_model;
      const auto* e = find_endpoint(t, ip("10.0.0." + std::to_string(a)), p, 4);
      RC_ASSERT((e != nullptr) == in_model);
    }
    RC_ASSERT((find_own(t, ip("10.0.0." + std::to_string(a))) != nullptr) == own);
  }
}

}  // namespace
}  // namespace lf::parse
