// SPDX-License-Identifier: Apache-2.0
// Deadlines of commands.
#include <utility>

#include "dataplane/validate/validate.hpp"
#include "tests/unit/parse/parse_one.hpp"

namespace lf::parse {
namespace {

TEST(Validate, DeadlineAgainstTheClock) {
  Table t = table();
  t.clock_skew_us = 100;
  const uint64_t now = test::kNowUs;
  const std::pair<uint64_t, bool> rows[] = {{now, false}, {now - 100, false},    {now - 101, true},
                                            {0, true},    {~uint64_t{0}, false}, {now + 1, false}};
  for (const auto& [deadline, late] : rows) {
    test::TestBurst b({build({.lcp = {.deadline_us = deadline}})});
    State state;
    Sorted sorted;
    run(t, state, *b.burst, sorted, 0);
    validate::run(t, *b.burst, sorted.commands, now);
    EXPECT_EQ(b.burst->meta[0].verdict, late ? Verdict::deadline_expired : Verdict::none);
    EXPECT_EQ(sorted.commands.count, late ? 0 : 1);
    if (late) {
      EXPECT_EQ(b.burst->meta[0].reply_status, lcp::Status::expired);
    }
  }
  EXPECT_FALSE(validate::expired(5, 0, 0)) << "the clock has not been set";
  EXPECT_FALSE(validate::expired(0, 50, 100)) << "tolerance larger than the time";
}

}  // namespace
}  // namespace lf::parse
