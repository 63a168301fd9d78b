// SPDX-License-Identifier: Apache-2.0
// Commands through all stages: authentication, deadline, dedup, policy, quota, node choice, MTU.
#include "tests/packet/rows.hpp"

namespace lf::test {
namespace {

using V = Verdict;
using S = lcp::Status;

constexpr uint32_t kNoLimit = 0xffffffff;  // quota_remaining where no limit applies

// A signed command of acme that wants a reply.
Packet command(uint64_t id) {
  Packet p;
  p.lcp.id = id;
  p.lcp.flags = lcp::kFlagWantsReply;
  p.lcp.key = kAcmeKey;
  return p;
}
Packet command(uint64_t id, uint8_t intent, uint8_t attempt = 0) {
  Packet p = command(id);
  p.lcp.intent = intent;
  p.lcp.attempt = attempt;
  return p;
}

void require_tags(config::Config& c) {
  for (config::Service& s : c.services) s.authentication = config::Authentication::required;
}
void optional_tags(config::Config& c) {
  for (config::Service& s : c.services) s.authentication = config::Authentication::optional;
}

void expect(Rig& rig, const Packet& in, Verdict v, const std::vector<Packet>& out) {
  const Result r = rig.run(in);
  expect_verdict(r, v);
  expect_sent(r, out);
}

TEST(Authentication, RequiredTag) {
  Rig rig(require_tags);
  expect(rig, command(1), V::forwarded, {to_node(command(1))});
  Packet p = command(2);
  p.lcp.payload = Bytes(37, 9);
  expect(rig, p, V::forwarded, {to_node(p)});
  p = command(3);
  p.lcp.key.reset();
  expect(rig, p, V::auth_missing, {});
  p = command(4);
  p.lcp.key = kGlobexKey;
  expect(rig, p, V::auth_bad_tag, {});
  p = command(5);
  p.lcp.org = 77;
  expect(rig, p, V::auth_unknown_org, {});
  p = command(6);
  p.lcp.key_id = 9;
  expect(rig, p, V::auth_unknown_key, {});
}

TEST(Authentication, TagCoversHeaderAndPayload) {
  Rig rig(require_tags);
  Packet p = command(1);
  p.lcp.payload = Bytes(20, 1);
  for (const size_t at : {size_t{5}, size_t{20}, size_t{50}, size_t{70}, size_t{90}}) {
    Bytes datagram = build_lcp(p.lcp);
    datagram[at] ^= 1;
    Packet changed = p;
    changed.udp_payload = datagram;
    expect(rig, changed, V::auth_bad_tag, {});
  }
}

TEST(Authentication, OptionalTag) {
  Rig rig(optional_tags);
  Packet p = command(1);
  p.lcp.key.reset();
  expect(rig, p, V::forwarded, {to_node(p)});
  expect(rig, command(2), V::forwarded, {to_node(command(2))});
  p = command(3);
  p.lcp.key = kGlobexKey;
  expect(rig, p, V::auth_bad_tag, {});
}

TEST(Deadline, PassedOneIsRefusedAndAnswered) {
  Rig rig(require_tags);
  Packet p = command(1);
  p.lcp.deadline_us = kNowUs - 1;
  expect(rig, p, V::deadline_expired, {own_reply(p, S::expired, V::deadline_expired)});
  p = command(2);
  p.lcp.deadline_us = kNowUs;
  expect(rig, p, V::forwarded, {to_node(p)});
  p = command(3);
  p.lcp.deadline_us = kNowUs - 1;
  p.lcp.flags = 0;
  expect(rig, p, V::deadline_expired, {});
}

TEST(Deadline, ToleratesClockSkew) {
  Rig rig([](config::Config& c) { c.control.clock_skew_ms = 10; });
  Packet p;
  p.lcp.deadline_us = kNowUs - 10'000;
  expect_verdict(rig.run(p), V::forwarded);
  p.lcp.id = 2;
  p.lcp.deadline_us = kNowUs - 10'001;
  expect_verdict(rig.run(p), V::deadline_expired);
}

TEST(Dedup, SameIdAndAttemptInFlight) {
  Rig rig(require_tags);
  expect(rig, command(1), V::forwarded, {to_node(command(1))});
  expect(rig, command(1), V::duplicate_in_flight,
         {own_reply(command(1), S::duplicate, V::duplicate_in_flight)});
  Packet quiet = command(1);
  quiet.lcp.flags = 0;
  expect(rig, quiet, V::duplicate_in_flight, {});
}

TEST(Dedup, InOneBurst) {
  Rig rig;
  Packet p;
  const Result r = rig.run_burst({p, p, p});
  EXPECT_EQ(r.verdicts,
            (std::vector<V>{V::forwarded, V::duplicate_in_flight, V::duplicate_in_flight}));
  EXPECT_EQ(r.sent.size(), 1u);
}

TEST(Dedup, HigherAttemptPasses) {
  Rig rig(require_tags);
  expect(rig, command(1), V::forwarded, {to_node(command(1))});
  expect(rig, command(1, 1, 1), V::forwarded, {to_node(command(1, 1, 1))});
  expect_verdict(rig.run(command(1, 1, 1)), V::duplicate_in_flight);
  EXPECT_EQ(rig.stats().retries_passed.read(), 1u);
}

TEST(Dedup, SameIdOfAnotherOrganisation) {
  Rig rig;
  Packet p;
  expect_verdict(rig.run(p), V::forwarded);
  p.lcp.org = 2;
  expect_verdict(rig.run(p), V::forwarded);
}

TEST(Policy, DeniedByClearance) {
  Rig rig(require_tags);
  Packet p = command(1, 5);
  p.lcp.operator_id = 8;  // an observer
  expect(rig, p, V::policy_denied, {own_reply(p, S::denied, V::policy_denied)});
  // The id was given back: a retry is no duplicate.
  expect(rig, p, V::policy_denied, {own_reply(p, S::denied, V::policy_denied)});
  p = command(2, 1);
  p.lcp.operator_id = 4711;  // nobody
  expect(rig, p, V::policy_denied, {own_reply(p, S::denied, V::policy_denied)});
}

TEST(Policy, HeldGoesToControlAndTellsItsSender) {
  Rig rig([](config::Config& c) {
    require_tags(c);
    c.targets.push_back({.id = 5, .risk = 80});
  });
  Packet p = command(1);
  p.lcp.target = 5;
  Result r = rig.run(p);
  expect_verdict(r, V::held);
  ASSERT_EQ(r.control.size(), 1u);
  EXPECT_EQ(r.control[0], ToControl::held);
  expect_sent(r, {own_reply(p, S::held, V::held)});
  rig.control_is_full = true;
  p.lcp.id = 2;
  p.lcp.flags = 0;
  r = rig.run(p);
  expect_verdict(r, V::hold_full);
  expect_sent(r, {});
}

TEST(Policy, ReleasedIsNotAskedAgain) {
  Rig rig([](config::Config& c) { c.targets.push_back({.id = 5, .risk = 80}); });
  Packet p;
  p.lcp.target = 5;
  const Result r = rig.inject(p, Origin::released);
  expect_verdict(r, V::forwarded);
  expect_sent(r, {to_node(p)});
}

void acme_per_minute(config::Config& c, int64_t n, bool hard) {
  require_tags(c);
  c.organisations[0].quota = {.per_minute = n, .hard = hard};
}

TEST(Quota, ZeroAdmitsNothing) {
  Rig rig([](config::Config& c) { acme_per_minute(c, 0, false); });
  const Packet p = command(1);
  expect(rig, p, V::quota_zero, {own_reply(p, S::throttled, V::quota_zero, 0, 60, 60'000)});
}

TEST(Quota, HardLimitRejectsTheNextOne) {
  Rig rig([](config::Config& c) { acme_per_minute(c, 10, true); });
  for (uint64_t id = 1; id <= 9; ++id) expect_verdict(rig.run(command(id)), V::forwarded);
  const Result r = rig.run(command(10));  // would be more than 90 %
  expect_verdict(r, V::quota_rejected);
  ASSERT_EQ(r.sent.size(), 1u);
  EXPECT_EQ(check_frame(r.sent[0].frame), "");
  EXPECT_EQ(r.sent[0].frame[14 + 28 + 80], static_cast<uint8_t>(S::throttled));
  EXPECT_EQ(r.sent[0].frame[14 + 28 + 81], static_cast<uint8_t>(V::quota_rejected));
  // A retry of one in flight costs nothing, the others' quota is their own.
  expect_verdict(rig.run(command(1, 1, 1)), V::forwarded);
  Packet other = command(11);
  other.lcp.org = 2;
  other.lcp.key = kGlobexKey;
  expect_verdict(rig.run(other), V::forwarded);
}

TEST(Quota, DelayedLeavesLater) {
  Rig rig([](config::Config& c) { acme_per_minute(c, 10, false); });
  for (uint64_t id = 1; id <= 6; ++id) expect_verdict(rig.run(command(id)), V::forwarded);
  const Packet p = command(7);
  Result r = rig.run(p);
  expect_verdict(r, V::none);
  ASSERT_EQ(r.sent.size(), 1u) << "the notice to its sender";
  EXPECT_EQ(r.sent[0].frame[14 + 28 + 80], static_cast<uint8_t>(S::delayed));
  EXPECT_EQ(check_frame(r.sent[0].frame), "");
  EXPECT_EQ(rig.stats().parked.read(), 1u);
  EXPECT_EQ(rig.stats().quota_delayed.read(), 1u);
  EXPECT_TRUE(rig.advance_ms(20).sent.empty());
  r = rig.advance_ms(5000);
  expect_verdict(r, V::forwarded);
  expect_sent(r, {to_node(p)});
  EXPECT_EQ(rig.stats().unparked.read(), 1u);
}

TEST(Quota, DelayedPastItsDeadline) {
  Rig rig([](config::Config& c) { acme_per_minute(c, 10, false); });
  for (uint64_t id = 1; id <= 6; ++id) expect_verdict(rig.run(command(id)), V::forwarded);
  Packet p = command(7);
  p.lcp.deadline_us = kNowUs + 1000;
  expect_verdict(rig.run(p), V::delay_past_deadline);
}

TEST(Quota, WheelIsFull) {
  Rig rig([](config::Config& c) { acme_per_minute(c, 1000, false); }, {.delay_packets = 2});
  uint64_t id = 0;
  while (rig.count(V::forwarded) < 699) expect_verdict(rig.run(command(++id)), V::forwarded);
  expect_verdict(rig.run(command(++id)), V::none);
  expect_verdict(rig.run(command(++id)), V::none);
  expect_verdict(rig.run(command(++id)), V::delay_full);
}

TEST(Audit, FullRingRefusesWhenToldTo) {
  Rig rig([](config::Config& c) { c.audit.on_overflow.allow = true; }, {.audit_records = 2});
  Packet p;
  const Result r = rig.run_burst({p, p, p, p});
  EXPECT_GT(rig.count(V::audit_full), 0u);
  EXPECT_EQ(r.sent.size(), 0u);
}

TEST(Choose, NoNode) {
  Rig rig(require_tags);
  rig.forward([](auto&, std::vector<forward::PoolPlan>& plans) {
    for (auto& plan : plans) plan.primary.clear();
  });
  expect(rig, command(1), V::unroutable,
         {own_reply(command(1), S::unroutable, V::unroutable, kNoLimit)});
}

// What passed the quota and is refused later is told what is left after its burst.
TEST(Choose, ARefusalSaysWhatIsLeftOfTheQuota) {
  Rig rig([](config::Config& c) { acme_per_minute(c, 10, true); });
  rig.forward([](auto&, std::vector<forward::PoolPlan>& plans) {
    for (auto& plan : plans) plan.primary.clear();
  });
  const Result r = rig.run_burst({command(1), command(2)});
  expect_sent(r, {own_reply(command(1), S::unroutable, V::unroutable, 7),
                  own_reply(command(2), S::unroutable, V::unroutable, 7)});
}

TEST(Choose, NodeWithoutMac) {
  Rig rig(require_tags, {.resolved = false});
  expect(rig, command(1), V::node_unresolved,
         {own_reply(command(1), S::unroutable, V::node_unresolved, kNoLimit)});
}

TEST(Choose, BreakersOfAllNodesAreOpen) {
  Rig rig(require_tags);
  rig.live().set_breaker(0, {.flag = forward::BreakerFlag::open, .epoch = 1});
  expect_verdict(rig.run(command(1)), V::unroutable);
  rig.live().set_breaker(0, {.flag = forward::BreakerFlag::half_open, .epoch = 2, .trials = 2});
  expect_verdict(rig.run(command(2)), V::forwarded);
  expect_verdict(rig.run(command(3)), V::forwarded);
  expect(rig, command(4), V::trial_taken,
         {own_reply(command(4), S::unroutable, V::trial_taken, kNoLimit)});
}

TEST(Choose, IntentGoesToItsService) {
  Rig rig([](config::Config& c) {
    config::Service orbit = service("orbit", kOwn4, {"10.0.0.20"}, 9);
    c.services.push_back(orbit);
    c.intents[2].chain = {"intake", "orbit"};
  });
  Packet p;
  p.lcp.intent = 3;
  Packet want = to_node(p);
  want.dst = "10.0.0.20";
  expect_sent(rig.run(p), {want});
  p.lcp.id = 2;
  p.lcp.intent = 2;
  expect_sent(rig.run(p), {to_node(p)});
}

TEST(Rewriting, VlanTagIsAddedKeptAndChanged) {
  Rig rig(nullptr, {.node_vlan = 9});
  uint64_t id = 0;
  for (const std::optional<uint16_t> vlan :
       {std::optional<uint16_t>(), std::optional<uint16_t>(9), std::optional<uint16_t>(5)})
    for (const bool v6 : {false, true}) {
      Packet p;
      if (v6) p.src = kClient6, p.dst = kOwn6;
      p.vlan = vlan;
      p.lcp.id = ++id;
      Packet want = to_node(p);
      want.vlan = 9;
      expect(rig, p, V::forwarded, {want});
    }
}

TEST(Rewriting, DirectReturn) {
  Rig rig([](config::Config& c) { c.services[0].mode = forward::Mode::dsr_l2; });
  Packet p;
  Packet want = p;
  want.dst_mac = kNodeMac;
  want.src_mac = kPortMac;
  expect(rig, p, V::forwarded, {want});
}

TEST(Rewriting, TooBigForTheNodesMtu) {
  for (const bool v6 : {false, true}) {
    Rig rig(nullptr, {.node_mtu = 1280});
    Packet p;
    if (v6) p.src = kClient6, p.dst = kOwn6;
    p.lcp.payload = Bytes(1280, 3);
    Bytes quoted = build(p);
    quoted.erase(quoted.begin(), quoted.begin() + 14);
    quoted.resize(v6 ? 1280 - 48 : 576 - 28);
    Packet want{.dst_mac = kClientMac, .src_mac = kPortMac, .src = p.dst, .dst = p.src, .ttl = 64};
    want.protocol = v6 ? 58 : 1;
    want.l4 = v6 ? icmp(2, 0, 1280, quoted) : icmp(3, 4, 1280, quoted);
    want.checksum_at = 2;
    expect(rig, p, V::too_big, {want});
    // Its id was given back.
    p.lcp.payload.clear();
    expect(rig, p, V::forwarded, {to_node(p)});
  }
}

TEST(Sending, FullQueueGivesTheIdBack) {
  Rig rig;
  rig.port_is_full = true;
  Packet p;
  expect_verdict(rig.run(p), V::tx_full);
  rig.port_is_full = false;
  p.lcp.attempt = 1;
  expect_verdict(rig.run(p), V::forwarded);
}

TEST(Sending, DrainingRefusesNewCommands) {
  Rig rig(require_tags);
  rig.shared().draining.store(true);
  expect(rig, command(1), V::stopping, {own_reply(command(1), S::busy, V::stopping)});
}

// An entry makes room for another unless a command of this very burst is being worked on: so one
// burst has to fill a bucket of the table by itself.
TEST(Ledger, BucketFullOfOneBurst) {
  Rig rig;
  const ledger::Ledger& table = *rig.shared().ledger;
  const uint64_t buckets = table.capacity() / 8;
  std::vector<Packet> burst;
  for (uint64_t id = 1; burst.size() < 12; ++id) {
    Packet p;
    p.lcp.id = id;
    const Bytes datagram = build_lcp(p.lcp);
    const ledger::Hash hash =
        table.hasher().one({&datagram[16], ledger::space_of(p.lcp.org, false)});
    if (hash.hi % buckets == 0) burst.push_back(p);
  }
  rig.run_burst(burst);
  EXPECT_GE(rig.count(V::forwarded), 1u);
  EXPECT_GE(rig.count(V::ledger_full), 4u);
}

}  // namespace
}  // namespace lf::test
