// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/icmp_unreachable.hpp"

#include <gtest/gtest.h>

#include "control/forward/slots.hpp"
#include "control/forward/table_builder.hpp"
#include "tests/support/packet.hpp"
#include "tests/support/world.hpp"
#include "tests/unit/ledger/test_ledger.hpp"

namespace lf::resilience {
namespace {

using test::Bytes;

constexpr uint16_t kOwnPort = lcp::kDefaultPort, kNodePort = lcp::kDefaultPort;

// The command as it was sent to the node, without its Ethernet header.
test::Packet sent(bool v6 = false) {
  test::Packet p;
  p.src = v6 ? test::kOwn6 : test::kOwn4;
  p.dst = v6 ? test::kNode6 : test::kNode4;
  p.src_port = kOwnPort;
  p.dst_port = kNodePort;
  p.lcp.id = 77;
  return p;
}
Bytes quoted(const test::Packet& p, size_t length = 1000) {
  Bytes frame = test::build(p);
  frame.erase(frame.begin(), frame.begin() + 14);
  if (frame.size() > length) frame.resize(length);
  return frame;
}
Bytes error(uint8_t type, uint8_t code, const Bytes& quote) {
  return test::icmp(type, code, 0, quote);
}

TEST(IcmpUnreachable, NamesTheNodeAndTheCommand) {
  const auto u = parse_unreachable(4, error(3, 3, quoted(sent())));
  ASSERT_TRUE(u);
  EXPECT_EQ(u->node, test::ip(test::kNode4));
  EXPECT_EQ(u->source, test::ip(test::kOwn4));
  EXPECT_EQ(u->node_port, lcp::be16(kNodePort));
  EXPECT_EQ(u->source_port, lcp::be16(kOwnPort));
  EXPECT_EQ(u->org_id, 1u);
  const Bytes lcp = test::build_lcp(sent().lcp);
  EXPECT_TRUE(std::equal(u->command_id.begin(), u->command_id.end(), lcp.begin() + 16));
}

TEST(IcmpUnreachable, SpeaksIpv6) {
  const auto u = parse_unreachable(6, error(1, 4, quoted(sent(true))));
  ASSERT_TRUE(u);
  EXPECT_EQ(u->node, test::ip(test::kNode6));
  EXPECT_EQ(u->org_id, 1u);
}

TEST(IcmpUnreachable, OtherErrorsSayNothingAboutTheNode) {
  const Bytes quote = quoted(sent());
  EXPECT_FALSE(parse_unreachable(4, error(3, 4, quote))) << "fragmentation needed";
  EXPECT_FALSE(parse_unreachable(4, error(11, 0, quote))) << "time exceeded";
  EXPECT_FALSE(parse_unreachable(6, error(2, 0, quoted(sent(true))))) << "packet too big";
  EXPECT_FALSE(parse_unreachable(6, error(3, 3, quoted(sent(true))))) << "time exceeded";
  EXPECT_FALSE(parse_unreachable(5, error(3, 3, quote)));
}

TEST(IcmpUnreachable, ShortQuotesProveNothing) {
  const Bytes message = error(3, 1, quoted(sent()));
  const size_t enough = 8 + 20 + 8 + 32;  // ICMP, IP, UDP, LCP up to the command's id
  for (size_t length = 0; length <= message.size(); ++length)
    EXPECT_EQ(parse_unreachable(4, std::span(message).first(length)).has_value(), length >= enough)
        << length;
}

TEST(IcmpUnreachable, QuotesOfAnythingElseProveNothing) {
  const auto quote = [](auto change) {
    test::Packet p = sent();
    change(p);
    return parse_unreachable(4, error(3, 3, quoted(p))).has_value();
  };
  EXPECT_TRUE(quote([](auto&) {}));
  EXPECT_FALSE(quote([](auto& p) { p.protocol = 6; }));
  EXPECT_FALSE(quote([](auto& p) { p.fragment = 0x2001; }));
  EXPECT_FALSE(quote([](auto& p) { p.version_ihl = 0x65; }));
  EXPECT_FALSE(quote([](auto& p) { p.ip_options = Bytes(4, 1); }));
  EXPECT_FALSE(quote([](auto& p) { p.lcp.magic = 0x4c47; }));
  EXPECT_FALSE(quote([](auto& p) { p.lcp.version = 2; }));
  EXPECT_FALSE(quote([](auto& p) { p.lcp.type = 2; }));
  EXPECT_FALSE(parse_unreachable(6, error(1, 4, quoted(sent()))).has_value()) << "IPv4 in ICMPv6";
}

// A command in flight to the node in slot 2, of a proven organisation or not.
class BlameNode : public ::testing::TestWithParam<bool> {
 protected:
  static constexpr Tsc kNow = 5120;

