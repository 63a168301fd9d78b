// SPDX-License-Identifier: Apache-2.0
// Commands of replayable intents whose node fails: they go to another node as if they had just come
// in, or back to their sender with a reason, once. The test plays control: it opens breakers and
// gives orders.
#include "tests/packet/rows.hpp"

namespace lf::test {
namespace {

using V = Verdict;
using S = lcp::Status;
using forward::BreakerFlag;
using replay::Phase;

constexpr uint32_t kNoLimit = 0xffffffff;  // quota_remaining where no limit applies
constexpr const char* kSecond4 = "10.0.0.15";
constexpr const char* kSecond6 = "fd00::f";

void two_nodes(config::Config& c) {
  c.services = world().services;
  for (config::Service& s : c.services) s.authentication = config::Authentication::optional;
}

Packet command(uint64_t id, bool v6 = false) {
  Packet p;
  if (v6) p.src = kClient6, p.dst = kOwn6;
  p.lcp.id = id;
  p.lcp.flags = lcp::kFlagWantsReply;
  p.lcp.key = kAcmeKey;
  return p;
}
Packet to_second(const Packet& p) {
  Packet out = to_node(p);
  out.dst = p.dst == kOwn6 ? kSecond6 : kSecond4;
  return out;
}

// Two nodes a service; all commands go to the first one.
struct TwoNodes {
  explicit TwoNodes(uint32_t packets = 64)
      : rig(two_nodes, {.audit_records = 64, .replay_packets = packets}) {
    for (const bool v6 : {false, true})
      for (const bool second : {false, true}) node(v6, second, BreakerFlag::closed);
    for (const bool v6 : {false, true}) node(v6, true, BreakerFlag::open);
  }

  NodeSlot slot(bool v6, bool second) {
    const std::string service = v6 ? "commands6" : "commands";
    return rig.slots().node(service, service + (second ? "-2" : "-1"));
  }
  void node(bool v6, bool second, BreakerFlag flag) {
    const NodeSlot s = slot(v6, second);
    const auto epoch = static_cast<uint16_t>(rig.live().breaker(s).epoch + 1);
    rig.live().set_breaker(s, {flag, epoch, 0});
  }
  // The first node's breaker opens, the second one's closes.
  void turn_over(bool v6 = false) {
    node(v6, true, BreakerFlag::closed);
    node(v6, false, BreakerFlag::open);
  }
  Result order(Phase phase, bool v6 = false, bool second = false,
               uint64_t deadline_us = UINT64_MAX) {
    const NodeSlot s = slot(v6, second);
    rig.orders().give(s, {.phase = phase, .batch = 64, .tokens = 64},
                      {rig.live().breaker(s).epoch, deadline_us});
    return rig.advance_ms(0);
  }

  const audit::Record& last_record() { return rig.audit().at(rig.audit().published() - 1); }

