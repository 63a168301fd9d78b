// SPDX-License-Identifier: Apache-2.0
#include "control/xdp/host_ports.hpp"

#include <gtest/gtest.h>

#include "control/config/values.hpp"

namespace lf::xdp {
namespace {

config::Prefix prefix(const std::string& text) {
  return config::parse_prefix(text).value();
}

config::Config nat_config() {
  config::Config c;
  config::Port port{.name = "lan"};
  port.addresses = {prefix("10.0.0.1/24"), prefix("fd00::1/64")};
  c.ports.push_back(port);
  config::Service s{.name = "web", .kind = config::ServiceKind::flow};
  s.mode = forward::Mode::nat;
  s.nodes.push_back({.name = "n", .address = prefix("10.0.0.9/32").address});
  c.services.push_back(s);
  c.flows.nat_port_first = 20000;
  c.flows.nat_port_last = 40000;
  return c;
}

const std::vector<HostAddress> kHost = {{prefix("127.0.0.1/8").address, "lo"},
                                        {prefix("10.0.0.1/24").address, "eth1"},
                                        {prefix("fd00::1/64").address, "eth1"}};

TEST(HostPorts, AsTheKernelWritesThem) {
  const HostPorts p = parse_host_ports("32768\t60999\n", "8080,9000-9002,65535\n");
  EXPECT_EQ(p.first, 32768);
  EXPECT_EQ(p.last, 60999);
  EXPECT_EQ(p.reserved.count(), 5u);
  EXPECT_TRUE(p.reserved.test(9001) && p.reserved.test(65535) && p.reserved.test(8080));
  EXPECT_EQ(parse_host_ports("32768 60999", "\n").reserved.count(), 0u);
  EXPECT_GT(parse_host_ports("", "").first, parse_host_ports("", "").last);
}

TEST(HostPorts, OverlapOnASharedAddressIsWarnedOf) {
  const auto warnings =
      shared_port_warnings(nat_config(), kHost, parse_host_ports("39991 60999", ""));
  ASSERT_EQ(warnings.size(), 1u) << "no flow is translated over IPv6";
  EXPECT_NE(warnings[0].find("10.0.0.1"), std::string::npos) << warnings[0];
  EXPECT_NE(warnings[0].find("share 10 ports"), std::string::npos) << warnings[0];
}

TEST(HostPorts, NoWarningWithoutAReason) {
  const HostPorts overlap = parse_host_ports("39991 60999", "");
  EXPECT_TRUE(shared_port_warnings(nat_config(), {}, overlap).empty()) << "not shared";
  EXPECT_TRUE(
      shared_port_warnings(nat_config(), kHost, parse_host_ports("40001 60999", "")).empty());
  EXPECT_TRUE(
      shared_port_warnings(nat_config(), kHost, parse_host_ports("39991 60999", "39991-40000"))
          .empty())
      << "reserved";
  config::Config c = nat_config();
  c.services[0].mode = forward::Mode::ipip;
  EXPECT_TRUE(shared_port_warnings(c, kHost, overlap).empty()) << "nothing is translated";
}

}  // namespace
}  // namespace lf::xdp
