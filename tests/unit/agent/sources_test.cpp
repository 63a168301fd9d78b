// SPDX-License-Identifier: Apache-2.0
// What the agent is given as text: ports, and the kernel's files about the CPUs.
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "tools/lf_agent/cpu_pressure.hpp"
#include "tools/lf_agent/watched_port.hpp"

namespace lf::agent {
namespace {

TEST(WatchedPort, NumberAndProtocol) {
  EXPECT_EQ(parse_watched_port("7000/udp").value(), (WatchedPort{7000, IPPROTO_UDP}));
  EXPECT_EQ(parse_watched_port("80/tcp").value(), (WatchedPort{80, IPPROTO_TCP}));
  EXPECT_EQ(to_string(WatchedPort{80, IPPROTO_TCP}), "80/tcp");
  for (const auto* wrong : {"", "80", "/udp", "0/udp", "65536/udp", "80/", "80/sctp", "80/TCP",
                            "80/tcp/udp", "-1/udp", "x/tcp"})
    EXPECT_FALSE(parse_watched_port(wrong)) << wrong;
}

TEST(CpuPressure, StallInformation) {
  const auto* text =
      "some avg10=20.28 avg60=9.82 avg300=9.86 total=16457982233\n"
      "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
  EXPECT_DOUBLE_EQ(parse_psi(text).value(), 0.2028);
  EXPECT_DOUBLE_EQ(parse_psi("some avg10=100.30 avg60=0").value(), 1);
  for (const auto* wrong : {"", "some", "full avg10=1.00", "some avg60=1.00", "some avg10=x"})
    EXPECT_FALSE(parse_psi(wrong)) << wrong;
}

TEST(CpuPressure, RunQueue) {
  EXPECT_DOUBLE_EQ(parse_run_queue("0.20 0.18 0.12 1/80 11206\n", 2).value(), 0);
  EXPECT_DOUBLE_EQ(parse_run_queue("0.20 0.18 0.12 3/80 11206\n", 2).value(), 0);
  EXPECT_DOUBLE_EQ(parse_run_queue("0.20 0.18 0.12 5/80 11206\n", 2).value(), 0.5);
  for (const auto* wrong : {"", "0.20 0.18 0.12", "0.20 0.18 0.12 x/80 1"})
    EXPECT_FALSE(parse_run_queue(wrong, 2)) << wrong;
}

}  // namespace
}  // namespace lf::agent