  Rig rig;
};

class Replay : public testing::Test, protected TwoNodes {};

TEST_F(Replay, GoesToAnotherNodeAsItCameIn) {
  uint64_t id = 0;
  for (const bool v6 : {false, true})
    for (const std::optional<uint16_t> vlan :
         {std::optional<uint16_t>(), std::optional<uint16_t>(5)})
      for (const bool driver_has_it : {false, true}) {
        TwoNodes one;
        one.rig.port_is_slow = driver_has_it;
        Packet p = command(++id, v6);
        p.vlan = vlan;
        p.lcp.payload = Bytes(30, 7);
        expect_sent(one.rig.run(p), {to_node(p)});
        EXPECT_EQ(one.rig.kept(), 1u);
        one.turn_over(v6);
        const Result r = one.order(Phase::send, v6);
        expect_verdict(r, V::forwarded);
        expect_sent(r, {to_second(p)});
        EXPECT_EQ(one.rig.stats().replays.read(), 1u);
        EXPECT_EQ(one.rig.kept(), 1u) << "kept once more, for its new node";
        EXPECT_EQ(one.rig.node_stats(one.slot(v6, false)).left.read(), 1u);
        EXPECT_EQ(one.rig.node_stats(one.slot(v6, true)).sent.read(), 1u);

        Packet late = from_node(id, S::ok, v6);
        expect_verdict(one.rig.run(late), V::reply_not_from_node);
        Packet reply = late;
        reply.src = v6 ? kSecond6 : kSecond4;
        const Result answered = one.rig.run(reply);
        expect_verdict(answered, V::replied);
        expect_sent(answered, {to_client(reply, p)});
        expect_verdict(one.rig.run(reply), V::reply_duplicate);
        one.rig.advance_ms(5);
        EXPECT_EQ(one.rig.kept(), 0u) << "answered ones are let go";
      }
}

TEST_F(Replay, AlsoOfWhatHasTimedOutAlready) {
  expect_verdict(rig.run(command(1)), V::forwarded);
  rig.advance_ms(2000);
  EXPECT_EQ(rig.node_stats(slot(false, false)).timeouts.read(), 1u);
  turn_over();
  expect_sent(order(Phase::send), {to_second(command(1))});
  EXPECT_EQ(rig.node_stats(slot(false, false)).left.read(), 0u) << "counted as a time-out";
}

TEST_F(Replay, MovesOnWhenTheSecondNodeFailsToo) {
  expect_verdict(rig.run(command(1)), V::forwarded);
  turn_over();
  expect_sent(order(Phase::send), {to_second(command(1))});
  node(false, false, BreakerFlag::closed);
  node(false, true, BreakerFlag::open);
  expect_sent(order(Phase::send, false, true), {to_node(command(1))});
  const Packet reply = from_node(1);
  expect_sent(rig.run(reply), {to_client(reply, command(1))});
}

TEST_F(Replay, RefusalNamesItsReasonAndGivesTheIdBack) {
  const Packet p = command(1);
  expect_verdict(rig.run(p), V::forwarded);
  turn_over();
  const Result r = order(Phase::refuse);
  expect_verdict(r, V::replay_exhausted);
  expect_sent(r, {own_reply(p, S::unroutable, V::replay_exhausted, kNoLimit)});
  EXPECT_EQ(rig.stats().replay_refused.read(), 1u);
  EXPECT_EQ(last_record().verdict, static_cast<uint8_t>(V::replay_exhausted));
  EXPECT_EQ(rig.kept(), 0u);
  expect_verdict(rig.run(from_node(1)), V::reply_unknown);
  expect_sent(rig.run(p), {to_second(p)});
}

TEST_F(Replay, WithoutAnyNodeItIsRefused) {
  const Packet p = command(1);
  expect_verdict(rig.run(p), V::forwarded);
  node(false, false, BreakerFlag::open);
  const Result r = order(Phase::send);
  expect_verdict(r, V::replay_unroutable);
  expect_sent(r, {own_reply(p, S::unroutable, V::replay_unroutable, kNoLimit)});
  EXPECT_EQ(rig.stats().replay_refused.read(), 1u);
  EXPECT_EQ(last_record().verdict, static_cast<uint8_t>(V::replay_unroutable));
}

TEST_F(Replay, WhatWouldBeLateInTheNextRoundIsRefusedNow) {
  Packet soon = command(1), later = command(2);
  soon.lcp.deadline_us = kNowUs + 3'000'000;
  later.lcp.deadline_us = kNowUs + 60'000'000;
  rig.run_burst({soon, later});
  turn_over();
  const Result r = order(Phase::refuse, false, false, kNowUs + 10'000'000);
  expect_verdict(r, V::replay_late);
  expect_sent(r, {own_reply(soon, S::unroutable, V::replay_late, kNoLimit)});
  EXPECT_EQ(last_record().verdict, static_cast<uint8_t>(V::replay_late));
  EXPECT_EQ(rig.kept(), 1u);
}

TEST_F(Replay, WhatDoesNotFitTheOtherNodeIsTooBig) {
  Packet p = command(1);
  p.lcp.payload = Bytes(1300, 1);
  expect_verdict(rig.run(p), V::forwarded);
  turn_over();
  rig.forward(
      [&](std::vector<forward::NextHop>& hops, auto&) { hops[slot(false, true)].mtu = 1400; });
  const Result r = order(Phase::send);
  expect_verdict(r, V::too_big);
  EXPECT_EQ(r.sent.size(), 1u) << "the ICMP error";
}

TEST_F(Replay, WhatThePortDoesNotTakeIsGivenBack) {
  expect_verdict(rig.run(command(1)), V::forwarded);
  turn_over();
  rig.port_is_full = true;
  expect_verdict(order(Phase::send), V::tx_full);
  rig.port_is_full = false;
  expect_sent(rig.run(command(1)), {to_second(command(1))});
}

TEST_F(Replay, AnsweredOnesStayWhereTheyAre) {
  expect_verdict(rig.run(command(1)), V::forwarded);
  expect_verdict(rig.run(from_node(1)), V::replied);
  turn_over();
  const Result r = order(Phase::send);
  EXPECT_TRUE(r.sent.empty());
  EXPECT_TRUE(r.verdicts.empty());
  EXPECT_EQ(rig.kept(), 0u);
}

TEST_F(Replay, ARetryIsReplayedInsteadOfItsFirstAttempt) {
  expect_verdict(rig.run(command(1)), V::forwarded);
  Packet retry = command(1);
  retry.lcp.attempt = 1;
  rig.advance_ms(10);
  expect_sent(rig.run(retry), {to_node(retry)});
  turn_over();
  expect_sent(order(Phase::send), {to_second(retry)});
}

TEST_F(Replay, WithoutABufferForACopyItIsRefusedAndItsIdGivenBack) {
  rig.port_is_slow = true;  // the driver has the packet still
  const Packet p = command(1);
  expect_verdict(rig.run(p), V::forwarded);
  turn_over();
  rig.take_all_buffers();
  const Result r = order(Phase::send);
  EXPECT_TRUE(r.sent.empty());
  EXPECT_TRUE(r.verdicts.empty());
  EXPECT_EQ(rig.count(V::replay_uncopied), 1u);
  EXPECT_EQ(rig.stats().replay_refused.read(), 1u);
  EXPECT_EQ(rig.kept(), 0u);
  EXPECT_EQ(last_record().verdict, static_cast<uint8_t>(V::replay_uncopied));
  rig.give_buffers_back();
  expect_verdict(rig.run(p), V::forwarded);  // the sender tries again: a fresh command
}

TEST_F(Replay, CommandsPastTheirDeadlineAreLetGoAndAudited) {
  Packet p = command(1);
  p.lcp.deadline_us = kNowUs + 3'000'000;
  expect_verdict(rig.run(p), V::forwarded);
  expect_verdict(rig.run(command(2)), V::forwarded);
  expect_verdict(rig.run(from_node(2)), V::replied);
  rig.advance_ms(4000);
  EXPECT_EQ(rig.kept(), 0u);
  ASSERT_EQ(rig.audit().published(), 3u) << "two that were sent, one end";
  const audit::Record& sent = rig.audit().at(0);
  EXPECT_EQ(std::memcmp(last_record().command_id, sent.command_id, 16), 0);
  EXPECT_EQ(last_record().verdict, static_cast<uint8_t>(V::none));
  EXPECT_TRUE(last_record().flags & audit::Record::kUnkept);
  EXPECT_EQ(last_record().node, slot(false, false));
  turn_over();
  EXPECT_TRUE(order(Phase::send).sent.empty());
}

TEST_F(Replay, OtherIntentsAreNotKept) {
  Packet p = command(1);
  p.lcp.intent = 3;
  expect_verdict(rig.run(p), V::forwarded);
  EXPECT_EQ(rig.kept(), 0u);
  turn_over();
  EXPECT_TRUE(order(Phase::send).sent.empty());
}

class SmallPool : public testing::Test, protected TwoNodes {
 protected:
  SmallPool() : TwoNodes(2) {}
};

TEST_F(SmallPool, WhatCannotBeKeptIsCountedAndAudited) {
  const Result r = rig.run_burst({command(1), command(2), command(3)});
  EXPECT_EQ(r.sent.size(), 3u);
  EXPECT_EQ(rig.kept(), 2u);
  EXPECT_EQ(rig.stats().replay_unkept.read(), 1u);
  for (const uint32_t i : {0, 1, 2}) {
    EXPECT_EQ(rig.audit().at(i).verdict, static_cast<uint8_t>(V::forwarded));
    EXPECT_EQ((rig.audit().at(i).flags & audit::Record::kUnkept) != 0, i == 2) << i;
  }
  turn_over();
  EXPECT_EQ(order(Phase::send).sent.size(), 2u);
}

}  // namespace
}  // namespace lf::test
