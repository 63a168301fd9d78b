// SPDX-License-Identifier: Apache-2.0
#include "control/health/node_counts.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace lf::health {
namespace {

TEST(WorkerCounts, SumsOverWorkers) {
  auto a = std::make_unique<NodeStats[]>(kNodesMax), b = std::make_unique<NodeStats[]>(kNodesMax);
  const NodeStats* workers[] = {a.get(), b.get()};
  a[5].sent.add(10);
  b[5].sent.add(5);
  b[5].ok.add(7);  // answers reach another worker than the one that sent
  a[5].failed.add(1);
  a[5].busy.add(1);
  a[5].other.add(1);
  a[5].timeouts.add(2);
  a[5].left.add(1);
  a[5].unreachable.add(3);
  a[5].answered_late.add(4);
  b[5].latency_sum_us.add(100);
  b[5].slow.add(6);
  b[6].sent.add(99);
  const NodeCounts c = WorkerCounts(workers).read(5);
  EXPECT_EQ(c.sent, 15u);
  EXPECT_EQ(c.replies(), 10u);
  EXPECT_EQ(c.in_flight(), 2);
  EXPECT_EQ(c.unreachable, 3u);
  EXPECT_EQ(c.answered_late, 4u);
  EXPECT_EQ(c.latency_sum_us, 100u);
  EXPECT_EQ(c.slow, 6u);
  NodeCounts twice = c;
  twice += c;
  EXPECT_EQ((twice - c).in_flight(), 2);
}

TEST(WorkerCounts, SumsHistograms) {
  auto a = std::make_unique<NodeStats[]>(kNodesMax), b = std::make_unique<NodeStats[]>(kNodesMax);
  const NodeStats* workers[] = {a.get(), b.get()};
  a[0].latency[3].add(1);
  b[0].latency[3].add(2);
  const LatencyHistogram h = WorkerCounts(workers).latencies(0);
  EXPECT_EQ(h[3], 3u);
  EXPECT_EQ(h[4], 0u);
}

TEST(RecentLatency, QuantilesWithinABucket) {
  RecentLatency r;
  EXPECT_EQ(r.quantile_us(0.5), 0);
  LatencyHistogram h{};
  h[latency_bucket(1000)] = 99;
  h[latency_bucket(50'000)] = 1;
  r.update(h, 0.9);
  EXPECT_NEAR(r.quantile_us(0.5), 1000, 250);
  EXPECT_NEAR(r.quantile_us(0.98), 1000, 250);
  EXPECT_NEAR(r.quantile_us(0.995), 50'000, 12'500);
  EXPECT_GT(r.quantile_us(1.0), 45'000);
}

TEST(RecentLatency, OldOnesFade) {
  RecentLatency r;
  LatencyHistogram h{};
  h[latency_bucket(50'000)] = 1000;
  r.update(h, 0.5);
  for (int i = 0; i < 20; ++i) {
    h[latency_bucket(1000)] += 100;
    r.update(h, 0.5);
  }
  EXPECT_LT(r.quantile_us(0.99), 1500);
  for (int i = 0; i < 40; ++i) r.update(h, 0.5);
  EXPECT_EQ(r.quantile_us(0.5), 0);  // nothing for long
}

TEST(RecentLatency, LastBucketHasAnEnd) {
  RecentLatency r;
  LatencyHistogram h{};
  h[kLatencyBuckets - 1] = 1;
  r.update(h, 1);
  EXPECT_GE(r.quantile_us(0.5), latency_bucket_floor_us(kLatencyBuckets - 1));
  EXPECT_LT(r.quantile_us(1), 2.0 * latency_bucket_floor_us(kLatencyBuckets - 1));
}

}  // namespace
}  // namespace lf::health
