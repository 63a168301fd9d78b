// SPDX-License-Identifier: Apache-2.0
// Bursts of commands over IPv4 and IPv6, with a VLAN tag and without one: each is parsed and
// written in a way of its own.
#include <cstdint>

#include "tests/packet/rows.hpp"

namespace lf::test {
namespace {

using V = Verdict;

struct Case {
  bool v6;
  uint16_t vlan;       // of clients; 0: none
  uint16_t node_vlan;  // likewise
};

constexpr uint32_t kCommands = 32;

struct Layouts : testing::TestWithParam<Case> {
  Rig rig{{}, {.node_vlan = GetParam().node_vlan}};

  Packet command(uint64_t id) const {
    Packet p;
    if (GetParam().v6) p.src = kClient6, p.dst = kOwn6, p.flow_label = 0x12345;
    if (GetParam().vlan != 0) p.vlan = GetParam().vlan;
    p.ttl = static_cast<uint8_t>(2 + id % 200);
    p.tos = static_cast<uint8_t>(id);
    p.lcp.id = id;
    p.lcp.payload = Bytes(id % 70, static_cast<uint8_t>(id));
    return p;
  }

  Packet to_its_node(const Packet& in) const {
    Packet out = to_node(in);
    if (GetParam().node_vlan != 0) out.vlan = GetParam().node_vlan;
    return out;
  }
};

TEST_P(Layouts, CommandsGoOutAndRepliesComeBack) {
  uint64_t id = 1;
  for (int burst = 0; burst < 3; ++burst) {
    std::vector<Packet> in, want, replies, back;
    for (uint32_t i = 0; i < kCommands; ++i) {
      in.push_back(command(id++));
      want.push_back(to_its_node(in.back()));
      Packet reply = from_node(in.back().lcp.id, lcp::Status::ok, GetParam().v6);
      if (GetParam().node_vlan != 0) reply.vlan = GetParam().node_vlan;
      replies.push_back(reply);
      back.push_back(to_client(reply, in.back()));
    }
    Result r = rig.run_burst(in);
    for (uint32_t i = 0; i < kCommands; ++i) EXPECT_EQ(r.verdicts.at(i), V::forwarded) << i;
    expect_sent(r, want);
    expect_sent(rig.run_burst(replies), back);
  }
}

// One in the middle of a burst is refused, or goes another way; its neighbours do not notice.
TEST_P(Layouts, NeighboursOfOddOnesGoOn) {
  const auto expect = [&](const Packet& odd, Verdict verdict, bool goes_out) {
    std::vector<Packet> in, want;
    static uint64_t id = 1000;
    for (uint32_t i = 0; i < kCommands; ++i) {
      in.push_back(i == 13 ? odd : command(++id));
      if (i != 13 || goes_out) want.push_back(to_its_node(in.back()));
    }
    const Result r = rig.run_burst(in);
    for (uint32_t i = 0; i < kCommands; ++i)
      EXPECT_EQ(r.verdicts.at(i), i == 13 ? verdict : V::forwarded) << i;
    expect_sent(r, want);
  };
  const Packet right = command(1);
  Packet odd = right;
  odd.udp_checksum = 0x1234;
  expect(odd, V::udp_checksum, false);
  odd = right;
  odd.src = GetParam().v6 ? kOwn6 : kOwn4;
  expect(odd, V::ip_source, false);
  odd = right;
  odd.ttl = 1;
  expect(odd, V::ttl_expired, false);
  odd = right;
  odd.dst_mac = {0x02, 0, 0, 0, 0, 0x77};
  expect(odd, V::not_ours, false);
  odd = right;
  odd.lcp.severity = 0;
  expect(odd, V::lcp_severity, false);
  odd = right;
  odd.padding = 7;
  expect(odd, V::forwarded, true);
  odd = command(2);
  odd.udp_checksum = 0;
  expect(odd, GetParam().v6 ? V::udp_checksum : V::forwarded, !GetParam().v6);
}

INSTANTIATE_TEST_SUITE_P(All, Layouts,
                         testing::Values(Case{false, 0, 0}, Case{false, 5, 5}, Case{false, 5, 0},
                                         Case{false, 0, 9}, Case{false, 0x6005, 9},
                                         Case{true, 0, 0}, Case{true, 5, 5}, Case{true, 5, 0},
                                         Case{true, 0, 9}),
                         [](const auto& info) {
                           const Case& c = info.param;
                           return std::string(c.v6 ? "V6" : "V4") + "In" + std::to_string(c.vlan) +
                                  "Out" + std::to_string(c.node_vlan);
                         });

}  // namespace
}  // namespace lf::test
