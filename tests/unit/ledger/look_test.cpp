// SPDX-License-Identifier: Apache-2.0
// One look at a bucket says of each slot what its word says by itself; and 30 bits of a hash are
// not a command: who agrees in them only is neither a duplicate nor restored already.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "dataplane/ledger/look.hpp"
#include "tests/support/property.hpp"
#include "tests/unit/ledger/test_ledger.hpp"

namespace lf::ledger {
namespace {

using test::TestLedger;

// Words that often agree in a field with what is looked for.
TEST(LedgerLook, SaysWhatEachWordSays) {
  lf::test::check_property(500, [] {
    Bucket bucket;
    const auto sought_hi = *rc::gen::arbitrary<uint64_t>();
    const Word wanted{0, sought_hi};
    const uint32_t epoch = *rc::gen::inRange(0u, kEpochs);
    uint64_t his[kWays];
    for (uint32_t w = 0; w < kWays; ++w) {
      his[w] = *rc::gen::arbitrary<uint64_t>();
      if (*rc::gen::arbitrary<bool>()) his[w] = (his[w] & ~kHashInHi) | (sought_hi & kHashInHi);
      if (*rc::gen::arbitrary<bool>())
        his[w] = (his[w] & ~(uint64_t{kGroups - 1} << 20)) | uint64_t{wanted.group()} << 20;
      if (*rc::gen::arbitrary<bool>()) his[w] = Word{0, his[w]}.with_state(State::none).hi;
      bucket.way(w).lo = *rc::gen::arbitrary<uint64_t>();
      bucket.way(w).hi = his[w];
    }
    const Front front = front_of(view_of(bucket), sought_hi & kHashInHi);
    const Rest rest = rest_of(view_of(bucket), wanted.group(), epoch);
    RC_ASSERT(view_of(bucket).first == his[0]);
    for (uint32_t w = 0; w < kWays; ++w) {
      const Word word{0, his[w]};
      RC_ASSERT((front.laps >> w & 1) == word.lap());
      RC_ASSERT((front.alike >> w & 1) == uint32_t{((his[w] ^ sought_hi) & kHashInHi) == 0});
      RC_ASSERT((rest.free >> w & 1) == uint32_t{!is_live(word, epoch)});
      RC_ASSERT((rest.own >> w & 1) == uint32_t{word.group() == wanted.group()});
      RC_ASSERT((rest.busy >> w & 1) == uint32_t{word.state() == State::accepted ||
                                                 word.state() == State::writing});
      if (word.state() == State::none) RC_ASSERT((rest.aging >> w & 1) == 1u);
    }
  });
}

TEST(LedgerLook, EveryAgeIsLiveOrOldAsItsWordSays) {
  for (uint32_t stamped = 0; stamped < kEpochs; ++stamped) {
    Bucket bucket;
    const Word word = Word{}.with_state(State::answered).with_epoch(stamped);
    bucket.way(5).hi = word.hi;
    for (uint32_t now = 0; now < kEpochs; ++now) {
      const Rest rest = rest_of(view_of(bucket), 0, now);
      ASSERT_EQ(rest.free >> 5 & 1, uint32_t{!is_live(word, now)});
      ASSERT_EQ(rest.aging >> 5 & 1, uint32_t{age_of(word, now) + 1 >= kWindowEpochs});
    }
  }
}

// The same hi, another lo.
TEST(LedgerLook, ACommandThatAgreesInThirtyBitsIsAnotherOne) {
  TestLedger ledger;
  const Hash one = ledger.hash(1, 7);
  const Hash other{one.lo ^ 1, one.hi};
  const auto admit = [&](const Hash& hash) {
    const Command c{hash, 1, 0};
    Admission a;
    ledger->admit(&c, 1, 0, ledger.counts, &a);
    return a.result;
  };
  EXPECT_EQ(admit(one), Lookup::fresh);
  EXPECT_EQ(admit(other), Lookup::fresh);
  EXPECT_EQ(admit(one), Lookup::duplicate_in_flight);
  EXPECT_EQ(admit(other), Lookup::duplicate_in_flight);
  EXPECT_EQ(ledger.counts.full.read(), 0u);

  TestLedger later;
  const Word saved =
      Word{one.lo, hash_in_hi(one)}.with_state(State::answered).with_epoch(later->epoch_of(0));
  const uint64_t bucket = one.hi & (later->buckets() - 1);
  EXPECT_TRUE(later->restore(bucket, saved));
  EXPECT_TRUE(later->restore(bucket, {other.lo, saved.hi}));
  EXPECT_FALSE(later->restore(bucket, saved));
}

}  // namespace
}  // namespace lf::ledger
