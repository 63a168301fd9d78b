// SPDX-License-Identifier: Apache-2.0
// TimingWheel against a sorted multimap.
#include "dataplane/core/timing_wheel.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <utility>
#include <vector>

namespace lf {
namespace {

using Wheel = TimingWheel<uint32_t>;

std::vector<uint32_t> expire_all(Wheel& w, Tsc now) {
  std::vector<uint32_t> all;
  uint32_t out[3];
  while (const uint32_t n = w.expire(now, out, 3)) all.insert(all.end(), out, out + n);
  return all;
}

TEST(TimingWheel, HandsOutInOrderAndNeverEarly) {
  Wheel w(8, 16, 8);
  EXPECT_TRUE(w.insert(1, 100));
  EXPECT_TRUE(w.insert(2, 33));
  EXPECT_TRUE(w.insert(3, 97));  // same slot as item 1, inserted later
  EXPECT_EQ(w.size(), 3u);
  EXPECT_EQ(expire_all(w, 33), std::vector<uint32_t>{});  // 33 is rounded up to 48
  EXPECT_EQ(expire_all(w, 48), std::vector<uint32_t>{2});
  EXPECT_EQ(expire_all(w, 111), std::vector<uint32_t>{});
  EXPECT_EQ(expire_all(w, 112), (std::vector<uint32_t>{1, 3}));
  EXPECT_EQ(w.size(), 0u);
}

TEST(TimingWheel, RefusesWhenFullAndTakesAgainAfterExpiry) {
  Wheel w(2, 1, 4);
  EXPECT_TRUE(w.insert(1, 5));
  EXPECT_TRUE(w.insert(2, 6));
  EXPECT_FALSE(w.insert(3, 7));
  EXPECT_EQ(expire_all(w, 5), std::vector<uint32_t>{1});
  EXPECT_TRUE(w.insert(3, 7));
  EXPECT_EQ(expire_all(w, 7), (std::vector<uint32_t>{2, 3}));
}

TEST(TimingWheel, WithoutCapacityTakesNothing) {
  Wheel w(0, 1, 4);
  EXPECT_FALSE(w.insert(1, 0));
  EXPECT_EQ(expire_all(w, 100), std::vector<uint32_t>{});
}

TEST(TimingWheel, KeepsItemsFurtherAwayThanARevolution) {
  Wheel w(8, 1, 4);
  EXPECT_TRUE(w.insert(1, 2));
  EXPECT_TRUE(w.insert(2, 2 + 4));
  EXPECT_TRUE(w.insert(3, 2 + 400));
  EXPECT_TRUE(w.insert(4, 2));
  EXPECT_EQ(expire_all(w, 2), (std::vector<uint32_t>{1, 4}));
  EXPECT_EQ(expire_all(w, 5), std::vector<uint32_t>{});
  EXPECT_EQ(expire_all(w, 6), std::vector<uint32_t>{2});
  EXPECT_EQ(expire_all(w, 401), std::vector<uint32_t>{});
  EXPECT_EQ(expire_all(w, 402), std::vector<uint32_t>{3});
}

TEST(TimingWheel, FirstUseAtALateTscIsCheapAndRight) {
  Wheel w(4, 1 << 20, 256);
  const Tsc now = Tsc{1} << 60;
  EXPECT_TRUE(w.insert(1, now + (1 << 21)));
  EXPECT_EQ(expire_all(w, now), std::vector<uint32_t>{});
  EXPECT_EQ(expire_all(w, now + (1 << 21)), std::vector<uint32_t>{1});
}

TEST(TimingWheel, DueAlreadyComesOutNext) {
  Wheel w(4, 16, 4);
  expire_all(w, 1000);
  EXPECT_TRUE(w.insert(1, 10));
  EXPECT_TRUE(w.insert(2, 1000));
  EXPECT_EQ(expire_all(w, 1000), std::vector<uint32_t>{1});
  EXPECT_EQ(expire_all(w, 1008), std::vector<uint32_t>{2});
}

// A call that returns max says "there may be more": what comes before the next call still has its
// place among the ticks, whether the items handed out were overdue or not.
TEST(TimingWheel, AFullCallThatEmptiesItLeavesTheTicksInOrder) {
  Wheel w(4, 1, 4);
  expire_all(w, 100);
  EXPECT_TRUE(w.insert(1, 50));  // overdue
  uint32_t out[1];
  ASSERT_EQ(w.expire(200, out, 1), 1u);
  EXPECT_TRUE(w.insert(2, 180));
  EXPECT_TRUE(w.insert(3, 150));
  EXPECT_EQ(expire_all(w, 200), (std::vector<uint32_t>{3, 2}));
}

TEST(TimingWheel, BackwardJumpHandsOutNothingEarly) {
  Wheel w(4, 1, 4);
  expire_all(w, 1'000'000);
  EXPECT_TRUE(w.insert(1, 510));
  EXPECT_TRUE(w.insert(2, 505));
  EXPECT_EQ(expire_all(w, 504), std::vector<uint32_t>{});
  EXPECT_EQ(expire_all(w, 505), std::vector<uint32_t>{2});
  EXPECT_EQ(expire_all(w, 510), std::vector<uint32_t>{1});
}

TEST(TimingWheel, LargestTimeEmptiesOneWithUnitSlotsToo) {
  Wheel w(4, 1, 4);
  EXPECT_TRUE(w.insert(1, UINT64_MAX - 1));
  EXPECT_EQ(expire_all(w, UINT64_MAX), std::vector<uint32_t>{1});
}

TEST(TimingWheel, LargestTimeEmptiesIt) {
  Wheel w(4, 16, 4);
  EXPECT_TRUE(w.insert(1, UINT64_MAX - 16));
  EXPECT_TRUE(w.insert(2, 7));
  EXPECT_EQ(expire_all(w, UINT64_MAX), (std::vector<uint32_t>{2, 1}));
}

// The model: items sorted by (tick, insertion). What is due already at insertion sorts right before
// the first tick that the wheel has not finished.
struct Model {
  struct Item {
    uint64_t tick;
    uint32_t id;
  };
  std::multimap<uint64_t, Item> items;  // multimap keeps insertion order among equal keys
  uint64_t cursor = 0;
  uint64_t width = 1;

