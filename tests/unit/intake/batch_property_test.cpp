// SPDX-License-Identifier: Apache-2.0
// 1,000 generated batches with errors of all kinds, duplicates, ties and encodings come out exactly
// as the plain reference says, whatever the number of threads and the size of the chunks.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <tbb/global_control.h>

#include <nlohmann/json.hpp>

#include "tests/support/plain_intake.hpp"
#include "tests/support/property.hpp"
#include "tests/unit/intake/batches.hpp"

namespace lf::intake {
namespace {

using Strings = std::vector<std::string>;

const Strings kIds = {"a",
                      "b",
                      "ab",
                      "12345678",
                      "123456789",
                      "12345678a",
                      "zz-9",
                      "",
                      "\\u0061",
                      "\\\"q\\\"",
                      "\\\\",
                      "\xc3\xa9",
                      "\\u00e9",
                      "\\ud83d\\ude80",
                      "\xf0\x9f\x9a\x80",
                      "\\u0000",
                      "a\\u0000",
                      "\xef\xbf\xbf",
                      "0f8fad5b-d9cb-469f-a165-70867728950e"};
const Strings kDeadlines = {"1767225600",
                            "1767225600.0",
                            "1.7672256e9",
                            "1767225599",
                            "1767226800",
                            "1767226801",
                            "1767226800.5",
                            "\"2026-01-01T00:20:00Z\"",
                            "\"2026-01-01T00:20:00\"",
                            "\"2026-01-01 00:20\"",
                            "\"2026-01-01T01:20:00+01:00\"",
                            "\"20260101T002000Z\"",
                            "\"2026-01-01\"",
                            "\"2025-12-31\"",
                            "\"2026-01-01T00:20:00.000001Z\"",
                            "\"2026-02-30T00:00:00Z\"",
                            "\"soon\"",
                            "\"\"",
                            "null",
                            "true",
                            "[]",
                            "{}",
                            "-1",
                            "1e18",
                            "99999999999999",
                            "-99999999999999",
                            "18446744073709551615",
                            "1e400",
                            "18446744073709551616",
                            "-9223372036854775809",
                            "01",
                            "1.",
                            "\"2026-01-01T00\\u003a20:00Z\"",
                            "253402300799",
                            "253402300800",
                            "\"9999-12-31T23:59:59-01:00\"",
                            "-0",
                            "-0.0",
                            "1E2",
                            "1767225600e0"};
const Strings kOrgs = {
    "\"acme\"", "1",      "\"1\"", "\"globex\"", "2",    "\"other\"", "\"oth\\u0065r\"",
    "77",       "\"77\"", "null",  "\"\"",       "true", "1.5",       "-1",
    "-0",       "[1]"};
const Strings kOddValues = {"null",     "7",        "true",   "[]",          "{}",
                            "\"text\"", "-0.0",     "1e-400", "\"\\ud800\"", "\"\\x\"",
                            "\"\t\"",   "\"\x7f\"", "nul",    "\"\xff\"",    "\"\xed\xa0\x80\""};

template <typename T>
T any_of(const std::vector<T>& values) {
  return *rc::gen::elementOf(values);
}
bool one_in(int n) {
  return *rc::gen::inRange(0, n) == 0;
}

std::string field(const std::string& key, const std::string& value) {
  return "\"" + key + "\"" + (one_in(8) ? " : " : ":") + value;
}

std::string any_command() {
  Strings fields;
  const std::pair<const char*, std::string> required[] = {
      {"command_id", "\"" + (one_in(2) ? any_of(kIds) : kIds[0]) + "\""},
      {"satellite_id", "\"sat-1\""},
      {"intent", "\"orbit-adjust\""},
      {"issued_by", "\"alice\""},
      {"signature", "\"s\""},
      {"deadline", one_in(3) ? any_of(kDeadlines) : "1767229200"},
      {"trace_id", "\"t\""}};
  for (const auto& [key, value] : required)
    if (!one_in(40)) fields.push_back(field(key, one_in(40) ? any_of(kOddValues) : value));
  if (one_in(2)) fields.push_back(field("org", any_of(kOrgs)));
  if (one_in(4))
    fields.push_back(field("payload", one_in(4) ? any_of(kOddValues) : R"({"x":[1,{}]})"));
  if (one_in(6)) fields.push_back(field("annotations", one_in(4) ? any_of(kOddValues) : "{}"));
  if (one_in(10)) fields.push_back(field("command_id", "\"" + any_of(kIds) + "\""));
  if (one_in(10)) fields.push_back(field("other", any_of(kOddValues)));
  if (one_in(20)) fields.push_back(field("payload", std::string(62, '[') + std::string(62, ']')));
  std::string row = one_in(9) ? " {" : "{";
  for (size_t i = 0; i < fields.size(); ++i) row += (i == 0 ? "" : ",") + fields[i];
  return row + "}";
}

// Damage that a transport or a bad writer does.
std::string damaged(std::string row) {
  const size_t at = row.empty() ? 0 : *rc::gen::inRange<size_t>(0, row.size());
  switch (*rc::gen::inRange(0, 8)) {
    case 0:
      return row.substr(0, at);
    case 1:
      return row.insert(at, 1, '\0');
    case 2:
      return row.insert(at, "\xff");
    case 3:
      return row.insert(at, std::string(70, '['));
    case 4:
      return row + row;
    case 5:
      return row.erase(at, 1);
    case 6:
      return row.insert(at, 1, *rc::gen::arbitrary<char>());
    default:
      return "\xef\xbb\xbf" + row;
  }
}

std::string any_batch() {
  const int rows = *rc::gen::resize(100, rc::gen::inRange(0, 60));
  std::string text = one_in(20) ? "\xef\xbb\xbf" : "";
  for (int i = 0; i < rows; ++i) {
    std::string row = one_in(25)
                          ? any_of(Strings{"", " ", "7", "[]", "null", "\"x\"", "[", "}", "\r"})
                          : any_command();
    if (one_in(20)) row = damaged(std::move(row));
    text += row + (one_in(15) ? "\r\n" : "\n");
  }
  if (one_in(3) && !text.empty()) text.pop_back();
  return text;
}

void expect_equal(const lf::test::PlainBatch& wanted, const Batch& got) {
  RC_ASSERT(got.errors() == wanted.errors);
  RC_ASSERT(got.rows() == wanted.rows);
  RC_ASSERT(got.duplicates() == wanted.duplicates);
  RC_ASSERT(got.size() == wanted.accepted.size());
  for (size_t k = 0; k < got.size(); ++k) {
    RC_ASSERT(got[k].command_id == wanted.accepted[k].command_id);
    RC_ASSERT(got.deadline_us(k) == wanted.accepted[k].deadline_us);
    RC_ASSERT(got[k].row == wanted.accepted[k].row);
  }
  const Urgency urgency = partition_by_urgency(got, test::kNowUs);
  RC_ASSERT(urgency.urgent == wanted.urgent);
  RC_ASSERT(urgency.normal == wanted.normal);
}

TEST(BatchProperty, AsThePlainReferenceAtAnyNumberOfThreads) {
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, 8);
  const OrgNames orgs = test::some_orgs();
  size_t accepted = 0, errors = 0, duplicates = 0;
  lf::test::check_property(1000, [&] {
    const std::string text = any_batch();
    const auto wanted = lf::test::plain_intake(text, orgs, test::kNowUs);
    accepted += wanted.accepted.size();
    errors += wanted.errors.size();
    duplicates += wanted.duplicates;
    for (const int count : {1, 2, 8}) {
      const size_t chunk = *rc::gen::element<size_t>(0, 1, 100, 1000);
      const auto batch = process(text_source(text), orgs,
                                 {.now_us = test::kNowUs, .threads = count, .chunk_bytes = chunk});
      RC_ASSERT(batch.has_value());
      expect_equal(wanted, *batch);
    }
  });
  EXPECT_GT(accepted, 1000u);  // the batches are not all errors, nor without any
  EXPECT_GT(errors, 1000u);
  EXPECT_GT(duplicates, 1000u);
}

// Large enough for the merge to work in ranges.
TEST(BatchProperty, AsThePlainReferenceWhenItIsLarge) {
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, 8);
  const OrgNames orgs = test::some_orgs();
  std::string text;
  uint64_t seed = 1;
  for (int i = 0; i < 60'000; ++i) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    const auto id = std::to_string(seed >> 48);
    text += test::command("id-" + id, std::to_string(1767225600 + (seed >> 33) % 50)) + "\n";
  }
  const auto wanted = lf::test::plain_intake(text, orgs, test::kNowUs);
  for (const int count : {1, 2, 8}) {
    const auto batch = process(text_source(text), orgs, {.now_us = test::kNowUs, .threads = count});
    ASSERT_TRUE(batch);
    ASSERT_EQ(batch->size(), wanted.accepted.size());
    for (size_t k = 0; k < batch->size(); ++k) {
      ASSERT_EQ((*batch)[k].command_id, wanted.accepted[k].command_id) << k;
      ASSERT_EQ((*batch)[k].row, wanted.accepted[k].row) << k;
    }
  }
}

}  // namespace
}  // namespace lf::intake
