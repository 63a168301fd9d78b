// SPDX-License-Identifier: Apache-2.0
#include "control/publish/publisher.hpp"

#include <gtest/gtest.h>
#include <rte_rcu_qsbr.h>

#include <atomic>
#include <cstdlib>
#include <thread>

namespace lf {
namespace {

struct PublisherTest : testing::Test {
  static constexpr uint32_t kWorkers = 2;
  Bridge bridge;
  WorkerStats stats[kWorkers];
  const WorkerStats* views[kWorkers] = {&stats[0], &stats[1]};

  void SetUp() override {
    bridge.qsbr = static_cast<rte_rcu_qsbr*>(
        aligned_alloc(RTE_CACHE_LINE_SIZE, rte_rcu_qsbr_get_memsize(kWorkersMax)));
    rte_rcu_qsbr_init(bridge.qsbr, kWorkersMax);
  }
  void TearDown() override { free(bridge.qsbr); }

  void online(unsigned worker) {
    rte_rcu_qsbr_thread_register(bridge.qsbr, worker);
    rte_rcu_qsbr_thread_online(bridge.qsbr, worker);
  }
  void use(unsigned worker, Tsc at) {
    stats[worker].generation_since.store(at);
    stats[worker].generation.store(bridge.snapshot.load()->generation);
  }
};

TEST_F(PublisherTest, GenerationsCountUpAndBecomeVisible) {
  Publisher publisher(bridge, views, 1'000'000);
  ASSERT_TRUE(publisher.publish({}, 0));
  EXPECT_EQ(bridge.snapshot.load()->generation, 1u);
  ASSERT_TRUE(publisher.publish(publisher.current(), 1));
  EXPECT_EQ(bridge.snapshot.load()->generation, 2u);
}

TEST_F(PublisherTest, AnOldOneLivesUntilEveryWorkerWasQuiescent) {
  Publisher publisher(bridge, views, 1'000'000);
  online(0);
  online(1);
  publisher.publish({}, 0);
  publisher.publish({}, 10);
  publisher.reclaim(11);
  EXPECT_EQ(publisher.retired(), 1u);
  rte_rcu_qsbr_quiescent(bridge.qsbr, 0);
  publisher.reclaim(12);
  EXPECT_EQ(publisher.retired(), 1u) << "worker 1 may still read it";
  rte_rcu_qsbr_quiescent(bridge.qsbr, 1);
  publisher.reclaim(13);
  EXPECT_EQ(publisher.retired(), 0u);
}

TEST_F(PublisherTest, ASleepingWorkerHoldsNothingUp) {
  Publisher publisher(bridge, views, 1'000'000);
  online(0);
  publisher.publish({}, 0);
  publisher.publish({}, 1);
  rte_rcu_qsbr_thread_offline(bridge.qsbr, 0);
  publisher.reclaim(2);
  EXPECT_EQ(publisher.retired(), 0u);
}

TEST_F(PublisherTest, RefusesBeforeSwappingWhenAWorkerHangs) {
  Publisher publisher(bridge, views, 1'000'000);
  online(0);
  publisher.publish({}, 0);
  for (size_t i = 0; i < Publisher::kRetiredMax; ++i) ASSERT_TRUE(publisher.publish({}, i));
  const uint64_t before = publisher.generation();
  EXPECT_FALSE(publisher.publish({}, 99));
  EXPECT_EQ(publisher.generation(), before);
  EXPECT_EQ(bridge.snapshot.load()->generation, before);
}

TEST_F(PublisherTest, MeasuresTheTimeToTheLastWorker) {
  Publisher publisher(bridge, views, 1'000'000);  // one tick is a microsecond
  publisher.publish({}, 100);
  use(0, 150);
  publisher.reclaim(200);
  EXPECT_FALSE(publisher.applied());
  EXPECT_EQ(publisher.times().applied_us_p50, 0) << "not measured before all have it";
  use(1, 300);
  publisher.reclaim(400);
  EXPECT_TRUE(publisher.applied());
  EXPECT_DOUBLE_EQ(publisher.times().applied_us_p50, 200);
}

// Workers that read while control publishes: under AddressSanitizer a snapshot freed too early is
// a use after free, under ThreadSanitizer a missing ordering is a race.
TEST_F(PublisherTest, ConcurrentReadersNeverSeeAFreedSnapshot) {
  Publisher publisher(bridge, views, 1'000'000);
  publisher.publish({}, 0);
  std::atomic<bool> stop{false};
  std::thread readers[kWorkers];
  for (unsigned w = 0; w < kWorkers; ++w) {
    readers[w] = std::thread([&, w] {
      online(w);
      uint64_t last = 0;
      while (!stop.load(std::memory_order_relaxed)) {
        const uint64_t g = bridge.snapshot.load(std::memory_order_acquire)->generation;
        EXPECT_GE(g, last);
        last = g;
        rte_rcu_qsbr_quiescent(bridge.qsbr, w);
      }
      rte_rcu_qsbr_thread_offline(bridge.qsbr, w);
    });
  }
  uint64_t published = 1;
  while (published < 5'000) {
    if (publisher.publish(publisher.current(), published)) ++published;
    publisher.reclaim(published);
  }
  stop = true;
  for (auto& r : readers) r.join();
  publisher.reclaim(0);
  EXPECT_EQ(publisher.retired(), 0u);
}

}  // namespace
}  // namespace lf