  void insert(uint32_t id, Tsc due) {
    const uint64_t tick = due / width + (due % width != 0);
    const uint64_t key = tick < cursor ? cursor - 1 : tick;
    items.emplace(key, Item{tick, id});
  }
  std::vector<uint32_t> expire(Tsc now, uint32_t max) {
    const uint64_t now_tick = now / width;
    std::vector<uint32_t> out;
    for (auto it = items.begin(); it != items.end() && out.size() < max;) {
      if (it->first >= cursor && it->first > now_tick) break;
      if (it->second.tick > now_tick) {  // after a backward jump only
        ++it;
        continue;
      }
      if (it->first >= cursor) cursor = it->first;
      out.push_back(it->second.id);
      it = items.erase(it);
    }
    if (out.size() < max && cursor <= now_tick) cursor = now_tick + 1;
    return out;
  }
};

template <typename Wheel>
void agree_with_a_sorted_multimap() {
  const uint32_t shift = *rc::gen::inRange(0, 6);
  const uint32_t slots = 1u << *rc::gen::inRange(0, 6);
  const uint32_t capacity = *rc::gen::inRange(1u, 40u);
  Wheel wheel(capacity, Tsc{1} << shift, slots);
  Model model;
  model.width = uint64_t{1} << shift;
  Tsc now = *rc::gen::elementOf(std::vector<Tsc>{0, 12345, Tsc{1} << 50});
  const int steps = *rc::gen::inRange(1, 200);
  uint32_t next_id = 0;
  for (int s = 0; s < steps; ++s) {
    switch (*rc::gen::inRange(0, 10)) {
      case 0:  // jump
        now = *rc::gen::inRange<Tsc>(0, Tsc{1} << 52);
        break;
      case 1:
      case 2:
        now += *rc::gen::inRange<Tsc>(0, 200);
        break;
      case 3:
        now -= *rc::gen::inRange<Tsc>(0, now < 50 ? now + 1 : 50);
        break;
      case 4:
      case 5: {
        const uint32_t max = *rc::gen::inRange(1u, 8u);
        uint32_t out[8];
        const uint32_t n = wheel.expire(now, out, max);
        RC_ASSERT(std::vector<uint32_t>(out, out + n) == model.expire(now, max));
        break;
      }
      default: {
        const Tsc due = now + *rc::gen::weightedOneOf<Tsc>(
                                  {{8, rc::gen::inRange<Tsc>(0, 300)},
                                   {1, rc::gen::inRange<Tsc>(0, 100'000)},
                                   {1, rc::gen::just<Tsc>(Tsc{0} - (now < 70 ? now : 70))}});
        typename Wheel::Run run(wheel, wheel.tick_of(due));
        for (int left = *rc::gen::inRange(0, 6); left != 0; --left, ++next_id) {
          const bool room = model.items.size() < capacity;
          RC_ASSERT(run.insert(next_id) == room);
          if (room) model.insert(next_id, due);
        }
      }
    }
    RC_ASSERT(wheel.size() == model.items.size());
  }
  uint32_t out[64];
  const uint32_t n = wheel.expire(UINT64_MAX, out, 64);
  RC_ASSERT(std::vector<uint32_t>(out, out + n) == model.expire(UINT64_MAX, 64));
  RC_ASSERT(wheel.size() == 0u);
}

RC_GTEST_PROP(TimingWheelProperty, AgreesWithASortedMultimap, ()) {
  agree_with_a_sorted_multimap<Wheel>();
}
RC_GTEST_PROP(TimingWheelProperty, AgreesWithASortedMultimapInSmallChunks, ()) {
  agree_with_a_sorted_multimap<TimingWheel<uint32_t, 2>>();
}

}  // namespace
}  // namespace lf
