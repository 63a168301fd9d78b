// SPDX-License-Identifier: Apache-2.0
// From what the kernel says to a REPORT: the rules in the header of signals.hpp.
#include "tools/lf_agent/signals.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include "tests/support/property.hpp"

namespace lf::agent {
namespace {

constexpr WatchedPort kUdp{7000, IPPROTO_UDP}, kTcp{80, IPPROTO_TCP};

// With a listener and nothing that waits.
PortReading idle(WatchedPort port) {
  return {port, {.listening = 1, .receive_limit = 1000, .accept_limit = 100}};
}

Signals of(std::initializer_list<PortReading> ports, double cpu = 0) {
  return signals_of(std::vector(ports), cpu);
}

lcp::Report report(const Signals& s) {
  return report_of(9, standing(s, s));
}

double saturation(const Signals& s) {
  return static_cast<double>(report(s).saturation) / lcp::kSaturationFull;
}

TEST(Signals, AnIdleNodeHasNothingToSay) {
  const lcp::Report r = report(of({idle(kUdp), idle(kTcp)}));
  EXPECT_EQ(r, lcp::Report{.node_id = 9});
}

TEST(Signals, TheFullestPortIsTheSaturation) {
  PortReading udp = idle(kUdp), tcp = idle(kTcp);
  udp.sockets.receive_bytes = 250;
  EXPECT_DOUBLE_EQ(saturation(of({udp, tcp})), 0.25);
  tcp.sockets.accept_waiting = 40;
  EXPECT_DOUBLE_EQ(saturation(of({udp, tcp})), 0.4);
  udp.sockets.receive_bytes = 5000;  // the kernel lets the last packet be too large
  EXPECT_DOUBLE_EQ(saturation(of({udp, tcp})), 1);
}

TEST(Signals, WhatWaitsIsAddedUp) {
  PortReading udp = idle(kUdp), tcp = idle(kTcp);
  udp.sockets.waiting = 30;
  tcp.sockets.waiting = 12;
  EXPECT_EQ(report(of({udp, tcp})).queue_depth, 42u);
  udp.sockets.waiting = UINT64_MAX - 100;
  EXPECT_EQ(report(of({udp, tcp})).queue_depth, UINT32_MAX);
}

TEST(Signals, CpuPressureCountsAboveAQuarter) {
  EXPECT_DOUBLE_EQ(saturation(of({idle(kUdp)}, 0.25)), 0);
  EXPECT_DOUBLE_EQ(saturation(of({idle(kUdp)}, 0.625)), 0.5);
  EXPECT_DOUBLE_EQ(saturation(of({idle(kUdp)}, 1)), 1);
}

TEST(Signals, SegmentsSentAgainCountFromTwoToTwentyPerCent) {
  const auto resent = [](uint64_t part, uint64_t whole) {
    PortReading tcp = idle(kTcp);
    tcp.sockets.resent = part;
    tcp.sockets.segments = whole;
    return saturation(of({tcp}));
  };
  EXPECT_DOUBLE_EQ(resent(20, 1000), 0);
  EXPECT_DOUBLE_EQ(resent(110, 1000), 0.5);
  EXPECT_DOUBLE_EQ(resent(300, 1000), 1);
  EXPECT_DOUBLE_EQ(resent(1, 2), 0);  // of so few it means nothing
  EXPECT_DOUBLE_EQ(resent(20, 20), 1);
}

TEST(Signals, DegradedIsWhoLosesWork) {
  PortReading udp = idle(kUdp), tcp = idle(kTcp);
  udp.sockets.drops = 1;
  EXPECT_TRUE(report(of({udp, tcp})).degraded) << "datagrams dropped";
  udp = idle(kUdp);
  udp.sockets.listening = 0;
  EXPECT_TRUE(report(of({udp, tcp})).degraded) << "nobody listens";
  udp = idle(kUdp);
  tcp.sockets.accept_waiting = 100;
  EXPECT_FALSE(report(of({udp, tcp})).degraded) << "the last one still fits";
  tcp.sockets.accept_waiting = 101;
  EXPECT_TRUE(report(of({udp, tcp})).degraded) << "the accept queue is full";
}

TEST(Signals, ABurstThatIsGoneIsNoQueue) {
  PortReading udp = idle(kUdp);
  const Signals calm = of({udp});
  udp.sockets.waiting = 500;
  udp.sockets.receive_bytes = 900;
  udp.sockets.drops = 3;
  const Signals burst = of({udp}, 1);
  EXPECT_EQ(report_of(1, standing(calm, burst)), report_of(1, calm));
  EXPECT_EQ(report_of(1, standing(burst, calm)), report_of(1, calm));
  EXPECT_EQ(report_of(1, standing(burst, burst)).queue_depth, 500u);
}

// Whatever the kernel says: a REPORT within its limits, and more of anything never looks better.
TEST(Signals, MoreOfAnythingNeverLooksBetter) {
  test::check_property(1000, [] {
    const auto number = [] { return *rc::gen::inRange<uint64_t>(0, 2000); };
    PortReading port{kTcp,
                     {.listening = number() % 2,
                      .receive_bytes = number(),
                      .receive_limit = number(),
                      .accept_waiting = number(),
                      .accept_limit = number(),
                      .waiting = number(),
                      .drops = number() % 2,
                      .segments = number(),
                      .resent = number()}};
    const double cpu = static_cast<double>(number()) / 2000;
    const lcp::Report before = report(of({port}, cpu));
    RC_ASSERT(before.saturation <= lcp::kSaturationFull);
    __u64 lf_agent_sockets::*const grows[] = {
        &lf_agent_sockets::receive_bytes, &lf_agent_sockets::accept_waiting,
        &lf_agent_sockets::waiting, &lf_agent_sockets::drops, &lf_agent_sockets::resent};
    port.sockets.*(grows[*rc::gen::inRange<size_t>(0, std::size(grows))]) += number();
    const lcp::Report after = report(of({port}, cpu));
    RC_ASSERT(after.saturation >= before.saturation);
    RC_ASSERT(after.queue_depth >= before.queue_depth);
    RC_ASSERT(after.degraded || !before.degraded);
  });
}

}  // namespace
}  // namespace lf::agent
