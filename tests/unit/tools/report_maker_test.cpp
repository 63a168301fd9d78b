// SPDX-License-Identifier: Apache-2.0
#include "tools/common/report_maker.hpp"

#include <gtest/gtest.h>

namespace lf::tools {
namespace {

constexpr UnixUs kNow = 1'767'225'600'000'000;

TEST(ReportMaker, SignedByTheOwnerAndNoneTwice) {
  const KeySpec owner{.org = 7, .id = 3, .bytes = {1, 2, 3}};
  const lcp::Report report{.node_id = 11, .queue_depth = 5, .saturation = 9000, .degraded = true};
  ReportMaker maker(owner, 42);
  const ReportDatagram first = maker.make(report, kNow), second = maker.make(report, kNow);
  lcp::Message a, b;
  ASSERT_EQ(lcp::decode(first, a), Verdict::none);
  ASSERT_EQ(lcp::decode(second, b), Verdict::none);
  EXPECT_EQ(a.fields.type, lcp::Type::report);
  EXPECT_EQ(a.fields.org_id, 7u);
  EXPECT_EQ(a.fields.operator_id, 0u);
  EXPECT_EQ(a.fields.key_id, 3);
  EXPECT_GT(a.fields.deadline_us, static_cast<uint64_t>(kNow));
  EXPECT_EQ(a.report, report);
  EXPECT_NE(a.fields.command_id, b.fields.command_id);
  EXPECT_TRUE(lcp::Signer(owner.bytes).verify(first));
  EXPECT_TRUE(lcp::Signer(owner.bytes).verify(second));
}

}  // namespace
}  // namespace lf::tools
