// SPDX-License-Identifier: Apache-2.0
// The engine against nodes that behave like nodes: queues with a service rate, time-outs, answers
// to probes. Shows that traffic leaves a node that is technically healthy but slow, that clients
// notice, and that the loop of weights and queues stays within bounds.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/unit/health/mesh.hpp"

namespace lf::health {
namespace {

using test::Mesh;

constexpr double kStepS = 0.01;
constexpr double kTimeoutS = 0.1;

// A FIFO queue that serves `rate` commands a second; fluid, in steps of 10 ms.
struct Queue {
  double rate = 0, waiting = 0, work_ms = 0.5;

  double wait_s() const { return waiting / rate; }
  void step(double arrivals) { waiting = std::max(0.0, waiting + arrivals - rate * kStepS); }
};

struct Simulation {
  Mesh mesh;
  std::vector<Queue> queues;
  double demand = 0;  // commands a second
  bool weighted = true;
  std::vector<std::pair<double, double>> latencies;  // ms, how many

  Simulation() {
    mesh.service().health.warmup_s = 30;
    mesh.start();
    queues.resize(3);
    for (Queue& q : queues) q.rate = 10'000;
    demand = 18'000;  // 60 % of the capacity
  }

  double share(size_t i) const {
    return weighted ? mesh.engine.services()[0]->nodes[i]->share : 1.0 / 3;
  }

  void run(double seconds) {
    for (double t = 0; t < seconds; t += kStepS) {
      for (size_t i = 0; i < queues.size(); ++i) {
        const double arrivals = share(i) * demand * kStepS;
        queues[i].step(arrivals);
        const double ms = queues[i].wait_s() * 1000 + queues[i].work_ms;
        const auto n = static_cast<uint64_t>(arrivals + 0.5);
        const std::string& name = mesh.service().nodes[i].name;
        if (ms < kTimeoutS * 1000)
          mesh.answer(name, n, 0, 0, ms);
        else
          mesh.answer(name, 0, 0, n);
        latencies.emplace_back(std::min(ms, kTimeoutS * 1000), arrivals);
      }
      ticks_ += 1;
      if (ticks_ % 100 == 0)
        for (const auto& n : mesh.service().nodes) mesh.probe(n.name, true);  // all answer
      mesh.tick(10);
    }
  }

  double p99_ms() {
    std::ranges::sort(latencies);
    double total = 0, seen = 0;
    for (const auto& [ms, n] : latencies) total += n;
    for (const auto& [ms, n] : latencies)
      if ((seen += n) >= 0.99 * total) return ms;
    return 0;
  }

 private:
  int ticks_ = 0;
};

TEST(ClosedLoop, SlowNodesShareFallsBelowFifteenPerCentInThreeSeconds) {
  Simulation s;
  s.run(10);
  EXPECT_NEAR(s.share(0), 1.0 / 3, 0.01);
  s.queues[0].rate = 10'000 / 3.0;
  s.run(3);
  EXPECT_LT(s.share(0), 0.15);
}

// Its share creeps up while the latency that was measured fades, until its queue grows within one
// interval; then it falls at once. A saw, and not a swing: never down to what it was at first.
TEST(ClosedLoop, KeepsTheSlowNodeBusyButNotOverrun) {
  Simulation s;
  s.run(10);
  s.queues[0].rate = 10'000 / 3.0;
  s.run(20);
  double low = 1, high = 0;
  for (int i = 0; i < 600; ++i) {  // a minute
    s.run(0.1);
    low = std::min(low, s.share(0));
    high = std::max(high, s.share(0));
  }
  EXPECT_GT(low, 0.08);
  EXPECT_LT(high, 10'000 / 3.0 / 18'000 * 1.25);  // a quarter above what it can serve
  EXPECT_LT(s.queues[1].wait_s() + s.queues[2].wait_s(), 0.01);
}

TEST(ClosedLoop, ClientsP99IsFiveTimesLowerThanWithFixedWeights) {
  double p99[2];
  for (const bool weighted : {false, true}) {
    Simulation s;
    s.weighted = weighted;
    s.run(5);
    s.queues[0].rate = 10'000 / 3.0;
    s.run(3);
    s.latencies.clear();
    s.run(60);
    p99[weighted] = s.p99_ms();
  }
  EXPECT_LT(p99[1] * 5, p99[0]);
}

TEST(ClosedLoop, RecoveredNodeGetsItsShareBack) {
  Simulation s;
  s.run(5);
  s.queues[0].rate = 10'000 / 3.0;
  s.run(10);
  s.queues[0].rate = 10'000;
  s.run(90);
  EXPECT_NEAR(s.share(0), 1.0 / 3, 0.02);
}

TEST(ClosedLoop, OverloadOfAllIsSharedEvenly) {
  Simulation s;
  s.demand = 45'000;  // half more than all can serve: every answer is late
  s.run(20);
  // Nobody is better than another; the document has no mercy on nodes below 0.3.
  const double refused = s.mesh.refused();
  double sum = refused;
  for (size_t i = 0; i < 3; ++i) sum += s.share(i);
  EXPECT_NEAR(sum, 1, 1e-9);
}

}  // namespace
}  // namespace lf::health
