// SPDX-License-Identifier: Apache-2.0
#include "dataplane/core/outcome_word.hpp"

#include <gtest/gtest.h>

namespace lf {
namespace {

OutcomeWord read(const std::atomic<uint64_t>& word) {
  return OutcomeWord::unpack(word.load());
}

TEST(OutcomeWord, CountsWithinAnEpoch) {
  std::atomic<uint64_t> word{0};
  count_outcomes(word, 7, 7, 2, 1);
  count_outcomes(word, 7, 7, 1, 0);
  EXPECT_EQ(read(word).epoch, 7);
  EXPECT_EQ(read(word).ok, 3u);
  EXPECT_EQ(read(word).failed, 1u);
}

TEST(OutcomeWord, LeavesOutEarlierEpochs) {
  std::atomic<uint64_t> word{0};
  count_outcomes(word, 7, 7, 2, 0);
  count_outcomes(word, 8, 7, 0, 9);
  EXPECT_EQ(read(word).failed, 0u);
  EXPECT_EQ(read(word).epoch, 7);
}

TEST(OutcomeWord, StartsAnewWithTheEpoch) {
  std::atomic<uint64_t> word{0};
  count_outcomes(word, 0xffff, 0xffff, 2, 5);
  count_outcomes(word, 0, 0, 1, 0);
  EXPECT_EQ(read(word).epoch, 0);
  EXPECT_EQ(read(word).ok, 1u);
  EXPECT_EQ(read(word).failed, 0u);
}

TEST(OutcomeWord, CountsWrapWithoutTouchingEachOther) {
  std::atomic<uint64_t> word{OutcomeWord{3, OutcomeWord::kMask, OutcomeWord::kMask}.pack()};
  count_outcomes(word, 3, 3, 2, 3);
  EXPECT_EQ(read(word).epoch, 3);
  EXPECT_EQ(read(word).ok, 1u);
  EXPECT_EQ(read(word).failed, 2u);
}

}  // namespace
}  // namespace lf
