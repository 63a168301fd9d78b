// SPDX-License-Identifier: Apache-2.0
// What comes from nodes: replies to commands in flight, reports, answers to probes; and approvals.
#include "tests/packet/rows.hpp"

namespace lf::test {
namespace {

using V = Verdict;
using S = lcp::Status;

TEST(Replies, GoBackToTheirClients) {
  uint64_t id = 0;
  Rig rig;
  for (const bool v6 : {false, true})
    for (const std::optional<uint16_t> vlan :
         {std::optional<uint16_t>(), std::optional<uint16_t>(5)})
      for (const S status : {S::ok, S::failed, S::busy}) {
        Packet command;
        if (v6) command.src = kClient6, command.dst = kOwn6;
        command.vlan = vlan;
        command.src_port = static_cast<uint16_t>(5000 + id);
        command.lcp.id = ++id;
        expect_verdict(rig.run(command), V::forwarded);
        Packet reply = from_node(id, status, v6);
        reply.lcp.payload.resize(16 + id, 0x33);
        const Result r = rig.run(reply);
        expect_verdict(r, V::replied);
        expect_sent(r, {to_client(reply, command)});
      }
}

TEST(Replies, TooBigForTheClientsPort) {
  for (const bool v6 : {false, true}) {
    Rig rig([](config::Config& c) { c.ports[0].mtu = 1280; });
    Packet command;
    if (v6) command.src = kClient6, command.dst = kOwn6;
    expect_verdict(rig.run(command), V::forwarded);
    Packet reply = from_node(1, S::ok, v6);
    reply.lcp.payload.resize(1280, 0x33);
    Bytes quoted = build(reply);
    quoted.erase(quoted.begin(), quoted.begin() + 14);
    quoted.resize(v6 ? 1280 - 48 : 576 - 28);
    Packet want{.dst_mac = kNodeMac, .src_mac = kPortMac, .src = reply.dst, .dst = reply.src};
    want.ttl = 64;
    want.protocol = v6 ? 58 : 1;
    want.l4 = v6 ? icmp(2, 0, 1280, quoted) : icmp(3, 4, 1280, quoted);
    want.checksum_at = 2;
    const Result r = rig.run(reply);
    expect_verdict(r, V::too_big);
    expect_sent(r, {want});
  }
}

TEST(Replies, SecondOneIsDropped) {
  Rig rig;
  expect_verdict(rig.run(Packet{}), V::forwarded);
  expect_verdict(rig.run(from_node(1)), V::replied);
  expect_verdict(rig.run(from_node(1)), V::reply_duplicate);
}

TEST(Replies, ToNothing) {
  Rig rig;
  expect_verdict(rig.run(from_node(99)), V::reply_unknown);
}

TEST(Replies, FromSomebodyElse) {
  Rig rig;
  expect_verdict(rig.run(Packet{}), V::forwarded);
  Packet p = from_node(1);
  p.src = "10.0.0.66";
  expect_verdict(rig.run(p), V::reply_not_from_node);
  p = from_node(1);
  p.src_port = 7000;
  expect_verdict(rig.run(p), V::reply_not_from_node);
  expect_verdict(rig.run(from_node(1)), V::replied);
}

TEST(Replies, CommandOnceAnsweredGetsItsStatusAgain) {
  Rig rig([](config::Config& c) {
    for (auto& s : c.services) s.authentication = config::Authentication::required;
  });
  Packet command;
  command.lcp.key = kAcmeKey;
  command.lcp.flags = lcp::kFlagWantsReply;
  expect_verdict(rig.run(command), V::forwarded);
  Packet reply = from_node(1, S::failed);
  reply.lcp.key = kAcmeKey;
  expect_verdict(rig.run(reply), V::replied);
  for (const uint8_t attempt : {0, 1}) {
    command.lcp.attempt = attempt;
    const Result r = rig.run(command);
    expect_verdict(r, V::duplicate_answered);
    expect_sent(r, {own_reply(command, S::failed, V::duplicate_answered)});
  }
}

TEST(Replies, ToACommandThatControlSubmitted) {
  Rig rig;
  expect_verdict(rig.inject(Packet{}, Origin::intake), V::forwarded);
  const Result r = rig.run(from_node(1));
  expect_verdict(r, V::reply_to_control);
  EXPECT_EQ(r.control, std::vector<ToControl>{ToControl::reply});
  expect_sent(r, {});
}

// Batch intake has nobody on the wire: what refuses its commands tells control, whatever became of
// them on the way. UDP port 0 says so, also once they were held.
TEST(Replies, ToACommandThatControlSubmittedAndThatIsRefused) {
  Rig rig;
  Packet p;
  p.src_port = 0;
  p.lcp.flags = lcp::kFlagWantsReply;
  p.lcp.operator_id = 999;  // nobody
  const Result denied = rig.inject(p, Origin::intake);
  expect_verdict(denied, V::policy_denied);
  expect_sent(denied, {});
  EXPECT_EQ(denied.control, std::vector<ToControl>{ToControl::reply});
  p.lcp.operator_id = 7;
  expect_verdict(rig.inject(p, Origin::released), V::forwarded);
  const Result again = rig.inject(p, Origin::released);
  expect_verdict(again, V::duplicate_in_flight);
  expect_sent(again, {});
  EXPECT_EQ(again.control, std::vector<ToControl>{ToControl::reply});
  const Result r = rig.run(from_node(1));
  expect_verdict(r, V::reply_to_control);
  EXPECT_EQ(r.control, std::vector<ToControl>{ToControl::reply});
}

Packet report(uint32_t node_id, const Key& key) {
  Packet p = from_node(5);
  p.lcp.type = 4;
  p.lcp.operator_id = 0;
  p.lcp.key = key;
  p.lcp.payload = report_body(node_id, 10, 1);
  return p;
}

TEST(Reports, FromNodesAreTaken) {
  Rig rig;
  const Result r = rig.run(report(1, kAcmeKey));
  expect_verdict(r, V::report_taken);
  EXPECT_EQ(r.control, std::vector<ToControl>{ToControl::report});
}

TEST(Reports, OthersAreNot) {
  Rig rig;
  Packet p = report(99, kAcmeKey);  // no node has this id
  expect_verdict(rig.run(p), V::report_not_from_node);
  p = report(1, kGlobexKey);  // acme owns the node
  p.lcp.org = 2;
  expect_verdict(rig.run(p), V::report_not_from_node);
  expect_verdict(rig.run(report(1, kGlobexKey)), V::auth_bad_tag);
  p = report(1, kAcmeKey);
  p.lcp.key.reset();
  expect_verdict(rig.run(p), V::auth_missing);
  rig.control_is_full = true;
  expect_verdict(rig.run(report(1, kAcmeKey)), V::report_ring_full);
}

Packet approval() {
  Packet p;
  p.lcp.type = 3;
  p.lcp.key = kAcmeKey;
  return p;
}

TEST(Approvals, GoToControl) {
  Rig rig;
  const Result r = rig.run(approval());
  expect_verdict(r, V::approval_taken);
  EXPECT_EQ(r.control, std::vector<ToControl>{ToControl::approval});
  Packet p = approval();
  p.lcp.key.reset();
  expect_verdict(rig.run(p), V::auth_missing);
  p = approval();
  p.lcp.key = kGlobexKey;
  expect_verdict(rig.run(p), V::auth_bad_tag);
  rig.control_is_full = true;
  expect_verdict(rig.run(approval()), V::approval_ring_full);
}

TEST(Probes, AnswersFromNodesOnly) {
  Rig rig;
  Packet p = from_node(3);
  p.lcp.type = 6;
  p.lcp.payload.clear();
  const Result r = rig.run(p);
  expect_verdict(r, V::probe_reply_taken);
  EXPECT_EQ(r.control, std::vector<ToControl>{ToControl::probe_reply});
  p.src = "10.0.0.66";
  expect_verdict(rig.run(p), V::probe_unexpected);
}

}  // namespace
}  // namespace lf::test
