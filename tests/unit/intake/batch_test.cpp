// SPDX-License-Identifier: Apache-2.0
#include "control/intake/batch.hpp"

#include <gtest/gtest.h>

#include "tests/unit/intake/batches.hpp"

namespace lf::intake {
namespace {

using test::batch_of;
using test::command;
using test::ids_of;
using test::kNowUs;
using test::lines;
using Texts = std::vector<std::string>;

TEST(Batch, SortedByDeadlineThenIdThenRow) {
  const Batch b = batch_of(lines({command("b", "1767229201"), command("long-id-2", "1767229200"),
                                  command("a", "1767229201"), command("long-id-1", "1767229200"),
                                  command("a", "1767229201", R"(,"org":"globex")")}));
  EXPECT_EQ(ids_of(b), (Texts{"long-id-1", "long-id-2", "a", "a", "b"}));
  EXPECT_EQ(b[2].org, kUnknownOrg);
  EXPECT_EQ(b[3].org, 2u);
}

TEST(Batch, DeadlinesInAnyNotationAreEqual) {
  const Batch b = batch_of(lines({command("c", "1767229200"), command("b", "1767229200.0"),
                                  command("a", R"("2026-01-01T01:00:00Z")"),
                                  command("d", R"("2026-01-01T02:00:00+01:00")")}));
  EXPECT_EQ(ids_of(b), (Texts{"a", "b", "c", "d"}));
}

TEST(Batch, TheFirstOfTwoStaysAndTheOrganisationCounts) {
  const Batch b = batch_of(lines(
      {command("x", "1767229299"), command("x", "1767229200"), command("x", "1", ""),
       command("x", "1767229200", R"(,"org":"acme")"), command("x", "1767229201", R"(,"org":1)"),
       command("x", "1767229202", R"(,"org":"1")"), command("x", "1767229203", R"(,"org":null)"),
       command("x", "1767229204", R"(,"org":"nobody")"),
       command("x", "1767229205", R"(,"org":"nobody")"),
       command("x", "1767229206", R"(,"org":"nobody else")"), command("\\u0078", "1767229200")}));
  EXPECT_EQ(ids_of(b), (Texts{"x", "x", "x", "x"}));
  EXPECT_EQ(b.deadline_us(0), 1'767'229'200'000'000);
  EXPECT_EQ(b[0].org, 1u);
  EXPECT_EQ(b.duplicates(), 6u);
  EXPECT_EQ(b.errors(), Texts{"row 2: deadline already expired"});
}

TEST(Batch, AnInvalidCommandIsNobodysDuplicate) {
  const Batch b =
      batch_of(lines({command("x", "\"soon\""), command("x", "1767229200", R"(,"payload":[])"),
                      command("x", "1767229200", R"(,"annotations":null)"), command("x")}));
  EXPECT_EQ(ids_of(b), Texts{"x"});
  EXPECT_EQ(b.errors(),
            (Texts{"row 0: invalid deadline (not ISO 8601)", "row 1: payload must be object",
                   "row 2: annotations must be object"}));
}

TEST(Batch, TheFirstFaultOfARightShapeIsTheOneNamed) {
  const std::string all = R"(,"annotations":1,"payload":2,"org":{})";
  const Batch b = batch_of(
      lines({command("x", "[]", all), command("x", "0", all),
             command("x", "0", R"(,"payload":2,"org":{})"), command("x", "0", R"(,"org":{})"),
             command("x", "1767229200", R"(,"org":{})")}));
  EXPECT_EQ(b.errors(),
            (Texts{"row 0: invalid deadline (neither text nor a number)",
                   "row 1: annotations must be object", "row 2: payload must be object",
                   "row 3: deadline already expired", "row 4: org must be a string or a number"}));
}

TEST(Batch, ADeadlineOfThisVeryMicrosecondHolds) {
  EXPECT_EQ(batch_of(command("x", "1767225600")).size(), 1u);
  EXPECT_EQ(batch_of(command("x", "1767225599.999999")).size(), 0u);
}

TEST(Batch, BrokenRowsStopNobodyElse) {
  std::string deep(100, '[');
  std::string nul = command("x");
  nul[20] = '\0';
  const Batch b = batch_of(
      lines({command("a"), R"({"command_id": )", command("b"), command("c\xff"), deep, nul, "17",
             "[]", "\"text\"", "nul", command("d", "1e999"), command("e", "123456789012345678901"),
             command("f") + command("g"), std::string(kRowBytesMax + 1, ' ') + "1", command("h")}));
  EXPECT_EQ(ids_of(b), (Texts{"a", "b", "h"}));
  EXPECT_EQ(
      b.errors(),
      (Texts{"row 1: not JSON", "row 3: not UTF-8", "row 4: nested more than 64 deep",
             "row 5: not JSON", "row 6: command must be object", "row 7: command must be object",
             "row 8: command must be object", "row 9: not JSON", "row 10: not JSON",
             "row 11: not JSON", "row 12: not JSON", "row 13: longer than 1048576 bytes"}));
  EXPECT_EQ(b.rows(), 15u);
}

TEST(Batch, NestingUpToTheLimitIsRight) {
  const auto nested = [](size_t depth) {  // the command itself is one more
    return command(
        "x", "1767229200",
        R"(,"payload":{"x":)" + std::string(depth - 2, '[') + std::string(depth - 2, ']') + "}");
  };
  EXPECT_EQ(batch_of(nested(kDepthMax)).errors(), Texts{});
  EXPECT_EQ(batch_of(nested(kDepthMax + 1)).errors(), Texts{"row 0: nested more than 64 deep"});
}

TEST(Batch, BlankLinesAreNoRows) {
  const Batch b = batch_of("\xef\xbb\xbf\n \t\r\n" + command("a") + "\r\n\n" + command("b", "0") +
                           "\n\n" + command("c"));
  EXPECT_EQ(ids_of(b), (Texts{"a", "c"}));
  EXPECT_EQ(b.errors(), Texts{"row 1: deadline already expired"});
  EXPECT_EQ(batch_of("").rows(), 0u);
  EXPECT_EQ(batch_of("\n\n").rows(), 0u);
}

TEST(Batch, TheLastOfTwoEqualKeysCounts) {
  const Batch b = batch_of(lines({command("a", "1767229200", R"(,"command_id":"b")"),
                                  command("c", "1767229200", R"(,"intent":7,"intent":"x")"),
                                  command("d", "1767229200", R"(,"signature":7)")}));
  EXPECT_EQ(ids_of(b), (Texts{"b", "c"}));
  EXPECT_EQ(b.errors(), Texts{"row 2: signature must be a string"});
}

TEST(Batch, UrgentUpToTheWholeSecond) {
  const auto at = [](const std::string& s) { return command(s, s); };
  const Batch b = batch_of(lines({at("1767225600"), at("1767226800"), at("1767226800.999999"),
                                  at("1767226801"), at("1767229200")}));
  EXPECT_EQ(partition_by_urgency(b, kNowUs).urgent, 3u);
  EXPECT_EQ(partition_by_urgency(b, kNowUs).normal, 2u);
  EXPECT_EQ(partition_by_urgency(b, kNowUs + 999'999).urgent, 3u);
  EXPECT_EQ(partition_by_urgency(b, kNowUs + 1'000'000).urgent, 4u);
  EXPECT_EQ(partition_by_urgency(b, kNowUs, 0).urgent, 1u);
  EXPECT_EQ(partition_by_urgency(b, kNowUs - 60'000'000, -5).urgent, 1u);
  EXPECT_EQ(partition_by_urgency(b, kNowUs, 60).urgent, 5u);
}

TEST(Batch, LimitsAndCancelling) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += command(std::to_string(i)) + "\n";
  const OrgNames orgs = test::some_orgs();
  const auto error = [&](const Options& options, Progress* progress = nullptr) {
    const auto batch = process(text_source(text), orgs, options, progress);
    return batch ? std::string("none") : batch.error().message;
  };
  EXPECT_EQ(error({.chunk_bytes = 100, .bytes_max = 5000}),
            "more than 5000 bytes or 67108864 rows");
  EXPECT_NE(error({.chunk_bytes = 100, .rows_max = 10}), "none");
  Progress progress;
  EXPECT_EQ(error({}, &progress), "none");
  EXPECT_EQ(progress.bytes_done, text.size());
  progress.cancel = true;
  EXPECT_EQ(error({}, &progress), "cancelled");
}

}  // namespace
}  // namespace lf::intake
