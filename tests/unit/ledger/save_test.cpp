// SPDX-License-Identifier: Apache-2.0
#include "control/ledger/save.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/unit/ledger/test_ledger.hpp"

namespace lf::ledger {
namespace {

using test::flight_to;
using test::small;
using test::TestLedger;

constexpr uint64_t kHz = 1'000'000'000;
constexpr Tsc kWindow = 64 * kHz;  // an epoch is a second
constexpr UnixUs kUnix = 1'767'225'600'000'000;

struct Files : ::testing::Test {
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("lf-save-test-" + std::to_string(getpid()));
  std::string path = (folder / "ledger").string();
  Moment now{1000 * kHz, kUnix, kHz};

  void SetUp() override { std::filesystem::create_directory(folder); }
  void TearDown() override { std::filesystem::remove_all(folder); }

  void answer(TestLedger& l, uint64_t id, lcp::Status status, Tsc when) {
    const Admission a = l.admit(1, id, 0, when);
    ASSERT_EQ(a.result, Lookup::fresh);
    l->record_sent(a.ref, flight_to(1, when), false, when, l.counts);
    ASSERT_EQ(l->settle(l.find(1, id, when), status, l->epoch_of(when)), Settled::answered);
  }
  std::string bytes() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void put(const std::string& bytes) const {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }
};

TEST_F(Files, DuplicatesAreKnownAfterARestart) {
  TestLedger before(small(kWindow));
  for (uint64_t id = 0; id < 300; ++id)
    answer(before, id, static_cast<lcp::Status>(id % 3), now.tsc - (300 - id) * kHz / 6);
  before.admit(1, 1000, 0, now.tsc);  // neither sent nor answered: not saved
  ASSERT_EQ(save(path, *before, test::test_secret(), now).value(), 300u);
  struct stat st {};
  ASSERT_EQ(stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);

  const SavedHeader header = check_saved(path).value();
  EXPECT_EQ(header.count, 300u);
  EXPECT_EQ(header.saved_us, kUnix);
  const Secret secret = test::test_secret();
  EXPECT_EQ(std::memcmp(&header.secret, &secret, sizeof secret), 0);

  // Ten seconds later, by another TSC.
  TestLedger after(small(kWindow));
  const Moment later{77 * kHz, kUnix + 10'000'000, kHz};
  EXPECT_EQ(restore(path, header, *after, later).value(), 300u);
  for (uint64_t id = 0; id < 300; ++id) {
    const Admission a = after.admit(1, id, 1, later.tsc);
    ASSERT_EQ(a.result, Lookup::duplicate_answered) << id;
    EXPECT_EQ(a.status, static_cast<lcp::Status>(id % 3)) << id;
  }
  EXPECT_EQ(after.admit(1, 1000, 0, later.tsc).result, Lookup::fresh);
  // Each keeps its own age: id 0 was answered 50 + 10 s ago.
  EXPECT_EQ(after.admit(1, 299, 1, later.tsc + 20 * kHz).result, Lookup::duplicate_answered);
  EXPECT_EQ(after.admit(1, 0, 1, later.tsc + 20 * kHz).result, Lookup::fresh);
}

TEST_F(Files, WhatIsOlderThanTheWindowIsLeftOut) {
  TestLedger before(small(kWindow)), after(small(kWindow));
  answer(before, 1, lcp::Status::ok, now.tsc - 30 * kHz);
  answer(before, 2, lcp::Status::ok, now.tsc);
  ASSERT_TRUE(save(path, *before, test::test_secret(), now));
  const Moment later{5 * kHz, kUnix + 50'000'000, kHz};
  EXPECT_EQ(restore(path, check_saved(path).value(), *after, later).value(), 1u);
  EXPECT_EQ(after.admit(1, 1, 0, later.tsc).result, Lookup::fresh);
  EXPECT_EQ(after.admit(1, 2, 0, later.tsc).result, Lookup::duplicate_answered);
}

TEST_F(Files, AClockThatWentBackDoesNoHarm) {
  TestLedger before(small(kWindow)), after(small(kWindow));
  answer(before, 1, lcp::Status::ok, now.tsc);
  ASSERT_TRUE(save(path, *before, test::test_secret(), now));
  const Moment earlier{5 * kHz, kUnix - 3'600'000'000, kHz};
  EXPECT_EQ(restore(path, check_saved(path).value(), *after, earlier).value(), 1u);
}

TEST_F(Files, ASmallerLedgerTakesItOverALargerOneDoesNot) {
  Settings large = small(kWindow), larger = small(kWindow);
  large.entries = 4096;
  larger.entries = 8192;
  TestLedger before(large), after(small(kWindow)), too_large(larger);
  for (uint64_t id = 0; id < 100; ++id) answer(before, id, lcp::Status::ok, now.tsc);
  ASSERT_TRUE(save(path, *before, test::test_secret(), now));
  const SavedHeader header = check_saved(path).value();
  EXPECT_EQ(restore(path, header, *after, now).value(), 100u);
  for (uint64_t id = 0; id < 100; ++id)
    EXPECT_EQ(after.admit(1, id, 0, now.tsc).result, Lookup::duplicate_answered) << id;
  const auto refused = restore(path, header, *too_large, now);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
}

TEST_F(Files, ABrokenFileIsAnErrorAndNothingElse) {
  TestLedger before(small(kWindow));
  for (uint64_t id = 0; id < 20; ++id) answer(before, id, lcp::Status::ok, now.tsc);
  ASSERT_TRUE(save(path, *before, test::test_secret(), now));
  const std::string good = bytes();
  for (size_t length = 0; length < good.size(); length += 7) {
    put(good.substr(0, length));
    EXPECT_EQ(check_saved(path).error().code, ErrorCode::invalid) << length;
  }
  for (size_t at = 0; at < good.size(); at += 5) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    put(bad);
    const auto checked = check_saved(path);
    ASSERT_FALSE(checked) << at;
    EXPECT_EQ(checked.error().code, ErrorCode::invalid) << at;
    EXPECT_NE(checked.error().message.find(path), std::string::npos);
  }
  put(good + "x");
  EXPECT_FALSE(check_saved(path));
  std::filesystem::remove(path);
  EXPECT_EQ(check_saved(path).error().code, ErrorCode::not_found);
}

TEST_F(Files, AFailedSaveLeavesTheOldFile) {
  TestLedger l(small(kWindow));
  answer(l, 1, lcp::Status::ok, now.tsc);
  ASSERT_TRUE(save(path, *l, test::test_secret(), now));
  const std::string good = bytes();
  std::filesystem::create_directory(path + ".new");  // in the way
  EXPECT_FALSE(save(path, *l, test::test_secret(), now));
  EXPECT_EQ(bytes(), good);
}

}  // namespace
}  // namespace lf::ledger
