// SPDX-License-Identifier: Apache-2.0
// The match stage with its time-outs: replies from nodes, strangers and the late.
#include "dataplane/match/match.hpp"

#include <gtest/gtest.h>

#include <array>

#include "control/parse/table_builder.hpp"
#include "dataplane/core/outcome_word.hpp"
#include "dataplane/dedup/dedup.hpp"
#include "dataplane/parse/parse.hpp"
#include "tests/support/mbufs.hpp"
#include "tests/support/world.hpp"
#include "tests/unit/ledger/test_ledger.hpp"

namespace lf::match {
namespace {

using test::build;
using test::Bytes;
using test::Packet;

constexpr uint64_t kHz = 1'000'000'000;  // a tick is a nanosecond
constexpr Tsc kUs = 1000, kMs = 1'000'000;
constexpr Tsc kStart = 1'000'000'000;
constexpr Tsc kTimeout = 100 * kMs, kWindow = 120 * kHz;
constexpr const char* kNodes[] = {test::kNode4, "10.0.0.15"};

forward::Table forward_table() {
  forward::Table t;
  for (const char* address : kNodes) {
    forward::Node n;
    n.address = test::ip(address);
    n.port = lcp::be16(lcp::kDefaultPort);
    n.service = 0;
    n.configured = true;
    n.node_id = static_cast<uint32_t>(11 + t.nodes.size());
    n.owner = 1;
    t.nodes.push_back(n);
  }
  forward::Service s;
  s.timeout_tsc = kTimeout;
  s.slow_tsc = 20 * kMs;
  t.services = {s};
  t.by_address.assign(4, kNoNode);
  for (NodeSlot slot = 0; slot < 2; ++slot) {
    uint32_t at = forward::address_hash(t.nodes[slot].address, t.nodes[slot].port) & 3;
    while (t.by_address[at] != kNoNode) at = (at + 1) & 3;
    t.by_address[at] = slot;
  }
  return t;
}

struct Fixture {
  parse::Table parse_table = parse::build_table(test::world(), test::world_ports()).value();
  forward::Table forward = forward_table();
  authenticate::Table services;  // all take proven commands
  std::unique_ptr<forward::NodeLive> nodes_live = std::make_unique<forward::NodeLive>();
  ledger::test::TestLedger ledger;
  std::unique_ptr<dedup::State> dedup = std::make_unique<dedup::State>();
  std::vector<NodeStats> stats = std::vector<NodeStats>(2);
  WorkerStats worker;
  std::unique_ptr<State> state = std::make_unique<State>(stats.data(), &worker, 64, kHz);
  test::TestBurst b;
  Selection live, submitted;
  Tsc now = kStart;

  explicit Fixture(bool lone_worker = false)
      : ledger({ledger::kEntriesMin, kWindow, 0.5, ledger::test::test_secret(), lone_worker}) {}

  Meta& add(const Packet& p) {
    b.burst->count = 0;
    b.add(build(p));
    parse::State parse_state;
    parse::Sorted sorted;
    parse::run(parse_table, parse_state, *b.burst, sorted, 0);
    EXPECT_EQ(b.burst->meta[0].verdict, Verdict::none);
    live = b.all();
    return b.burst->meta[0];
  }

  // A command on its way to a node. Its Meta is valid until the next packet.
  Meta& send(uint64_t id, NodeSlot node, uint8_t attempt = 0, bool from_control = false,
             bool proven = true) {
    Packet p;
    p.lcp.id = id;
    p.lcp.attempt = attempt;
    Meta& m = add(p);
    m.authenticated = proven;
    m.org = 0;
    dedup::run(*ledger, *dedup, *b.burst, live, now);
    EXPECT_EQ(live.count, 1);
    m.node = node;
    m.breaker_epoch = nodes_live->breaker(node).epoch;
    record_sent(forward, *ledger, *state, *b.burst, live, from_control ? 1 : 0, now);
    return m;
  }

  Packet reply_packet(uint64_t id, const char* from, lcp::Status status) {
    Packet p;
    p.src = from;
    p.src_port = lcp::kDefaultPort;
    p.src_mac = test::kNodeMac;
    p.lcp.type = 2;
    p.lcp.id = id;
    p.lcp.payload = test::reply_body(status);
    return p;
  }

  Verdict reply(uint64_t id, NodeSlot from, lcp::Status status = lcp::Status::ok) {
    add(reply_packet(id, kNodes[from], status));
    return run();
  }

