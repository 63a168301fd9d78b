// SPDX-License-Identifier: Apache-2.0
#include "control/ports/eal.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "control/ports/stale_xdp.hpp"

namespace lf::ports {
namespace {

bool has(const std::vector<std::string>& args, const std::string& option,
         const std::string& value = "") {
  const auto it = std::find(args.begin(), args.end(), option);
  return it != args.end() && (value.empty() || (it + 1 != args.end() && *(it + 1) == value));
}

config::Config with_port(const std::string& device) {
  config::Config c;
  c.ports.push_back({.name = "p", .device = device});
  return c;
}

TEST(EalArguments, WorkersTakeTheLastCpusAndControlTheFirst) {
  config::Config c = with_port("net_null0");
  c.dataplane.workers = 2;
  EXPECT_TRUE(has(eal_arguments(c, 4, "x"), "--lcores", "0@0,1@3,2@2"));
}

TEST(EalArguments, MoreWorkersThanCpusShareThem) {
  config::Config c = with_port("net_null0");
  c.dataplane.workers = 3;
  EXPECT_TRUE(has(eal_arguments(c, 2, "x"), "--lcores", "0@0,1@1,2@0,3@1"));
}

TEST(EalArguments, ConfiguredCpusAreTakenAsTheyAre) {
  config::Config c = with_port("net_null0");
  c.dataplane.workers = 2;
  c.dataplane.lcores = {5, 7};
  c.dataplane.main_lcore = 1;
  EXPECT_TRUE(has(eal_arguments(c, 8, "x"), "--lcores", "0@1,1@5,2@7"));
}

TEST(EalArguments, OnlyConfiguredNicsAreProbed) {
  EXPECT_TRUE(has(eal_arguments(with_port("0000:41:00.0"), 2, "x"), "-a", "0000:41:00.0"));
  EXPECT_FALSE(has(eal_arguments(with_port("0000:41:00.0"), 2, "x"), "--no-pci"));
  EXPECT_TRUE(has(eal_arguments(with_port("net_null0"), 2, "x"), "--no-pci"));
}

TEST(EalArguments, HugepagesOrNot) {
  config::Config c = with_port("net_null0");
  EXPECT_TRUE(has(eal_arguments(c, 2, "x"), "--in-memory"));
  c.dataplane.hugepages = false;
  EXPECT_TRUE(has(eal_arguments(c, 2, "x"), "--no-huge"));
  EXPECT_FALSE(has(eal_arguments(c, 2, "x"), "--in-memory"));
}

TEST(StaleXdp, OnlyTheAfXdpDriversProgramsAreLeftovers) {
  EXPECT_TRUE(is_af_xdp_leftover("xsk_def_prog"));
  EXPECT_TRUE(is_af_xdp_leftover("xdp_dispatcher"));
  EXPECT_FALSE(is_af_xdp_leftover("my_firewall"));
  EXPECT_FALSE(is_af_xdp_leftover(""));
}

TEST(StaleXdp, OtherDevicesAreLeftAlone) {
  EXPECT_FALSE(detach_stale_xdp("net_af_packet0,iface=lo"));
  EXPECT_FALSE(detach_stale_xdp("net_af_xdp0,iface=no-such-interface"));
}

}  // namespace
}  // namespace lf::ports
