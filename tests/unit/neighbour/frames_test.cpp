// SPDX-License-Identifier: Apache-2.0
#include "control/neighbour/frames.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>

namespace lf::neighbour {
namespace {

const rte_ether_addr kOwnMac = {{2, 0, 0, 0, 0, 0x10}};
const rte_ether_addr kNodeMac = {{2, 0, 0, 0, 0, 0x20}};

IpAddress address(const char* text) {
  uint8_t bytes[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (inet_pton(AF_INET, text, bytes + 12) != 1) inet_pton(AF_INET6, text, bytes);
  IpAddress a;
  std::memcpy(&a.hi, bytes, 8);
  std::memcpy(&a.lo, bytes + 8, 8);
  return a;
}

std::vector<uint8_t> hex(const char* text) {
  std::vector<uint8_t> out;
  for (; *text != 0; ++text) {
    if (*text == ' ') continue;
    out.push_back(static_cast<uint8_t>(std::stoi(std::string(text, 2), nullptr, 16)));
    ++text;
  }
  return out;
}

TEST(NeighbourFrames, ArpRequestIsByteExact) {
  const auto frame = request_frame({.target = address("10.0.0.2"),
                                    .source = address("10.0.0.1"),
                                    .ip_version = 4,
                                    .source_mac = kOwnMac,
                                    .unicast_to = std::nullopt});
  EXPECT_EQ(frame, hex("ffffffffffff 020000000010 0806 0001 0800 06 04 0001 020000000010 0a000001"
                       " 000000000000 0a000002 000000000000000000000000000000000000"));
}

TEST(NeighbourFrames, VlanTagGoesBeforeTheEtherType) {
  const auto frame = request_frame({.target = address("10.0.0.2"),
                                    .source = address("10.0.0.1"),
                                    .ip_version = 4,
                                    .source_mac = kOwnMac,
                                    .vlan = 100,
                                    .unicast_to = kNodeMac});
  const auto start = hex("020000000020 020000000010 8100 0064 0806");
  ASSERT_GE(frame.size(), 60u);
  EXPECT_TRUE(std::equal(start.begin(), start.end(), frame.begin()));
}

// The same message as scapy 2.5 builds it (Ether/IPv6/ICMPv6ND_NS/ICMPv6NDOptSrcLLAddr).
TEST(NeighbourFrames, SolicitationIsByteExact) {
  const auto frame = request_frame({.target = address("fd00::2"),
                                    .source = address("fd00::1"),
                                    .ip_version = 6,
                                    .source_mac = kOwnMac,
                                    .unicast_to = std::nullopt});
  EXPECT_EQ(frame, hex("3333ff000002 020000000010 86dd 60000000 0020 3a ff"
                       "fd000000000000000000000000000001 ff0200000000000000000001ff000002"
                       "8700 7d88 00000000 fd000000000000000000000000000002 0101 020000000010"));
}

TEST(NeighbourFrames, ReadsTheSenderOfAnArpReply) {
  const auto heard =
      read_answer(hex("020000000010 020000000020 0806 0001 0800 06 04 0002"
                      "020000000020 0a000002 020000000010 0a000001"));
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->address, address("10.0.0.2"));
  EXPECT_TRUE(rte_is_same_ether_addr(&heard->mac, &kNodeMac));
}

std::vector<uint8_t> advertisement() {
  return hex(
      "020000000010 020000000020 86dd 60000000 0020 3a ff"
      "fd000000000000000000000000000002 fd000000000000000000000000000001"
      "8800 1c7c 60000000 fd000000000000000000000000000002 0201 020000000020");
}

TEST(NeighbourFrames, ReadsTheTargetOfAnAdvertisement) {
  const auto heard = read_answer(advertisement());
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->address, address("fd00::2"));
  EXPECT_TRUE(rte_is_same_ether_addr(&heard->mac, &kNodeMac));
}

TEST(NeighbourFrames, RefusesAnAdvertisementFromOffLinkOrWithABadChecksum) {
  auto off_link = advertisement();
  off_link[21] = 64;
  EXPECT_FALSE(read_answer(off_link));
  auto damaged = advertisement();
  damaged.back() ^= 1;
  EXPECT_FALSE(read_answer(damaged));
}

RC_GTEST_PROP(NeighbourFramesProperty, NoPrefixOrGarbageCrashesTheReader, ()) {
  auto frame = *rc::gen::element(advertisement(), request_frame({.target = address("10.0.0.2"),
                                                                 .source = address("10.0.0.1"),
                                                                 .unicast_to = std::nullopt}));
  frame.resize(*rc::gen::inRange<size_t>(0, frame.size() + 1));
  if (!frame.empty())
    frame[*rc::gen::inRange<size_t>(0, frame.size())] ^= *rc::gen::arbitrary<uint8_t>();
  (void)read_answer(frame);
}

}  // namespace
}  // namespace lf::neighbour
