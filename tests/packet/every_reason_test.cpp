// SPDX-License-Identifier: Apache-2.0
// Comes last: every verdict was produced by some packet test, or stands here with the reason why
// no packet can produce it in this harness.
#include <map>

#include "tests/packet/rows.hpp"

namespace lf::test {
namespace {

const std::map<Verdict, const char*> kNotHere = {
    {Verdict::held_refused, "decided by control for a parked command (hold service tests)"},
    {Verdict::held_expired, "decided by control for a parked command (hold service tests)"},
    {Verdict::xdp_denied, "counted by the XDP program, before DPDK sees the packet"},
};

// With a parameter because GoogleTest runs such tests after all others.
class EveryVerdict : public testing::TestWithParam<int> {};
TEST_P(EveryVerdict, WasProducedByAPacketTest) {
  if (testing::GTEST_FLAG(filter) != "*") GTEST_SKIP() << "only when all packet tests ran";
  for (const VerdictInfo& v : kVerdictList) {
    if (v.verdict == Verdict::none) continue;
    const bool listed = kNotHere.contains(v.verdict);
    EXPECT_NE(produced().contains(v.verdict), listed)
        << v.name << (listed ? ": produced, so take it off the list" : ": no packet test has it");
  }
}
INSTANTIATE_TEST_SUITE_P(Last, EveryVerdict, testing::Values(0));

}  // namespace
}  // namespace lf::test
