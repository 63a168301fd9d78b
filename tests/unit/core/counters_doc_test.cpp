// SPDX-License-Identifier: Apache-2.0
// The committed page of counters is what the list of verdicts makes of it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tools/counters_doc.hpp"

namespace lf {
namespace {

TEST(CountersDoc, CommittedPageIsUpToDate) {
  const char* root = std::getenv("LF_SOURCE_DIR");
  const std::string path = std::string(root ? root : ".") + "/docs/counters.md";
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), docs::counters_page())
      << "stale: run build/tools/gen_counters_doc > docs/counters.md";
}

TEST(CountersDoc, EveryVerdictHasItsLine) {
  const std::string page = docs::counters_page();
  for (const VerdictInfo& v : kVerdictList) {
    if (v.verdict == Verdict::none) continue;
    EXPECT_NE(page.find("| `" + std::string(v.name) + "` |"), std::string::npos) << v.name;
  }
}

}  // namespace
}  // namespace lf