  BlameNode() {
    table.nodes.resize(3);
    for (const NodeSlot slot : {1, 2}) {
      forward::Node& n = table.nodes[slot];
      n.address = test::ip(test::kNode4);
      n.source = test::ip(test::kOwn4);
      n.port = lcp::be16(kNodePort);
      n.source_port = lcp::be16(kOwnPort);
      n.configured = true;
    }
    const ledger::Hash hash =
        world->hasher().one({u(sent()).command_id.data(), ledger::space_of(1, GetParam())});
    const ledger::Command command{hash, 1, 0};
    world->admit(&command, 1, kNow, world.counts, &admission);
  }
  void send(NodeSlot node = 2) {
    world->record_sent(admission.ref, ledger::test::flight_to(node, kNow), false, kNow,
                       world.counts);
  }
  Unreachable u(const test::Packet& p) const {
    return parse_unreachable(4, error(3, 3, quoted(p))).value();
  }
  std::optional<Blamed> blame(const test::Packet& p) {
    return blame_node(table, *world, u(p), kNow);
  }

  forward::Table table;
  ledger::test::TestLedger world;
  ledger::Admission admission;
};
INSTANTIATE_TEST_SUITE_P(Proven, BlameNode, testing::Bool());

TEST_P(BlameNode, ForATransmissionInFlight) {
  EXPECT_FALSE(blame(sent())) << "not sent yet";
  send();
  const auto blamed = blame(sent());
  ASSERT_TRUE(blamed);
  EXPECT_EQ(blamed->node, 2) << "not the other node at that address";
  EXPECT_EQ(blamed->breaker_epoch, 0x8001);
  EXPECT_EQ(blamed->ref, admission.ref);
  EXPECT_EQ(blamed->stamp, ledger::stamp_of(kNow));
  world->mark_timed_out(admission.ref, ledger::stamp_of(kNow));
  EXPECT_FALSE(blame(sent())) << "counted as a time-out already";
}

TEST_P(BlameNode, NotForWhatWasNotSentSo) {
  send();
  const auto wrong = [&](auto change) {
    test::Packet p = sent();
    change(p);
    return blame(p).has_value();
  };
  EXPECT_FALSE(wrong([](auto& p) { p.dst_port = 7172; })) << "not the node's port";
  EXPECT_FALSE(wrong([](auto& p) { p.dst = "10.0.0.15"; })) << "not the node";
  EXPECT_FALSE(wrong([](auto& p) { p.src = "10.0.0.99"; })) << "not sent by us";
  EXPECT_FALSE(wrong([](auto& p) { p.src_port = 9; })) << "not sent from our port";
  EXPECT_FALSE(wrong([](auto& p) { p.lcp.id = 78; })) << "no such command";
  EXPECT_FALSE(wrong([](auto& p) { p.lcp.org = 2; })) << "another organisation's";
  table.nodes[2].configured = false;
  EXPECT_FALSE(blame(sent())) << "no node any more";
}

TEST_P(BlameNode, NotForWhatIsAnswered) {
  send();
  const ledger::Hash hash =
      world->hasher().one({u(sent()).command_id.data(), ledger::space_of(1, GetParam())});
  ledger::Found found;
  world->find(&hash, 1, kNow, &found);
  world->settle(found, lcp::Status::ok, world->epoch_of(kNow));
  EXPECT_FALSE(blame(sent()));
}

}  // namespace
}  // namespace lf::resilience
