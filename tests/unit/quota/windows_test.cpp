// SPDX-License-Identifier: Apache-2.0
#include "dataplane/quota/windows.hpp"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/property.hpp"

namespace lf::quota {
namespace {

constexpr Step kStart = kFirstStep;

std::unique_ptr<Windows> windows(uint32_t rings = 64) {
  return Windows::create({.orgs = 8, .rings = rings, .step_tsc = 1000, .start = 500});
}

TEST(QuotaWindows, StepsCountFromTheStart) {
  const auto w = windows();
  EXPECT_EQ(w->step_at(0), kStart);
  EXPECT_EQ(w->step_at(500), kStart);
  EXPECT_EQ(w->step_at(1499), kStart);
  EXPECT_EQ(w->step_at(1500), kStart + 1);
  EXPECT_EQ(w->begin_of(kStart + 1), 1500u);
}

TEST(QuotaWindows, GrantsUpToTheBoundAndNoMore) {
  const auto w = windows();
  ASSERT_TRUE(w->open(1, kStart));
  Reservation r = w->reserve(1, kStart, 7, 10);
  EXPECT_EQ(r.used, 0u);
  EXPECT_EQ(r.granted, 7u);
  r = w->reserve(1, kStart, 7, 10);
  EXPECT_EQ(r.used, 7u);
  EXPECT_EQ(r.granted, 3u);
  r = w->reserve(1, kStart, 7, 10);
  EXPECT_EQ(r.granted, 0u);
  EXPECT_EQ(w->used(1, kStart), 10u);
  w->give_back(1, kStart, 4);
  EXPECT_EQ(w->used(1, kStart), 6u);
}

TEST(QuotaWindows, AStepCountsWholeForSixtySteps) {
  const auto w = windows();
  ASSERT_TRUE(w->open(1, kStart));
  w->reserve(1, kStart + 5, 10, 10);
  EXPECT_EQ(w->used(1, kStart + 5 + 60), 10u);
  EXPECT_EQ(w->reserve(1, kStart + 5 + 60, 1, 10).granted, 0u);
  EXPECT_EQ(w->used(1, kStart + 5 + 61), 0u);
  EXPECT_EQ(w->reserve(1, kStart + 5 + 61, 20, 10).granted, 10u);
}

TEST(QuotaWindows, AClosedKeyGrantsNothing) {
  const auto w = windows();
  EXPECT_EQ(w->reserve(3, kStart, 1, 10).granted, 0u);
  EXPECT_FALSE(w->is_open(3));
  EXPECT_EQ(w->used(3, kStart), 0u);
}

TEST(QuotaWindows, OpensAsManyKeysAsItHasRings) {
  const auto w = windows(2);
  EXPECT_TRUE(w->open(5, kStart));
  EXPECT_TRUE(w->open(6, kStart));
  EXPECT_FALSE(w->open(7, kStart));
  EXPECT_TRUE(w->open(5, kStart)) << "an open key stays open";
  EXPECT_FALSE(w->open(w->keys(), kStart)) << "no such key";
  EXPECT_EQ(w->open_keys(), 2u);
}

TEST(QuotaWindows, OpeningAgainKeepsTheCount) {
  const auto w = windows();
  ASSERT_TRUE(w->open(1, kStart));
  w->reserve(1, kStart, 5, 10);
  ASSERT_TRUE(w->open(1, kStart + 3));
  EXPECT_EQ(w->used(1, kStart + 3), 5u);
}

TEST(QuotaWindows, ResetEmptiesAWindowForItsNextOwner) {
  const auto w = windows();
  ASSERT_TRUE(w->open(1, kStart));
  w->reserve(1, kStart, 5, 10);
  w->reserve(1, kStart + 1, 3, 10);
  w->reset(1, kStart + 2);
  EXPECT_EQ(w->used(1, kStart + 2), 0u);
  EXPECT_EQ(w->reserve(1, kStart + 2, 10, 10).granted, 10u);
  EXPECT_EQ(w->used(1, kStart + 62), 10u);
}

TEST(QuotaWindows, AnOlderTimeCountsIntoTheCurrentStep) {
  const auto w = windows();
  ASSERT_TRUE(w->open(1, kStart));
  w->reserve(1, kStart + 100, 4, 10);
  const Reservation late = w->reserve(1, kStart + 2, 2, 10);
  EXPECT_EQ(late.step, kStart + 100);
  EXPECT_EQ(late.used, 4u);
  EXPECT_EQ(w->used(1, kStart + 160), 6u);
}

TEST(QuotaWindows, NothingIsGivenBackOnceAnotherStepHasBegun) {
  const auto w = windows();
  ASSERT_TRUE(w->open(1, kStart));
  const Reservation r = w->reserve(1, kStart, 5, 10);
  w->reserve(1, kStart + 1, 1, 10);
  w->give_back(1, r.step, 5);
  EXPECT_EQ(w->used(1, kStart + 1), 6u) << "the ring knows already what the step admitted";
}

TEST(QuotaWindows, TellsWhenThereIsRoom) {
  const auto w = windows();
  ASSERT_TRUE(w->open(1, kStart));
  w->reserve(1, kStart + 1, 4, 10);
  w->reserve(1, kStart + 7, 6, 10);
  EXPECT_EQ(w->room_at(1, kStart + 9, 9), kStart + 1 + 61);
  EXPECT_EQ(w->room_at(1, kStart + 9, 6), kStart + 1 + 61);
  EXPECT_EQ(w->room_at(1, kStart + 9, 5), kStart + 7 + 61);
  EXPECT_EQ(w->room_at(1, kStart + 9, 0), kStart + 7 + 61);
  EXPECT_EQ(w->room_at(1, kStart + 9, 10), kStart + 10) << "there is room in any step";
}

TEST(QuotaWindows, CountsPastTheWrapOfTheTotal) {
  const auto w = windows();
  ASSERT_TRUE(w->open(1, kStart));
  Step s = kStart;
  for (int i = 0; i < 5; ++i, s += 61)
    ASSERT_EQ(w->reserve(1, s, 0x7fffffff, 0x7fffffff).granted, 0x7fffffffu);
  EXPECT_EQ(w->used(1, s), 0u);
  EXPECT_EQ(w->reserve(1, s, 3, 3).granted, 3u);
  EXPECT_EQ(w->used(1, s), 3u);
}

TEST(QuotaWindows, AGrantIsUsedUpCommandByCommand) {
  const auto w = Windows::create({.orgs = 2, .rings = 4, .step_tsc = 1, .start = 0, .alone = true});
  const Key all = org_key(1), own = intent_key(1, 2);
  ASSERT_TRUE(w->open(all, kStart) && w->open(own, kStart));
  uint64_t era = w->era(kStart, 1);
  w->grant(all, w->room(all, kStart, 5, era), era);
  w->grant(own, w->room(own, kStart, 3, era), era);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(w->count_granted(1, 2, era));
  EXPECT_FALSE(w->count_granted(1, 2, era)) << "the intent's is used up";
  EXPECT_EQ(w->used(all, kStart), 3u) << "and nothing is counted";
  EXPECT_EQ(w->used(own, kStart), 3u);
  EXPECT_EQ(w->room(all, kStart, 5, era), 2u);
  EXPECT_EQ(w->room(own, kStart, 3, era), 0u);
  era = w->era(kStart, 2);  // of another table
  EXPECT_FALSE(w->count_granted(1, 2, era));
  EXPECT_EQ(w->room(all, kStart, 5, era), 2u);
  EXPECT_EQ(w->room(all, kStart, 50, era), 47u);
}

TEST(QuotaWindows, AGrantEndsBeforeTheTotalWraps) {
  const auto w = Windows::create({.orgs = 1, .rings = 4, .step_tsc = 1, .start = 0, .alone = true});
  const Key all = org_key(0), own = intent_key(0, 0);
  ASSERT_TRUE(w->open(all, kStart) && w->open(own, kStart));
  Step s = kStart;
  for (const uint32_t count : {0x7fffffffu, 0x7ffffffeu, 0u})
    for (const Key key : {all, own}) {
      ASSERT_EQ(w->reserve(key, s, count, 0x7fffffff).granted, count);
      s += count == 0 || key == all ? 0 : 61;
    }
  const uint64_t era = w->era(s, 1);
  for (const Key key : {all, own}) w->grant(key, w->room(key, s, 1000, era), era);
  EXPECT_TRUE(w->count_granted(0, 0, era));
  EXPECT_TRUE(w->count_granted(0, 0, era));
  EXPECT_FALSE(w->count_granted(0, 0, era)) << "the total is 0xffffffff";
  EXPECT_EQ(w->used(all, s), 2u);
  EXPECT_EQ(w->used(own, s), 2u);
}

TEST(QuotaWindows, MarksRejectedKeysOnceAStep) {
  const auto w = windows();
  ASSERT_TRUE(w->open(20, kStart));
  ASSERT_TRUE(w->open(3, kStart));
  std::map<Key, int> marked;
  const auto take = [&] { w->take_marked([&](Key k) { ++marked[k]; }); };
  w->note_rejected(3, kStart + 1, 2);
  w->note_rejected(3, kStart + 1, 5);
  take();
  EXPECT_EQ(marked, (std::map<Key, int>{{3, 1}}));
  EXPECT_EQ(w->rejected(3), 7u);
  w->note_rejected(3, kStart + 1, 1);  // marked in this step already
  w->note_rejected(20, kStart + 1, 1);
  take();
  EXPECT_EQ(marked, (std::map<Key, int>{{3, 1}, {20, 1}}));
  w->note_rejected(3, kStart + 2, 1);
  take();
  EXPECT_EQ(marked[3], 2);
}

TEST(QuotaWindows, LastDueOnlyGrows) {
  const auto w = windows();
  w->raise_last_due(1, 50);
  w->raise_last_due(1, 20);
  EXPECT_EQ(w->last_due(1), 50u);
}

// Against a map of counts by step: any order of jumps in time, reservations and refunds.
TEST(QuotaWindows, AgreeWithAMapOfStepsOnAnyHistory) {
  test::check_property(2000, [] {
    const auto w = windows();
    w->open(1, kStart);
    std::map<Step, uint32_t> admitted;
    Step latest = kStart;
    const auto in_window = [&](Step begin, Step end) {
      uint32_t n = 0;
      for (const auto& [s, count] : admitted) n += s >= begin && s <= end ? count : 0;
      return n;
    };
    const auto events = *rc::gen::container<std::vector<std::tuple<int, int, int, int>>>(
        rc::gen::tuple(rc::gen::weightedOneOf<int>({{4, rc::gen::just(0)},
                                                    {4, rc::gen::inRange(0, 3)},
                                                    {2, rc::gen::inRange(-80, 80)},
                                                    {1, rc::gen::inRange(-300, 300)}}),
                       rc::gen::inRange(0, 40), rc::gen::inRange(0, 120), rc::gen::inRange(0, 8)));
    int64_t now = kStart;
    for (const auto& [move, want, bound, back] : events) {
      now = std::max<int64_t>(now + move, kStart);
      const auto at = static_cast<Step>(now);
      latest = std::max(latest, at);
      const uint32_t used = in_window(latest - kWindowSteps, latest);
      const Reservation r =
          w->reserve(1, at, static_cast<uint32_t>(want), static_cast<uint32_t>(bound));
      RC_ASSERT(r.step == latest);
      RC_ASSERT(r.used == used);
      const uint32_t room = used >= static_cast<uint32_t>(bound) ? 0 : bound - used;
      RC_ASSERT(r.granted == std::min<uint32_t>(want, room));
      const uint32_t returned = std::min<uint32_t>(back, r.granted);
      w->give_back(1, r.step, returned);
      admitted[latest] += r.granted - returned;
      RC_ASSERT(w->used(1, at) == in_window(latest - kWindowSteps, latest));
      const auto target = static_cast<uint32_t>(bound) / 2;
      Step room_at = latest + 1;
      while (in_window(room_at - kWindowSteps, room_at) > target) ++room_at;
      RC_ASSERT(w->room_at(1, at, target) == room_at);
    }
  });
}

}  // namespace
}  // namespace lf::quota