  Verdict run() {
    submitted.count = 0;
    match::expect(services, *ledger, *state, *b.burst, live, 0);
    match::run(forward, *nodes_live, *ledger, *state, *b.burst, live, submitted, now);
    EXPECT_EQ(live.count, b.burst->meta[0].verdict == Verdict::none);
    return b.burst->meta[0].verdict;
  }

  ledger::State state_of(uint64_t id, bool proven) const {
    const Bytes lcp = test::build_lcp({.id = id});
    const auto* header = reinterpret_cast<const lcp::Header*>(lcp.data());
    const ledger::Hash hash =
        ledger->hasher().one({header->command_id, ledger::space_of(1, proven)});
    return ledger->look_for(hash, ledger->epoch_of(now)).state();
  }
  uint32_t expire() { return state->timeouts.expire(*ledger, *nodes_live, stats.data(), now); }
  OutcomeWord outcomes(NodeSlot node) const {
    return OutcomeWord::unpack(stats[node].outcomes_in_epoch.load());
  }
  int64_t in_flight(NodeSlot n) const {
    const NodeStats& s = stats[n];
    return static_cast<int64_t>(s.sent.read() - s.ok.read() - s.failed.read() - s.busy.read() -
                                s.other.read() - s.timeouts.read() - s.left.read());
  }
};

TEST(Match, AReplyFindsItsClientAndIsCounted) {
  Fixture f;
  f.send(1, 1);
  EXPECT_EQ(f.in_flight(1), 1);
  f.now += 700 * kUs;
  ASSERT_EQ(f.reply(1, 1), Verdict::none);
  const rewrite::Client& c = f.state->clients[0];
  EXPECT_EQ(c.address, test::ip(test::kClient4));
  EXPECT_EQ(c.local, test::ip(test::kOwn4));
  EXPECT_EQ(c.port, lcp::be16(test::kClientPort));
  EXPECT_EQ(c.local_port, lcp::be16(lcp::kDefaultPort));
  EXPECT_EQ(c.ip_version, 4);
  EXPECT_EQ(std::memcmp(&c.mac, test::kClientMac.data(), 6), 0);
  EXPECT_EQ(f.b.burst->meta[0].node, 1);
  EXPECT_EQ(f.stats[1].ok.read(), 1u);
  EXPECT_EQ(f.stats[1].latency[latency_bucket(700)].read(), 1u);
  EXPECT_EQ(f.stats[1].latency_sum_us.read(), 700u);
  EXPECT_EQ(f.outcomes(1).ok, 1u);
  EXPECT_EQ(f.in_flight(1), 0);

  EXPECT_EQ(f.reply(1, 1), Verdict::reply_duplicate);
  EXPECT_EQ(f.reply(2, 1), Verdict::reply_unknown);
  EXPECT_EQ(f.stats[1].ok.read(), 1u);
}

TEST(Match, OnlyTheNodeThatHasItMayAnswer) {
  Fixture f;
  f.send(1, 1);
  EXPECT_EQ(f.reply(1, 0), Verdict::reply_not_from_node);
  Packet p = f.reply_packet(1, kNodes[1], lcp::Status::ok);
  p.src_port = 9999;
  f.add(p);
  EXPECT_EQ(f.run(), Verdict::reply_not_from_node);
  EXPECT_EQ(f.stats[0].ok.read() + f.stats[1].ok.read(), 0u);
  EXPECT_EQ(f.reply(1, 1), Verdict::none);
}

TEST(Match, TheTagOfTheNodesOwnerCountsFromAnywhere) {
  Fixture f;
  f.send(1, 1);
  Packet p = f.reply_packet(1, test::kClient4, lcp::Status::ok);
  Meta& another = f.add(p);
  another.authenticated = true;
  another.org = 0;  // not the node's owner
  EXPECT_EQ(f.run(), Verdict::reply_not_from_node);
  Meta& owner = f.add(p);
  owner.authenticated = true;
  owner.org = 1;
  EXPECT_EQ(f.run(), Verdict::none);
}

TEST(Match, FailuresCountAtLeastTheTimeOutAsLatency) {
  Fixture f;
  f.send(1, 0);
  f.send(2, 0);
  f.send(3, 0);
  f.now += 30 * kMs;
  EXPECT_EQ(f.reply(1, 0, lcp::Status::failed), Verdict::none);
  EXPECT_EQ(f.reply(2, 0, lcp::Status::busy), Verdict::none);
  EXPECT_EQ(f.reply(3, 0, lcp::Status::denied), Verdict::none);
  EXPECT_EQ(f.stats[0].failed.read(), 1u);
  EXPECT_EQ(f.stats[0].busy.read(), 1u);
  EXPECT_EQ(f.stats[0].other.read(), 1u);
  EXPECT_EQ(f.stats[0].slow.read(), 3u);
  EXPECT_EQ(f.stats[0].latency[latency_bucket(100'000)].read(), 2u);
  EXPECT_EQ(f.stats[0].latency[latency_bucket(30'000)].read(), 1u);
  EXPECT_EQ(f.outcomes(0).ok, 1u);
  EXPECT_EQ(f.outcomes(0).failed, 2u);
}

TEST(Match, AnAnswerToAnEarlierBreakerEpochDoesNotCountForIt) {
  Fixture f;
  f.nodes_live->set_breaker(0, {forward::BreakerFlag::closed, 5, 0});
  f.send(1, 0);
  f.nodes_live->set_breaker(0, {forward::BreakerFlag::half_open, 6, 3});
  f.send(2, 0);
  EXPECT_EQ(f.reply(1, 0, lcp::Status::failed), Verdict::none);
  EXPECT_EQ(f.reply(2, 0), Verdict::none);
  EXPECT_EQ(f.outcomes(0).epoch, 6);
  EXPECT_EQ(f.outcomes(0).ok, 1u);
  EXPECT_EQ(f.outcomes(0).failed, 0u);
  EXPECT_EQ(f.stats[0].failed.read(), 1u);
}

TEST(Match, WhatIsNotAnsweredTimesOutOnce) {
  Fixture f;
  f.send(1, 0);
  f.send(2, 0);
  f.now += 50 * kMs;
  EXPECT_EQ(f.reply(2, 0), Verdict::none);
  EXPECT_EQ(f.expire(), 0u);
  f.now = kStart + kTimeout + kMs;
  EXPECT_EQ(f.expire(), 1u);
  f.now += kTimeout;
  EXPECT_EQ(f.expire(), 0u);
  EXPECT_EQ(f.stats[0].timeouts.read(), 1u);
  EXPECT_EQ(f.outcomes(0).failed, 1u);
  EXPECT_EQ(f.in_flight(0), 0);
  EXPECT_NEAR(static_cast<double>(f.stats[0].latency_sum_us.read()), 50'000 + 101'000, 1);

  // The late reply is delivered, and counted as late only.
  EXPECT_EQ(f.reply(1, 0), Verdict::none);
  EXPECT_EQ(f.state->clients[0].port, lcp::be16(test::kClientPort));
  EXPECT_EQ(f.stats[0].answered_late.read(), 1u);
  EXPECT_EQ(f.stats[0].ok.read(), 1u);
  EXPECT_EQ(f.in_flight(0), 0);
  EXPECT_EQ(f.reply(1, 0), Verdict::reply_duplicate);
}

TEST(Match, ARetryMovesTheCommandAndItsTimeOut) {
  Fixture f;
  f.send(1, 0);
  f.now += 60 * kMs;
  const Meta& m = f.send(1, 1, 1);
  EXPECT_TRUE(m.is_retry);
  EXPECT_EQ(f.in_flight(0), 0);
  EXPECT_EQ(f.stats[0].left.read(), 1u);
  EXPECT_EQ(f.in_flight(1), 1);
  f.now = kStart + kTimeout + kMs;
  EXPECT_EQ(f.expire(), 0u);  // the first transmission's time is up, but it is not the last
  EXPECT_EQ(f.reply(1, 0), Verdict::reply_not_from_node);
  f.now += 60 * kMs;
  EXPECT_EQ(f.expire(), 1u);
  EXPECT_EQ(f.stats[0].timeouts.read(), 0u);
  EXPECT_EQ(f.stats[1].timeouts.read(), 1u);
}

TEST(Match, RepliesToWhatControlSubmittedGoToControl) {
  Fixture f;
  f.send(1, 0, 0, true);
  EXPECT_EQ(f.reply(1, 0), Verdict::reply_to_control);
  EXPECT_EQ(f.submitted.count, 1);
  EXPECT_EQ(f.stats[0].ok.read(), 1u);
}

TEST(Match, RepliesToUnprovenCommandsAreFoundToo) {
  Fixture f;
  f.send(1, 0, 0, false, false);
  EXPECT_EQ(f.reply(1, 0), Verdict::none);
  EXPECT_EQ(f.reply(1, 0), Verdict::reply_duplicate);
}

TEST(Match, OfAProvenCommandAndAnotherTheServiceTellsWhichIsMeantFirst) {
  for (const auto mode :
       {authenticate::Mode::required, authenticate::Mode::optional, authenticate::Mode::off}) {
    Fixture f;
    f.services.modes = {mode};
    f.send(1, 0, 0, false, true);
    f.send(1, 0, 0, false, false);
    const bool proven_first = mode != authenticate::Mode::off;
    ASSERT_EQ(f.reply(1, 0), Verdict::none);
    EXPECT_EQ(f.state_of(1, proven_first), ledger::State::answered);
    EXPECT_EQ(f.state_of(1, !proven_first), ledger::State::in_flight);
    EXPECT_EQ(f.reply(1, 0), Verdict::reply_duplicate);
  }
}

TEST(Match, UnderOffAProvenCommandIsFoundToo) {
  Fixture f;
  f.services.modes = {authenticate::Mode::off};
  f.send(1, 0);
  EXPECT_EQ(f.reply(1, 0), Verdict::none);
  EXPECT_EQ(f.reply(1, 0), Verdict::reply_duplicate);
}

TEST(Match, OfABurstEachReplyHasItsOwnVerdict) {
  for (const bool lone_worker : {false, true}) {
    Fixture f(lone_worker);
    f.send(1, 0);
    f.send(2, 1);
    f.send(3, 0, 0, false, false);
    f.send(4, 0, 0, true);
    f.b.burst->count = 0;
    const struct {
      uint64_t id;
      NodeSlot from;
      Verdict verdict;
    } rows[] = {{1, 0, Verdict::none},
                {9, 0, Verdict::reply_unknown},
                {1, 0, Verdict::reply_duplicate},
                {2, 0, Verdict::reply_not_from_node},
                {2, 1, Verdict::none},
                {3, 0, Verdict::none},
                {3, 0, Verdict::reply_duplicate},
                {4, 0, Verdict::reply_to_control}};
    for (const auto& row : rows)
      f.b.add(build(f.reply_packet(row.id, kNodes[row.from], lcp::Status::ok)));
    parse::State parse_state;
    parse::Sorted sorted;
    parse::run(f.parse_table, parse_state, *f.b.burst, sorted, 0);
    f.live = f.b.all();
    match::expect(f.services, *f.ledger, *f.state, *f.b.burst, f.live, 0);
    match::run(f.forward, *f.nodes_live, *f.ledger, *f.state, *f.b.burst, f.live, f.submitted,
               f.now);
    std::vector<uint8_t> stay;
    for (uint8_t i = 0; i < std::size(rows); ++i) {
      EXPECT_EQ(f.b.burst->meta[i].verdict, rows[i].verdict) << int{i};
      if (rows[i].verdict == Verdict::none) stay.push_back(i);
    }
    EXPECT_EQ(std::vector<uint8_t>(f.live.begin(), f.live.end()), stay);
    EXPECT_EQ(f.stats[0].ok.read() + f.stats[1].ok.read(), 4u);
    EXPECT_EQ(f.state->flights.balance(), 0);
  }
}

// Nobody else changes a lone worker's entries, but sweep() old ones.
TEST(Match, AReplyShortBeforeTheWindowEndsFindsItsCommand) {
  for (const bool lone_worker : {false, true})
    for (const uint32_t epochs : {0u, 1u, 61u, 62u, 63u, 64u}) {
      Fixture f(lone_worker);
      f.send(1, 0);
      f.now += epochs * f.ledger->epoch_tsc();
      EXPECT_EQ(f.reply(1, 0), Verdict::none) << epochs;
      EXPECT_EQ(f.state_of(1, true), ledger::State::answered);
      EXPECT_EQ(f.reply(1, 0), Verdict::reply_duplicate) << epochs;
    }
}

TEST(Match, ACommandThatThePortDidNotTakeIsGivenBack) {
  Fixture f;
  f.send(1, 0);
  not_sent(*f.ledger, *f.state, *f.b.burst, 0, f.now);
  EXPECT_EQ(f.in_flight(0), 0);
  EXPECT_EQ(f.stats[0].left.read(), 1u);
  EXPECT_FALSE(f.send(1, 0).is_retry);  // same attempt: is fresh
  f.now += kMs;
  EXPECT_TRUE(f.send(1, 0, 1).is_retry);
  not_sent(*f.ledger, *f.state, *f.b.burst, 0, f.now);
  EXPECT_EQ(f.in_flight(0), 0);
  f.now += 2 * kTimeout;
  EXPECT_EQ(f.expire(), 0u);
  EXPECT_EQ(f.reply(1, 0), Verdict::none);  // to the first transmission
}

TEST(Match, WithoutProxyNoReplyIsExpected) {
  Fixture f;
  f.forward.nodes[0].mode = forward::Mode::dsr_l2;
  f.forward.services[0].mode = forward::Mode::dsr_l2;
  f.send(1, 0);
  EXPECT_EQ(f.in_flight(0), 0);
  EXPECT_EQ(f.state->timeouts.watched(), 0u);
  not_sent(*f.ledger, *f.state, *f.b.burst, 0, f.now);
  EXPECT_EQ(f.in_flight(0), 0);
  f.send(1, 0);
  f.now += 2 * kTimeout;
  EXPECT_EQ(f.expire(), 0u);
  const Meta& retry = f.send(1, 0, 1);  // still sticks to its node
  EXPECT_TRUE(retry.is_retry);
}

TEST(Match, CountsWhatItCannotWatch) {
  Fixture f;
  for (uint64_t id = 1; id <= 65; ++id) f.send(id, 0);
  EXPECT_EQ(f.state->timeouts.watched(), 64u);
  EXPECT_EQ(f.worker.timeouts_untracked.read(), 1u);
}

// The time-out wheel keeps 42 in a chunk.
TEST(Match, ABurstIsWatchedAsFarAsThereIsRoom) {
  Fixture f;
  const auto send = [&f](uint64_t first_id, uint32_t count) {
    f.b.burst->count = 0;
    for (uint32_t k = 0; k < count; ++k) {
      Packet p;
      p.lcp.id = first_id + k;
      f.b.add(build(p));
    }
    parse::State parse_state;
    parse::Sorted sorted;
    parse::run(f.parse_table, parse_state, *f.b.burst, sorted, 0);
    f.live = f.b.all();
    for (uint32_t k = 0; k < count; ++k) {
      f.b.burst->meta[k].authenticated = true;
      f.b.burst->meta[k].org = 0;
    }
    dedup::run(*f.ledger, *f.dedup, *f.b.burst, f.live, f.now);
    ASSERT_EQ(f.live.count, count);
    for (uint32_t k = 0; k < count; ++k) f.b.burst->meta[k].node = static_cast<NodeSlot>(k % 2);
    record_sent(f.forward, *f.ledger, *f.state, *f.b.burst, f.live, 0, f.now);
  };
  send(1000, 60);
  EXPECT_EQ(f.state->timeouts.watched(), 60u);
  EXPECT_EQ(f.worker.timeouts_untracked.read(), 0u);
  send(2000, 10);  // 64 is all that it can watch
  EXPECT_EQ(f.state->timeouts.watched(), 64u);
  EXPECT_EQ(f.worker.timeouts_untracked.read(), 6u);
  EXPECT_EQ(f.stats[0].sent.read(), 35u);
  EXPECT_EQ(f.stats[1].sent.read(), 35u);
  // All of them were recorded, watched or not.
  EXPECT_EQ(f.reply(1041, 1), Verdict::none);
  EXPECT_EQ(f.reply(1042, 0), Verdict::none);
  EXPECT_EQ(f.reply(2009, 1), Verdict::none);
  f.now += kTimeout + kMs;
  EXPECT_EQ(f.expire(), 62u);
  EXPECT_EQ(f.stats[0].timeouts.read() + f.stats[1].timeouts.read(), 62u);
}

TEST(Match, FindsTheSendersOfProbeRepliesAndReports) {
  Fixture f;
  Packet probe;
  probe.src = kNodes[1];
  probe.src_port = lcp::kDefaultPort;
  probe.lcp.type = 6;
  EXPECT_EQ((f.add(probe), find_senders(f.forward, *f.b.burst, f.live, Verdict::probe_unexpected),
             f.b.burst->meta[0].node),
            1);
  probe.src = test::kClient4;
  f.add(probe);
  find_senders(f.forward, *f.b.burst, f.live, Verdict::probe_unexpected);
  EXPECT_EQ(f.b.burst->meta[0].verdict, Verdict::probe_unexpected);
  EXPECT_EQ(f.live.count, 0);

  Packet report;
  report.src = kNodes[1];
  report.src_port = 31234;
  report.lcp.type = 4;
  for (const auto& [id, org, proven, node] :
       {std::tuple{12u, 1u, true, NodeSlot{1}}, std::tuple{11u, 1u, true, NodeSlot{0}},
        std::tuple{13u, 1u, true, kNoNode}, std::tuple{12u, 0u, true, kNoNode},
        std::tuple{12u, 1u, false, kNoNode}}) {
    report.lcp.payload = test::report_body(id);
    Meta& m = f.add(report);
    m.authenticated = proven;
    m.org = org;
    find_senders(f.forward, *f.b.burst, f.live, Verdict::report_not_from_node);
    EXPECT_EQ(m.node, node) << id << ' ' << org << ' ' << proven;
    EXPECT_EQ(m.verdict, node == kNoNode ? Verdict::report_not_from_node : Verdict::none);
  }
}

}  // namespace
}  // namespace lf::match
