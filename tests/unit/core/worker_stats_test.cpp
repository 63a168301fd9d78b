// SPDX-License-Identifier: Apache-2.0
#include "dataplane/core/worker_stats.hpp"

#include <gtest/gtest.h>

namespace lf {
namespace {

TEST(LatencyBucket, FloorIsTheSmallestValueOfItsBucket) {
  for (uint32_t b = 0; b < kLatencyBuckets; ++b) {
    EXPECT_EQ(latency_bucket(latency_bucket_floor_us(b)), b) << b;
    if (b > 0) {
      EXPECT_EQ(latency_bucket(latency_bucket_floor_us(b) - 1), b - 1) << b;
    }
  }
}

TEST(LatencyBucket, GrowsByAtMostAQuarter) {
  for (uint32_t b = 4; b + 1 < kLatencyBuckets; ++b)
    EXPECT_LE(latency_bucket_floor_us(b + 1) * 4, latency_bucket_floor_us(b) * 5) << b;
}

TEST(LatencyBucket, LastBucketTakesAllTheRest) {
  EXPECT_EQ(latency_bucket(UINT64_MAX), kLatencyBuckets - 1);
}

TEST(Counter, AddsUp) {
  Counter c;
  c.add(2);
  c.add(40);
  EXPECT_EQ(c.read(), 42u);
}

}  // namespace
}  // namespace lf
