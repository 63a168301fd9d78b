// SPDX-License-Identifier: Apache-2.0
// Checksums against a model that adds one 16-bit word at a time, as RFC 1071 words it.
#include "dataplane/net/checksum.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

namespace lf::net {
namespace {

using Bytes = std::vector<uint8_t>;

// One's complement sum in host order, word by word.
uint16_t naive_sum(const Bytes& bytes, uint32_t start = 0) {
  uint32_t sum = start;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    sum += bytes[i] << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

uint16_t wire(uint16_t host) {
  return __builtin_bswap16(host);
}

// 0 and 0xffff are the same number in one's complement.
uint16_t canonical(uint16_t folded) {
  return folded == 0xffff ? 0 : folded;
}

TEST(Checksum, Rfc1071Example) {
  const Bytes bytes{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(fold(sum_bytes(bytes.data(), bytes.size())), wire(0xddf2));
}

TEST(Checksum, FoldOfTheLargestSums) {
  EXPECT_EQ(fold(~uint64_t{0}), 0xffff);
  EXPECT_EQ(fold(0), 0);
  EXPECT_EQ(fold(0x1'0000'0000), 1);
  EXPECT_EQ(fold(0xfffe'ffff'ffff'ffff), 0xfffe);
  EXPECT_EQ(fold(0xffff'0000'0000'ffff), 0xffff);
  EXPECT_EQ(fold(0xffff'ffff'0000'0001), 1);
}

RC_GTEST_PROP(Checksum, FoldIsTheRemainder, (uint64_t any)) {
  const uint64_t sum = any << *rc::gen::inRange(0, 64);
  const auto rest = static_cast<uint16_t>(sum % 0xffff);
  RC_ASSERT(fold(sum) == (rest == 0 && sum != 0 ? 0xffff : rest));
}

RC_GTEST_PROP(Checksum, RightIsWhatFoldsToOnes, (uint64_t sum)) {
  RC_ASSERT(is_right(sum) == (fold(sum) == 0xffff));
  const uint64_t right = sum - sum % 0xffff;
  RC_ASSERT(right == 0 || (is_right(right) && fold(right) == 0xffff));
}

TEST(Checksum, EveryLengthAndAlignment) {
  Bytes all(300);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint8_t>(i * 131 + 7);
  for (size_t at = 0; at < 33; ++at)
    for (size_t length = 0; length + at <= all.size(); ++length) {
      const Bytes part(all.begin() + at, all.begin() + at + length);
      ASSERT_EQ(fold(sum_bytes(all.data() + at, length)), wire(naive_sum(part)))
          << "at " << at << " length " << length;
    }
}

TEST(Checksum, LargestDatagramOfOnes) {
  const Bytes ones(65535, 0xff);
  EXPECT_EQ(fold(sum_bytes(ones.data(), ones.size())), wire(naive_sum(ones)));
}

RC_GTEST_PROP(Checksum, SumIsTheNaiveOne, (const Bytes& bytes)) {
  RC_ASSERT(fold(sum_bytes(bytes.data(), bytes.size())) == wire(naive_sum(bytes)));
}

RC_GTEST_PROP(Checksum, Ipv4HeaderSumIsTheNaiveOne, ()) {
  const auto header = *rc::gen::container<Bytes>(20, rc::gen::arbitrary<uint8_t>());
  RC_ASSERT(fold(ipv4_header_sum(header.data())) == wire(naive_sum(header)));
}

RC_GTEST_PROP(Checksum, PseudoSumIsTheNaiveOne, (uint8_t protocol, uint16_t length)) {
  const auto a = *rc::gen::container<Bytes>(32, rc::gen::arbitrary<uint8_t>());
  Bytes pseudo = a;
  pseudo.insert(pseudo.end(), {0, 0, static_cast<uint8_t>(length >> 8),
                               static_cast<uint8_t>(length), 0, 0, 0, protocol});
  const auto sum = pseudo_sum(from_ipv6(a.data()), from_ipv6(a.data() + 16), protocol, length);
  RC_ASSERT(fold(sum) == wire(naive_sum(pseudo)));
}

RC_GTEST_PROP(Checksum, PseudoSumOfMappedAddressesIsTheIpv4One,
              (uint32_t source, uint32_t destination, uint8_t protocol, uint16_t length)) {
  const auto v4 = fold(pseudo_sum_ipv4(source, destination, protocol, length));
  const auto mapped = fold(pseudo_sum(from_ipv4(source), from_ipv4(destination), protocol, length));
  RC_ASSERT(canonical(v4) == canonical(mapped));
}

RC_GTEST_PROP(Checksum, UpdateIsTheFullRecomputation, ()) {
  auto header = *rc::gen::container<Bytes>(40, rc::gen::arbitrary<uint8_t>());
  header[39] |= 1;  // a header of zeros has no checksum
  const size_t at = *rc::gen::inRange<size_t>(0, 15) * 2;
  const size_t count = *rc::gen::inRange<size_t>(1, 4) * 2;
  const auto fresh = *rc::gen::container<Bytes>(count, rc::gen::arbitrary<uint8_t>());
  const auto before = checksum_of(sum_bytes(header.data(), header.size()));
  const uint64_t old_sum = sum_bytes(header.data() + at, count);
  std::copy(fresh.begin(), fresh.end(), header.begin() + static_cast<long>(at));
  const auto after = updated(before, old_sum, sum_bytes(header.data() + at, count));
  RC_ASSERT(after == static_cast<uint16_t>(~wire(naive_sum(header))));
}

TEST(Checksum, ZeroUdpChecksumGoesOutAsOnes) {
  EXPECT_EQ(udp_checksum_of(0xffff), 0xffff);
  EXPECT_EQ(udp_checksum_of(0xfffe), 1);
}

TEST(Checksum, SetUdpChecksumMakesTheDatagramSumToOnes) {
  for (const uint8_t version : {uint8_t{4}, uint8_t{6}}) {
    Bytes packet(version == 4 ? 20 : 40, 0);
    const size_t l4 = packet.size();
    for (size_t i = version == 4 ? 12 : 8; i < l4; ++i) packet[i] = static_cast<uint8_t>(i * 37);
    const Bytes datagram{0x1c, 0x03, 0x12, 0x34, 0x00, 0x0d, 0xab, 0xcd, 1, 2, 3, 4, 5};
    packet.insert(packet.end(), datagram.begin(), datagram.end());
    set_udp_checksum(packet.data(), version, *reinterpret_cast<rte_udp_hdr*>(&packet[l4]));
    Bytes summed(packet.begin() + (version == 4 ? 12 : 8), packet.begin() + static_cast<long>(l4));
    summed.insert(summed.end(), {0, IPPROTO_UDP, 0, 13});
    summed.insert(summed.end(), packet.begin() + static_cast<long>(l4), packet.end());
    EXPECT_EQ(naive_sum(summed), 0xffff) << int{version};
  }
}

}  // namespace
}  // namespace lf::net
