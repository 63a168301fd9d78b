// SPDX-License-Identifier: Apache-2.0
// Bursts of commands from a port that checks checksums, as most NICs do.
#include <rte_mbuf.h>

#include "tests/packet/rows.hpp"

namespace lf::test {
namespace {

using V = Verdict;

constexpr uint64_t kIpGood = RTE_MBUF_F_RX_IP_CKSUM_GOOD, kIpBad = RTE_MBUF_F_RX_IP_CKSUM_BAD,
                   kL4Good = RTE_MBUF_F_RX_L4_CKSUM_GOOD, kL4Bad = RTE_MBUF_F_RX_L4_CKSUM_BAD,
                   kL4None = RTE_MBUF_F_RX_L4_CKSUM_NONE;

// The first part of a burst makes the place known, the second is taken together.
constexpr uint32_t kCommands = 16, kOdd = 11;

Packet command(uint64_t id) {
  Packet p;
  p.lcp.id = id;
  return p;
}

struct ChecksumOffload : testing::Test {
  Rig rig{{}, {.rx_checksum = true}};

  // All are right and forwarded, but that the odd one is `odd` with these flags and its verdict.
  void expect(const Packet& odd, uint64_t flags, Verdict verdict,
              const std::optional<Packet>& out) {
    rig.rx_flags.assign(kCommands, kIpGood | kL4Good);
    rig.rx_flags[kOdd] = flags;
    std::vector<Packet> in, want;
    for (uint32_t i = 0; i < kCommands; ++i) {
      in.push_back(i == kOdd ? odd : command(next_id_++));
      if (i != kOdd) want.push_back(to_node(in.back()));
      if (i == kOdd && out) want.push_back(*out);
    }
    const Result r = rig.run_burst(in);
    for (uint32_t i = 0; i < kCommands; ++i)
      EXPECT_EQ(r.verdicts.at(i), i == kOdd ? verdict : V::forwarded) << i;
    expect_sent(r, want);
  }

 private:
  uint64_t next_id_ = 1000;
};

TEST_F(ChecksumOffload, RightOnesGoOn) {
  for (uint64_t id = 0; id < 3; ++id)
    expect(command(id), kIpGood | kL4Good, V::forwarded, to_node(command(id)));
}

TEST_F(ChecksumOffload, AWrongOneIsDroppedAndItsNeighboursGoOn) {
  Packet wrong = command(1);
  wrong.udp_checksum = 0x1234;
  expect(wrong, kIpGood | kL4Bad, V::udp_checksum, {});
  wrong = command(2);
  wrong.ip_checksum = 0x1234;
  expect(wrong, kIpBad | kL4Good, V::ip_checksum, {});
}

TEST_F(ChecksumOffload, WhatThePortCannotTellSoftwareDoes) {
  expect(command(1), 0, V::forwarded, to_node(command(1)));
  Packet wrong = command(2);
  wrong.udp_checksum = 0x1234;
  expect(wrong, kIpGood, V::udp_checksum, {});
  wrong = command(3);
  wrong.ip_checksum = 0x1234;
  expect(wrong, kL4Good, V::ip_checksum, {});
  Packet none = command(4);  // the sender made no UDP checksum
  none.udp_checksum = 0;
  Packet out = to_node(none);
  expect(none, kIpGood, V::forwarded, out);
}

TEST_F(ChecksumOffload, WhatAVirtualSenderLeftToItsNicIsCompleted) {
  Packet partial = command(1);
  partial.udp_checksum = 0x1234;  // of the pseudo-header, say
  expect(partial, kIpGood | kL4None, V::forwarded, to_node(command(1)));
}

}  // namespace
}  // namespace lf::test
