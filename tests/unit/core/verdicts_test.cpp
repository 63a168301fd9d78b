// SPDX-License-Identifier: Apache-2.0
#include "dataplane/core/verdicts.hpp"

#include <gtest/gtest.h>

#include <set>

namespace lf {
namespace {

TEST(Verdicts, CodesAndNamesAreUnique) {
  std::set<uint8_t> codes;
  std::set<std::string_view> names;
  for (const auto& v : kVerdictList) {
    EXPECT_TRUE(codes.insert(static_cast<uint8_t>(v.verdict)).second) << v.name;
    EXPECT_TRUE(names.insert(v.name).second) << v.name;
    EXPECT_FALSE(v.help.empty()) << v.name;
  }
}

TEST(Verdicts, DropCodesStartAt32) {
  for (const auto& v : kVerdictList)
    EXPECT_EQ(v.kind == VerdictKind::drop, is_drop(v.verdict)) << v.name;
}

}  // namespace
}  // namespace lf
