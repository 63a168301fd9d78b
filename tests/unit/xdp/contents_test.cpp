// SPDX-License-Identifier: Apache-2.0
#include "control/xdp/contents.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include "control/parse/table_builder.hpp"
#include "dataplane/flow/key.hpp"
#include "tests/support/world.hpp"

namespace lf::xdp {
namespace {

using test::ip;

const SteeredPort kPort{.id = 0, .interface = "eth0", .vlan = 0, .has_exception = false};

parse::Table table(const config::Config& c = test::world()) {
  return parse::build_table(c, test::world_ports()).value();
}

std::optional<uint32_t> flags(const Contents& c, const char* address) {
  const auto it = c.own.find(to_key(ip(address)));
  return it == c.own.end() ? std::nullopt : std::optional(it->second);
}

bool has_endpoint(const Contents& c, const char* address, uint16_t port) {
  return c.endpoints.contains({.address = to_key(ip(address)),
                               .port = lcp::be16(port),
                               .protocol = IPPROTO_UDP,
                               .zero = 0});
}

TEST(Contents, AddressesThatOnlyWeHaveAreOursAltogether) {
  const Contents c = build_contents(table(), kPort, {});
  EXPECT_EQ(flags(c, test::kOwn4), LF_XDP_NEIGHBOUR);
  EXPECT_EQ(flags(c, test::kOwn6), LF_XDP_NEIGHBOUR);
  EXPECT_EQ(flags(c, test::kClient4), std::nullopt);
  EXPECT_TRUE(c.endpoints.empty());
}

TEST(Contents, OfASharedAddressOnlyTheEndpointsAreOurs) {
  const HostAddress host[] = {{ip(test::kOwn4), "eth0"}};
  const Contents c = build_contents(table(), kPort, host);
  EXPECT_EQ(flags(c, test::kOwn4), LF_XDP_KERNEL);  // which answers ARP for it, too
  EXPECT_EQ(flags(c, test::kOwn6), LF_XDP_NEIGHBOUR);
  EXPECT_TRUE(has_endpoint(c, test::kOwn4, lcp::kDefaultPort));
  EXPECT_FALSE(has_endpoint(c, test::kOwn6, lcp::kDefaultPort));
}

TEST(Contents, WeAnswerForAnAddressThatTheKernelHasOnAnotherInterface) {
  const HostAddress host[] = {{ip(test::kOwn4), "lo"}};
  const Contents c = build_contents(table(), kPort, host);
  EXPECT_EQ(flags(c, test::kOwn4), LF_XDP_KERNEL | LF_XDP_NEIGHBOUR);
}

TEST(Contents, AnAddressOfAnotherPortIsNotAnsweredForHere) {
  const SteeredPort other{.id = 1, .interface = "eth1", .vlan = 0, .has_exception = false};
  EXPECT_EQ(flags(build_contents(table(), other, {}), test::kOwn4), 0u);
}

TEST(Contents, FollowTheConfiguration) {
  config::Config c = test::world();
  c.services.push_back(test::service("late", "10.0.0.9", {"10.0.0.20"}, 10));
  c.services.back().port = 7300;
  const HostAddress host[] = {{ip("10.0.0.9"), "lo"}};
  const Contents more = build_contents(table(c), kPort, host);
  EXPECT_EQ(flags(more, "10.0.0.9"), LF_XDP_KERNEL);
  EXPECT_TRUE(has_endpoint(more, "10.0.0.9", 7300));
  c.services.pop_back();
  EXPECT_EQ(flags(build_contents(table(c), kPort, host), "10.0.0.9"), std::nullopt);
}

TEST(Contents, BehindAnExceptionPortTheKernelHasNothingHere) {
  SteeredPort port = kPort;
  port.has_exception = true;
  port.vlan = 9;
  const HostAddress host[] = {{ip(test::kOwn4), "lfk0"}};
  const Contents c = build_contents(table(), port, host);
  EXPECT_EQ(flags(c, test::kOwn4), LF_XDP_NEIGHBOUR);
  EXPECT_EQ(c.port.take_all, 1u);
  EXPECT_EQ(c.port.vlan, 9u);
}

TEST(Contents, FlowsAreEndpointsToo) {
  parse::Table t = table();
  const auto flow = [&](uint16_t port, uint8_t protocol) {
    add_flow(t, {.address = ip(test::kOwn4),
                 .port = lcp::be16(port),
                 .protocol = protocol,
                 .ip_version = 4,
                 .service = 0});
  };
  flow(80, IPPROTO_TCP);
  flow(0, IPPROTO_UDP);
  t.nat_first = 20000;
  t.nat_last = 29999;
  const HostAddress host[] = {{ip(test::kOwn4), "eth0"}};
  const auto has = [](const Contents& c, uint16_t port, uint8_t protocol) {
    return c.endpoints.contains({to_key(ip(test::kOwn4)), lcp::be16(port), protocol, 0});
  };
  Contents c = build_contents(t, kPort, host);
  EXPECT_TRUE(has(c, 80, IPPROTO_TCP));
  EXPECT_FALSE(has(c, 80, IPPROTO_UDP));
  EXPECT_TRUE(has(c, 0, IPPROTO_UDP));
  EXPECT_EQ(flags(c, test::kOwn4), LF_XDP_KERNEL);
  EXPECT_EQ(c.port.nat_first, 20000u);
  EXPECT_EQ(c.port.nat_count, 10000u);
  flow(0, IPPROTO_UDP | flow::kFragment);
  flow(0, 0);
  c = build_contents(t, kPort, host);
  EXPECT_EQ(flags(c, test::kOwn4), LF_XDP_KERNEL | LF_XDP_FRAGMENTS | LF_XDP_ANY);
  EXPECT_EQ(build_contents(table(), kPort, host).port.nat_count, 0u);
}

TEST(Contents, MoreThanTheMapsHoldIsRefused) {
  parse::Table t = table();
  EXPECT_TRUE(check_room(t));
  for (uint32_t i = 0; i < LF_XDP_OWN_MAX; ++i)
    t.own.push_back({.address = {i, i}, .ports = 0, .ip_version = 6});
  EXPECT_FALSE(check_room(t));
}

}  // namespace
}  // namespace lf::xdp
