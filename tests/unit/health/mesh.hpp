// SPDX-License-Identifier: Apache-2.0
// A health engine with everything around it faked: configuration, slots, counts and the clock. A
// test says what nodes did in an interval and looks at who takes the traffic.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/health/engine.hpp"
#include "dataplane/forward/node_live.hpp"

namespace lf::test {

class FakeCounts final : public health::CountsReader {
 public:
  health::NodeCounts read(NodeSlot slot) const override {
    const auto it = counts.find(slot);
    return it == counts.end() ? health::NodeCounts{} : it->second;
  }
  health::LatencyHistogram latencies(NodeSlot slot) const override {
    const auto it = histograms.find(slot);
    return it == histograms.end() ? health::LatencyHistogram{} : it->second;
  }
  std::map<NodeSlot, health::NodeCounts> counts;
  std::map<NodeSlot, health::LatencyHistogram> histograms;
};

struct Mesh {
  config::Config config;
  forward::Slots slots;
  FakeCounts counts;
  std::unique_ptr<forward::NodeLive> live = std::make_unique<forward::NodeLive>();
  health::HealthEngine engine{7};
  health::Now now{1'000'000'000'000, 1'767'225'600'000'000};
  uint16_t epoch = 0;

  // One service "orbit" with these nodes, all of region "default" and weight 100.
  explicit Mesh(const std::vector<std::string>& nodes = {"a", "b", "c"}) {
    config::Organisation owner;
    owner.name = "acme";
    owner.id = 1;
    config.organisations.push_back(owner);
    config.services.emplace_back();
    config.services[0].name = "orbit";
    for (const auto& n : nodes) add(n);
  }

  config::Service& service() { return config.services[0]; }
  config::Node& add(const std::string& name, const std::string& region = "default") {
    config::Node n;
    n.name = name;
    n.id = static_cast<uint32_t>(service().nodes.size()) + 1;
    n.address = {0, n.id};
    n.region = region;
    service().nodes.push_back(n);
    return service().nodes.back();
  }

  void configure() {
    if (!slots.sync(config)) std::abort();
    engine.configure(config, slots, counts, now);
  }
  void start() {
    configure();
    tick(0);
  }

  NodeSlot slot(const std::string& node) const { return slots.node("orbit", node); }
  const health::NodeRecord& node(const std::string& name) const { return *engine.node(slot(name)); }
  double share(const std::string& name) const { return node(name).share; }
  double health(const std::string& name) const { return node(name).window.health().value_or(-1); }
  health::NodeState state(const std::string& name) const { return node(name).shown; }
  double refused() const { return engine.services()[0]->plan.refused; }

  bool tick(int64_t ms = 250) {
    now.mono += ms * 1'000'000;
    now.unix_us += ms * 1'000;
    return engine.tick(now, counts, *live);
  }

  // Commands that were sent to a node and are settled.
  void answer(const std::string& name, uint64_t ok, uint64_t failed = 0, uint64_t timeouts = 0,
              double latency_ms = 0.2) {
    health::NodeCounts& c = counts.counts[slot(name)];
    c.sent += ok + failed + timeouts;
    c.ok += ok;
    c.failed += failed;
    c.timeouts += timeouts;
    c.latency_sum_us += static_cast<uint64_t>(static_cast<double>(ok) * latency_ms * 1000) +
                        (failed + timeouts) * 100'000;
  }
  void probe(const std::string& name, bool ok) {
    engine.probe_result(slot(name), ok, 0.2, now.mono);
  }
  // Ticks for a while, every node's share of `per_tick` commands answered well; who gets none
  // answers probes.
  void run_well(int ticks, double per_tick = 300) {
    for (int i = 0; i < ticks; ++i) {
      for (const auto& n : service().nodes) {
        const auto commands = static_cast<uint64_t>(share(n.name) * per_tick + 0.5);
        answer(n.name, commands);
        if (commands == 0) probe(n.name, true);
      }
      tick();
    }
  }
  void set_breaker(const std::string& name, forward::BreakerFlag flag) {
    live->set_breaker(slot(name), {flag, ++epoch, 3});
  }
  // Lets a node's commands time out until it is ejected.
  void kill(const std::string& name) {
    for (int i = 0; i < 5 && state(name) != health::NodeState::ejected; ++i) {
      answer(name, 0, 0, 10);
      tick();
    }
  }
  std::vector<health::Cause> causes(const std::string& name) const {
    std::vector<health::Cause> list;
    for (const auto& t : node(name).history) list.push_back(t.cause);
    return list;
  }
};

}  // namespace lf::test
