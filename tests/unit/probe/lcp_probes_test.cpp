// SPDX-License-Identifier: Apache-2.0
#include "control/probe/lcp_probes.hpp"

#include <gtest/gtest.h>

#include <set>

namespace lf::probe {
namespace {

constexpr MonoNs kMs = 1'000'000;

lcp::Id id_of(const std::vector<uint8_t>& datagram) {
  lcp::Message m;
  EXPECT_EQ(lcp::decode(datagram, m), Verdict::none);
  EXPECT_EQ(m.fields.type, lcp::Type::probe);
  EXPECT_TRUE(m.payload.empty());
  return m.fields.command_id;
}

TEST(LcpProbes, AnswerNamesTheNodeAndTheTime) {
  LcpProbes p(1);
  const auto id = id_of(p.begin(300, 5 * kMs, 500 * kMs, 42));
  EXPECT_TRUE(p.is_out(300));
  const auto answer = p.answered(id, 7 * kMs);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->slot, 300);
  EXPECT_EQ(answer->took_ns, 2 * kMs);
  EXPECT_FALSE(p.is_out(300));
  EXPECT_FALSE(p.answered(id, 8 * kMs));  // once
}

TEST(LcpProbes, OtherIdsAreNoAnswer) {
  LcpProbes p(1);
  auto id = id_of(p.begin(3, 0, kMs, 0));
  id[0] ^= 1;
  EXPECT_FALSE(p.answered(id, 1));
  id.fill(0xff);
  EXPECT_FALSE(p.answered(id, 1));
  EXPECT_TRUE(p.is_out(3));
}

TEST(LcpProbes, OnlyTheLatestCounts) {
  LcpProbes p(1);
  const auto first = id_of(p.begin(3, 0, kMs, 0));
  const auto second = id_of(p.begin(3, 1, kMs, 0));
  EXPECT_FALSE(p.answered(first, 2));
  EXPECT_TRUE(p.answered(second, 2));
}

TEST(LcpProbes, TimesOutOnce) {
  LcpProbes p(1);
  const auto id = id_of(p.begin(3, 0, 500 * kMs, 0));
  EXPECT_FALSE(p.timed_out(3, 499 * kMs));
  EXPECT_TRUE(p.timed_out(3, 500 * kMs));
  EXPECT_FALSE(p.timed_out(3, 501 * kMs));
  EXPECT_FALSE(p.answered(id, 501 * kMs));  // too late
  EXPECT_FALSE(p.timed_out(9, 501 * kMs));
}

TEST(LcpProbes, IdsDiffer) {
  LcpProbes p(1), q(2);
  std::set<lcp::Id> ids;
  for (int i = 0; i < 1000; ++i) {
    ids.insert(id_of(p.begin(1, 0, kMs, 0)));
    ids.insert(id_of(q.begin(1, 0, kMs, 0)));
  }
  EXPECT_EQ(ids.size(), 2000u);
}

}  // namespace
}  // namespace lf::probe
