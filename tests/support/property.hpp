// SPDX-License-Identifier: Apache-2.0
// RapidCheck properties inside GoogleTest with a stated number of cases. RC_GTEST_PROP runs 100
// cases unless the environment says otherwise; a claim like "agrees on 10,000 inputs" must not
// depend on the environment. The seed still comes from RC_PARAMS, so failures reproduce.
#pragma once

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace lf::test {

// Checks `property`, a callable with generated arguments and RC_ASSERTs, on `cases` inputs.
template <typename Property>
void check_property(int cases, Property&& property) {
  const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
  rc::detail::TestMetadata metadata;
  metadata.id = std::string(info->test_suite_name()) + "/" + info->name();
  metadata.description = info->name();
  rc::detail::TestParams params = rc::detail::configuration().testParams;
  params.maxSuccess = cases;
  const auto result = rc::detail::checkTestable(std::forward<Property>(property), metadata, params);
  if (result.template is<rc::detail::SuccessResult>()) return;
  std::ostringstream text;
  rc::detail::printResultMessage(result, text);
  FAIL() << text.str();
}

// Any int64: small ones, edges of the type, and the full range.
inline rc::Gen<int64_t> any_int64() {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  return rc::gen::weightedOneOf<int64_t>(
      {{6, rc::gen::inRange<int64_t>(-20, 2000)},
       {1, rc::gen::elementOf(std::vector<int64_t>{kMin, kMin + 1, -1, 0, 1, kMax - 1, kMax})},
       {3, rc::gen::arbitrary<int64_t>()}});
}

}  // namespace lf::test
