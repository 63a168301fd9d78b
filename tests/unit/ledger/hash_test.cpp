// SPDX-License-Identifier: Apache-2.0
// The ledger's hash against AES of libcrypto and a multiplication in GF(2^128) done bit by bit.
#include "dataplane/ledger/hash.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "dataplane/ledger/hash_lanes.hpp"

namespace lf::ledger {
namespace {

using Block = std::array<uint8_t, 16>;

Block aes(const uint8_t* key, const Block& in) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> ctx(EVP_CIPHER_CTX_new(),
                                                                            EVP_CIPHER_CTX_free);
  Block out{};
  int length = 0;
  EVP_EncryptInit_ex(ctx.get(), EVP_aes_128_ecb(), nullptr, key, nullptr);
  EVP_CIPHER_CTX_set_padding(ctx.get(), 0);
  EVP_EncryptUpdate(ctx.get(), out.data(), &length, in.data(), 16);
  return out;
}

// x * y modulo x^128 + x^7 + x^2 + x + 1; bit i of the 128-bit number stands for x^i.
Block multiply(uint64_t y, const uint64_t* x) {
  uint64_t lo = x[0], hi = x[1], out_lo = 0, out_hi = 0;
  for (int bit = 0; bit < 33; ++bit) {
    if ((y >> bit & 1) != 0) {
      out_lo ^= lo;
      out_hi ^= hi;
    }
    const bool carry = hi >> 63;
    hi = hi << 1 | lo >> 63;
    lo = lo << 1 ^ (carry ? 0x87 : 0);
  }
  Block b;
  std::memcpy(b.data(), &out_lo, 8);
  std::memcpy(b.data() + 8, &out_hi, 8);
  return b;
}

Hash reference(const Secret& s, const Block& id, uint64_t space) {
  Block in = multiply(space, s.tweak);
  for (int i = 0; i < 16; ++i) in[i] ^= id[i];
  const Block out = aes(s.aes_key, in);
  Hash h;
  std::memcpy(&h.lo, out.data(), 8);
  std::memcpy(&h.hi, out.data() + 8, 8);
  return h;
}

RC_GTEST_PROP(LedgerHash, IsWhatItsFormulaSays,
              (const Block& key, uint64_t s0, uint64_t s1, std::vector<Block> ids)) {
  Secret secret;
  std::memcpy(secret.aes_key, key.data(), 16);
  secret.tweak[0] = s0;
  secret.tweak[1] = s1;
  ids.resize(std::min<size_t>(ids.size(), 70));
  std::vector<Name> names;
  for (const Block& id : ids)
    names.push_back(
        {id.data(), space_of(*rc::gen::arbitrary<uint32_t>(), *rc::gen::arbitrary<bool>())});
  std::vector<Hash> hashes(ids.size() + 1);
  const Hasher hasher(secret);
  hasher.run(names.data(), static_cast<uint32_t>(names.size()), hashes.data());
  for (size_t i = 0; i < ids.size(); ++i)
    RC_ASSERT(hashes[i] == reference(secret, ids[i], names[i].space));
  RC_ASSERT(hashes.back() == Hash{});  // nothing written behind the last one
}

LF_WIDE_HASH void hash_wide(const Hasher& hasher, const Name* names, Hash* out) {
  hasher.wide_lanes([names](uint32_t k) { return names[k].command_id; },
                    [names](uint32_t k) {
                      return _mm256_set_epi64x(0, static_cast<int64_t>(names[k + 1].space), 0,
                                               static_cast<int64_t>(names[k].space));
                    },
                    out);
}

TEST(LedgerHash, IsTheSameInWideRegisters) {
  std::mt19937_64 random(7);
  Secret secret;
  for (uint8_t& b : secret.aes_key) b = static_cast<uint8_t>(random());
  for (uint64_t& t : secret.tweak) t = random();
  const Hasher hasher(secret);
  if (!hasher.is_wide()) GTEST_SKIP() << "this CPU has no VAES or no VPCLMULQDQ";
  for (int round = 0; round < 200; ++round) {
    Block ids[Hasher::kLanes];
    Name names[Hasher::kLanes];
    Hash wide[Hasher::kLanes], narrow[Hasher::kLanes];
    for (uint32_t k = 0; k < Hasher::kLanes; ++k) {
      for (uint8_t& b : ids[k]) b = static_cast<uint8_t>(random());
      names[k] = {ids[k].data(), random() >> 31};
    }
    hash_wide(hasher, names, wide);
    hasher.run(names, Hasher::kLanes, narrow);
    for (uint32_t k = 0; k < Hasher::kLanes; ++k) EXPECT_EQ(wide[k], narrow[k]) << k;
  }
}

TEST(LedgerHash, DiffersByOrganisationAndBySecret) {
  Secret secret;
  secret.tweak[0] = 1;
  const Block id{};
  const Hash a = Hasher(secret).one({id.data(), 1});
  EXPECT_NE(a, Hasher(secret).one({id.data(), 2}));
  EXPECT_NE(a, Hasher(secret).one({id.data(), space_of(1, false)}));
  secret.aes_key[15] = 1;
  EXPECT_NE(a, Hasher(secret).one({id.data(), 1}));
}

}  // namespace
}  // namespace lf::ledger
