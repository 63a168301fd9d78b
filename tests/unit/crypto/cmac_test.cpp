// SPDX-License-Identifier: Apache-2.0
// The workers' lanes against RFC 4493 and against libcrypto, on every path that this CPU has.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <vector>

#include "dataplane/crypto/cmac_expand.hpp"
#include "dataplane/crypto/cmac_key.hpp"
#include "dataplane/crypto/cmac_lanes.hpp"
#include "dataplane/lcp/tag.hpp"
#include "tests/unit/lcp/rfc4493.hpp"

namespace lf::crypto {
namespace {

TEST(CmacKey, Rfc4493Subkeys) {
  const CmacKey key = expand_cmac_key(rfc4493::kKey);
  EXPECT_EQ(std::memcmp(key.round[0], rfc4493::kKey.data(), 16), 0);
  EXPECT_EQ(std::memcmp(key.subkey[0], rfc4493::kSubkey1.data(), 16), 0);
  EXPECT_EQ(std::memcmp(key.subkey[1], rfc4493::kSubkey2.data(), 16), 0);
}

// Any keys, any number of them: no byte differs, and none is written behind them.
RC_GTEST_PROP(CmacKey, ExpandedAnewFromItsPackedForm, ()) {
  const auto keys = *rc::gen::resize(
      kCmacBatchMax, rc::gen::container<std::vector<lcp::KeyBytes>>(
                         rc::gen::arbitrary<lcp::KeyBytes>()));
  const size_t count = std::min<size_t>(keys.size(), kCmacBatchMax);
  std::vector<CmacKey> right;
  std::vector<PackedCmacKey> packed;
  std::vector<const PackedCmacKey*> which;
  for (size_t i = 0; i < count; ++i) right.push_back(expand_cmac_key(keys[i]));
  for (const CmacKey& key : right) packed.push_back(pack(key));
  for (const PackedCmacKey& key : packed) which.push_back(&key);
  for (const CmacPath path : kCmacPaths) {
    if (!supported(path)) continue;
    std::vector<CmacKey> out(count);
    expand_packed(path, which.data(), static_cast<uint32_t>(count), out.data());
    for (size_t i = 0; i < count; ++i)
      RC_ASSERT(std::memcmp(&out[i], &right[i], sizeof(CmacKey)) == 0);
  }
}

TEST(CmacLanes, Rfc4493Message) {
  const CmacKey key = expand_cmac_key(rfc4493::kKey);
  uint8_t datagram[80];
  std::memcpy(datagram, rfc4493::kMessage.data(), 64);
  std::memset(datagram + 64, 0xee, 16);  // where the tag goes: not part of the message
  for (const CmacPath path : kCmacPaths) {
    if (!supported(path)) continue;
    for (uint32_t count = 1; count <= kCmacBatchMax; ++count) {
      CmacBatch batch;
      for (uint32_t i = 0; i < count; ++i) batch.set(i, &key, datagram, 0);
      cmac_lanes(path, batch, count);
      for (uint32_t i = 0; i < count; ++i)
        ASSERT_TRUE(equal_tags(batch.tag[i], rfc4493::kVectors[3].tag.data())) << count;
    }
  }
}

TEST(CmacLanes, NoMessages) {
  CmacBatch batch;
  for (const CmacPath path : kCmacPaths)
    if (supported(path)) cmac_lanes(path, batch, 0);
}

TEST(CmacLanes, TagComparison) {
  CmacTag a{};
  uint8_t b[16] = {};
  EXPECT_TRUE(equal_tags(a, b));
  for (int bit = 0; bit < 128; ++bit) {
    b[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    EXPECT_FALSE(equal_tags(a, b));
    b[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
  }
}

struct Case {
  std::vector<uint8_t> datagram;
  lcp::KeyBytes key;
  CmacKey expanded;
};

// A datagram in a buffer of exactly its size, so that AddressSanitizer sees any byte too far.
Case make_case(uint32_t payload_length, uint64_t seed) {
  Case c;
  c.datagram.resize(80 + payload_length);
  auto next = [&seed] {
    return seed = seed * 6364136223846793005u + 1442695040888963407u, seed >> 56;
  };
  for (auto& b : c.datagram) b = static_cast<uint8_t>(next());
  for (auto& b : c.key) b = static_cast<uint8_t>(next());
  c.expanded = expand_cmac_key(c.key);
  return c;
}

void expect_equal_to_libcrypto(const std::vector<Case>& cases) {
  const auto count = static_cast<uint32_t>(cases.size());
  for (const CmacPath path : kCmacPaths) {
    if (!supported(path)) continue;
    CmacBatch batch;
    for (uint32_t i = 0; i < count; ++i)
      batch.set(i, &cases[i].expanded, cases[i].datagram.data(),
                static_cast<uint32_t>(cases[i].datagram.size() - 80));
    cmac_lanes(path, batch, count);
    for (uint32_t i = 0; i < count; ++i) {
      const lcp::Bytes d(cases[i].datagram);
      const lcp::Tag right =
          lcp::make_tag(cases[i].key, std::span<const uint8_t, 64>(d.data(), 64), d.subspan(80));
      ASSERT_TRUE(equal_tags(batch.tag[i], right.data()))
          << name_of(path) << " message " << i << " of " << cases.size()
          << " payload " << d.size() - 80;
    }
  }
}

TEST(CmacLanes, EveryPayloadLengthUpTo600) {
  std::vector<Case> cases;
  for (uint32_t length = 0; length < 600; ++length) {
    cases.push_back(make_case(length, length + 1));
    if (cases.size() < 13) continue;
    expect_equal_to_libcrypto(cases);
    cases.clear();
  }
}

TEST(CmacLanes, LongAndShortTogether) {
  std::vector<Case> cases;
  for (const uint32_t length : {9000u, 0u, 1u, 8999u, 16u, 0u, 0u, 17u, 65427u, 3u, 0u, 1400u})
    for (uint64_t seed = 1; seed <= 5; ++seed) cases.push_back(make_case(length, length + seed));
  expect_equal_to_libcrypto(cases);
}

RC_GTEST_PROP(CmacLanes, EqualToLibcrypto, ()) {
  const auto lengths = *rc::gen::container<std::vector<uint32_t>>(
      rc::gen::oneOf(rc::gen::just(0u), rc::gen::inRange(0u, 40u), rc::gen::inRange(0u, 1500u),
                     rc::gen::inRange(0u, 9001u)));
  std::vector<Case> cases;
  for (const uint32_t length : lengths) {
    if (cases.size() == kCmacBatchMax) break;
    cases.push_back(make_case(length, *rc::gen::arbitrary<uint64_t>()));
  }
  if (!cases.empty()) expect_equal_to_libcrypto(cases);
}

}  // namespace
}  // namespace lf::crypto
