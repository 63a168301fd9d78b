// SPDX-License-Identifier: Apache-2.0
#include "tools/lfctl/intake.hpp"

#include <gtest/gtest.h>

namespace lf::ctl {
namespace {

using Words = std::vector<std::string>;

TEST(Intake, FlagsTakeNoWordAfterThem) {
  EXPECT_EQ(with_plain_flags({"intake", "submit", "--dry-run", "a.jsonl", "--wait"}),
            (Words{"intake", "submit", "--dry-run=true", "a.jsonl", "--wait=true"}));
  EXPECT_EQ(with_plain_flags({"--json", "intake", "submit", "--wait", "false", "a"}),
            (Words{"--json", "intake", "submit", "--wait", "false", "a"}));
  EXPECT_EQ(with_plain_flags({"other", "submit", "--wait", "a"}),
            (Words{"other", "submit", "--wait", "a"}));
  EXPECT_EQ(with_plain_flags({"submit"}), Words{"submit"});
}

TEST(Intake, WhatPeopleSee) {
  EXPECT_EQ(
      submit_view(Json::parse(R"({"rows":1203,"accepted_count":1200,"urgent":200,"normal":1000,
      "error_count":2,"duplicates":1,"elapsed_ms":1.26,"errors":["row 3: not JSON"],
      "by_status":{"ok":1199,"none":1}})")),
      "row 3: not JSON\nand 1 more\n1,203 rows: 1,200 accepted (200 urgent, 1,000 normal), "
      "2 with errors, 1 duplicates; 1.3 ms\nanswers: ok 1,199 none 1\n");
  EXPECT_NE(submit_view(Json::parse(R"({"dry_run":true})")).find("nothing was sent"),
            std::string::npos);
  EXPECT_NE(submit_view(Json::parse(R"({"job":7})")).find("batch 7"), std::string::npos);
}

}  // namespace
}  // namespace lf::ctl
