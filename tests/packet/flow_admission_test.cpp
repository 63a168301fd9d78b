// SPDX-License-Identifier: Apache-2.0
// What a new flow has to pass, once: quotas and the policy.
#include "tests/packet/flow_packets.hpp"

namespace lf::test {
namespace {

void with_quota(config::Config& c) {
  flows(Mode::nat)(c);
  c.organisations[0].prefixes = {{ip("10.0.0.0"), 24, 4}, {ip("fd00::"), 64, 6}};
  c.organisations[1].prefixes = {{ip("10.0.0.128"), 25, 4}};
  c.organisations[0].intents["orbit-adjust"] = {.per_minute = 10};
  c.organisations[1].quota = {.per_minute = 0};
  for (config::Service& s : c.services) s.intent = "orbit-adjust";
}

TEST(FlowQuota, NewFlowsCountAndKnownOnesDoNot) {
  Rig rig(with_quota);
  for (uint16_t port = 1000; port < 1009; ++port) opened(rig, tcp_packet(false, kSyn, port));
  expect(rig, tcp_packet(false, kSyn, 1009), V::quota_rejected, {});
  for (uint16_t port = 1000; port < 1009; ++port) opened(rig, tcp_packet(false, kAck, port));
  // The same organisation over IPv6; another intent's worth is its own.
  expect(rig, tcp_packet(true, kSyn, 1009), V::quota_rejected, {});
  rig.advance_ms(61'000);
  opened(rig, tcp_packet(false, kSyn, 1009));
}

TEST(FlowQuota, TheLongestPrefixSaysWhose) {
  Rig rig(with_quota);
  Packet p = udp_packet(false);
  p.src = "10.0.0.200";
  expect(rig, p, V::quota_zero, {});
  p.src = "10.0.1.1";  // nobody's
  for (uint16_t port = 1; port < 50; ++port) {
    p.src_port = port;
    expect_verdict(rig.run(p), V::flow_forwarded);
  }
}

TEST(FlowQuota, AConnectionThatBeganElsewhereIsNotCounted) {
  Rig rig(with_quota);
  for (uint16_t port = 1000; port < 1050; ++port)
    expect_verdict(rig.run(tcp_packet(false, kAck, port)), V::flow_forwarded);
}

TEST(FlowQuota, AFlowCountsOnceHoweverManyOfItsPacketsComeAtOnce) {
  Rig rig(with_quota);
  const Result r = rig.run_burst(std::vector<Packet>(20, udp_packet(false)));
  EXPECT_EQ(r.sent.size(), 20u);
  for (uint16_t port = 1; port < 9; ++port)
    expect_verdict(rig.run(udp_packet(false, port)), V::flow_forwarded);
  std::vector<Packet> burst(5, udp_packet(false, 9));
  burst.push_back(udp_packet(false, 1));
  const Result refused = rig.run_burst(burst);
  EXPECT_EQ(refused.sent.size(), 1u);
  EXPECT_EQ(std::ranges::count(refused.verdicts, V::quota_rejected), 5);
}

// Flows of "web" are judged as commands of operator 8, an observer; all others as those of 7.
void with_policy(config::Config& c) {
  with_quota(c);
  c.organisations[0].intents.clear();
  for (config::Service& s : c.services) {
    if (s.kind != config::ServiceKind::flow) continue;
    s.operator_id = s.name == "web" ? 8 : 7;
  }
}

TEST(FlowPolicy, AFlowMayWhatTheOperatorOfItsServiceMay) {
  Rig rig(with_policy);
  for (const uint8_t flags : {kSyn, kAck})
    expect(rig, tcp_packet(false, flags), V::policy_denied, {});
  opened(rig, tcp_packet(true, kSyn));
  const uint16_t port = opened(rig, udp_packet(false));
  EXPECT_EQ(opened(rig, udp_packet(false)), port);
  Packet nobodys = udp_packet(false);
  nobodys.src = "10.0.1.1";
  expect(rig, nobodys, V::policy_denied, {});
}

TEST(FlowPolicy, WithoutAnOperatorNobodyIsAsked) {
  Rig rig(with_quota);
  Packet nobodys = udp_packet(false);
  nobodys.src = "10.0.1.1";
  expect_verdict(rig.run(nobodys), V::flow_forwarded);
}

TEST(FlowPolicy, ARefusedFlowsOtherPacketsGoWithIt) {
  Rig rig(with_policy);
  std::vector<Packet> burst(5, tcp_packet(false, kSyn));
  burst.push_back(udp_packet(false));
  const Result r = rig.run_burst(burst);
  EXPECT_EQ(r.sent.size(), 1u);
  EXPECT_EQ(std::ranges::count(r.verdicts, V::policy_denied), 5);
}

TEST(FlowPolicy, EachNewFlowIsOneRecord) {
  Rig rig(with_policy, {.audit_records = 16});
  rig.run_burst({udp_packet(false), udp_packet(false), tcp_packet(false, kSyn)});
  rig.run(udp_packet(false));
  ASSERT_EQ(rig.audit().published(), 2u);
  const audit::Record& let = rig.audit().at(0);
  EXPECT_EQ(let.outcome, static_cast<uint8_t>(PolicyOutcome::allow));
  EXPECT_EQ(let.verdict, static_cast<uint8_t>(V::flow_forwarded));
  EXPECT_EQ(let.org_id, 1u);
  EXPECT_EQ(let.operator_id, 7u);
  EXPECT_NE(let.node, kNoNode);
  EXPECT_TRUE(let.flags & audit::Record::kEvaluated);
  const IpAddress client = ip(kClient4);
  EXPECT_EQ(std::memcmp(let.command_id, &client, 16), 0);
  EXPECT_EQ(let.trace_id[0], 17);
  EXPECT_EQ(let.trace_id[2] << 8 | let.trace_id[3], kClientPort);
  EXPECT_EQ(let.trace_id[4] << 8 | let.trace_id[5], kWeb);
  const audit::Record& denied = rig.audit().at(1);
  EXPECT_EQ(denied.outcome, static_cast<uint8_t>(PolicyOutcome::deny));
  EXPECT_EQ(denied.verdict, static_cast<uint8_t>(V::policy_denied));
  EXPECT_EQ(denied.operator_id, 8u);
}

TEST(FlowBursts, ManyPacketsOfOneNewFlowOpenItOnce) {
  Rig rig(flows(Mode::nat));
  const Result r = rig.run_burst(std::vector<Packet>(20, udp_packet(false)));
  ASSERT_EQ(r.sent.size(), 20u);
  for (const Sent& s : r.sent) EXPECT_EQ(s.frame, r.sent[0].frame);
}

}  // namespace
}  // namespace lf::test
