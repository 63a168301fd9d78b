// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/failover.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/property.hpp"

namespace lf::resilience {
namespace {

using Names = std::vector<std::string>;

std::string choose(const std::string& primary, const Names& candidates, const Names& degraded) {
  return choose_failover_region<std::string>(primary, candidates, degraded);
}

TEST(Failover, FirstCandidateThatWillDo) {
  EXPECT_EQ(choose("a", {"a", "b", "c"}, {}), "b");
  EXPECT_EQ(choose("a", {"b", "c"}, {"b"}), "c");
}

TEST(Failover, PrimaryWhenThereIsNone) {
  EXPECT_EQ(choose("a", {}, {}), "a");
  EXPECT_EQ(choose("a", {"a"}, {}), "a");
  EXPECT_EQ(choose("a", {"b", "a", "c"}, {"c", "b"}), "a");
}

TEST(Failover, DegradedPrimaryIsStillTheLastResort) {
  EXPECT_EQ(choose("a", {"b"}, {"a", "b"}), "a");
}

// The model crosses out what won't do and looks at what is left over.
std::string model(const std::string& primary, Names candidates, const Names& degraded) {
  for (const auto& name : degraded) std::erase(candidates, name);
  std::erase(candidates, primary);
  return candidates.empty() ? primary : candidates.front();
}

TEST(Failover, AgreesWithModel) {
  test::check_property(20'000, [] {
    const auto region = rc::gen::elementOf(Names{"a", "b", "c", "d", "e", ""});
    const auto regions = rc::gen::container<Names>(region);
    const std::string primary = *region;
    const Names candidates = *regions;
    const Names degraded = *rc::gen::scale(0.03, regions);
    RC_ASSERT(choose(primary, candidates, degraded) == model(primary, candidates, degraded));
  });
}

}  // namespace
}  // namespace lf::resilience
