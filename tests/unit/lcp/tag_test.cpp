// SPDX-License-Identifier: Apache-2.0
#include "dataplane/lcp/tag.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/lcp/rfc4493.hpp"

namespace lf::lcp {
namespace {

TEST(Tag, Rfc4493Vectors) {
  const Signer signer(rfc4493::kKey);
  for (const auto& v : rfc4493::kVectors) {
    const Bytes message = Bytes(rfc4493::kMessage).first(v.length);
    EXPECT_EQ(signer.cmac(message), v.tag) << v.length;
    EXPECT_EQ(signer.cmac(message.first(v.length / 2), message.subspan(v.length / 2)), v.tag);
  }
}

TEST(Tag, SignThenVerify) {
  const Signer signer(rfc4493::kKey);
  std::vector<uint8_t> d(80 + 21);
  const uint8_t payload[21] = {1, 2, 3};
  ASSERT_EQ(encode(d, {.org_id = 1, .key_id = 3}, payload), d.size());
  EXPECT_FALSE(signer.verify(d));
  signer.sign(d);
  EXPECT_EQ(d[4] & kFlagTagged, kFlagTagged);
  EXPECT_TRUE(signer.verify(d));
  Message m;
  ASSERT_EQ(decode(d, m), Verdict::none);
  EXPECT_EQ(m.tag, make_tag(rfc4493::kKey, std::span<const uint8_t, 64>(d.data(), 64),
                            Bytes(d).subspan(80)));
  EXPECT_TRUE(verify_tag(rfc4493::kKey, std::span<const uint8_t, 64>(d.data(), 64),
                         Bytes(d).subspan(80), m.tag));
  // Every single byte is under the tag, or is the tag.
  for (size_t i = 0; i < d.size(); ++i) {
    d[i] ^= 0x10;
    EXPECT_FALSE(signer.verify(d)) << i;
    d[i] ^= 0x10;
  }
  KeyBytes other = rfc4493::kKey;
  other[15] ^= 1;
  EXPECT_FALSE(Signer(other).verify(d));
  EXPECT_FALSE(signer.verify(Bytes(d).first(79)));
}

TEST(Tag, MovedSignerKeepsItsKey) {
  Signer a(rfc4493::kKey);
  Signer b(std::move(a));
  KeyBytes zero{};
  Signer c(zero);
  c = std::move(b);
  EXPECT_EQ(c.cmac({}), rfc4493::kVectors[0].tag);
}

}  // namespace
}  // namespace lf::lcp
