// SPDX-License-Identifier: Apache-2.0
// The breakers of all nodes: reads what the workers counted, moves each breaker on, and writes each
// transition into the word that workers read for every choice, so that a trip holds from a
// worker's next command on and waits for no table. Thread: control, at each tick (some 10 ms).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "control/forward/slots.hpp"
#include "control/resilience/breaker.hpp"
#include "dataplane/core/outcome_word.hpp"
#include "dataplane/core/worker_stats.hpp"
#include "dataplane/forward/node_live.hpp"

namespace lf::resilience {

// A node that has a breaker.
struct BoardNode {
  std::string service, name;
  uint32_t id = 0;
  NodeSlot slot = kNoNode;
  uint32_t slot_epoch = 0;  // of the slot's assignment: another one is another node
  BreakerSettings settings;
};

// What the configuration says, for every node. The trial time-out leaves the workers room to count
// the service's own time-out first.
std::vector<BoardNode> board_nodes(const config::Config& config, const forward::Slots& slots);
BreakerSettings breaker_settings(const config::Breaker& breaker, uint32_t service_timeout_ms);

struct BoardTransition {
  NodeSlot slot = kNoNode;
  BreakerTransition transition;
};

class BreakerBoard {
 public:
  // workers: each worker's counts, [kNodesMax]. `seed` feeds the jitter.
  BreakerBoard(forward::NodeLive& live, std::vector<const NodeStats*> workers, uint64_t seed);

  // Follows the configuration: breakers of nodes that stay keep their state.
  void configure(std::vector<BoardNode> nodes);

  // Transitions of this tick, and those that an operator made since the last; valid until the next
  // call. A closed breaker puts its node into warm-up, an open one its kept commands on their way.
  std::span<const BoardTransition> tick(MonoNs now);

  // By an operator; workers see it at once. An open breaker that is tripped waits anew, a closed
  // one that is reset forgets its failures. False: no such node.
  bool trip(NodeSlot slot, MonoNs now);
  bool reset(NodeSlot slot, MonoNs now);

  // Failures that the control side saw itself (ICMP unreachable); count at the next tick.
  void add_failures(NodeSlot slot, uint32_t failures);

  // A node by "service/name", or by name or id where only one node has it.
  Result<NodeSlot> find(std::string_view node) const;

  const std::vector<BoardNode>& nodes() const { return nodes_; }
  Breaker* breaker(NodeSlot slot);
  BreakerState state(NodeSlot slot) const;  // closed when the slot has no breaker

 private:
  struct Entry {
    std::unique_ptr<Breaker> breaker;
    uint32_t slot_epoch = 0;
    uint32_t own_failures = 0;
  };
  // What was read last of a worker's counts for a node.
  struct Seen {
    OutcomeWord word;
    uint64_t slow = 0;
  };

  CallResults collect(NodeSlot slot, const Breaker& breaker);
  void publish(NodeSlot slot, const Breaker& breaker);
  void start(const BoardNode& node);
  void retire(NodeSlot slot);
  void by_operator(NodeSlot slot, const std::optional<BreakerTransition>& transition);

  forward::NodeLive& live_;
  std::vector<const NodeStats*> workers_;
  uint64_t seed_;
  std::vector<BoardNode> nodes_;
  std::vector<Entry> entries_;  // by slot
  std::vector<Seen> seen_;      // by slot, worker within it
  std::vector<BoardTransition> transitions_, pending_;
};

}  // namespace lf::resilience
