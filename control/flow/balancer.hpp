// SPDX-License-Identifier: Apache-2.0
// Flow services' weights and tables over time. Health moves all the time, flows must not: a node's
// weight stays what it was until it has changed by more than the dead-band, and a Maglev table is
// made anew only when a weight that is in force has changed. Thread: control.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "control/config/config.hpp"
#include "control/flow/maglev.hpp"
#include "control/forward/slots.hpp"
#include "control/forward/table_builder.hpp"
#include "dataplane/flow/table.hpp"

namespace lf::flow {

struct BalancerInput {
  const config::Config& config;
  const forward::Slots& slots;
  std::span<const forward::PoolPlan> pool_plans;  // by ServiceIndex
  const forward::Table& forward;                  // made of the same
  // By slot: the node lives, so the flows that it has may stay. Beyond its end: it does.
  std::span<const uint8_t> alive;
  std::shared_ptr<const Organisations> organisations = {};
  uint64_t tsc_hz = 0;
};

class Balancer {
 public:
  // Null: there are no flow services. The table is the one before when nothing has changed.
  std::shared_ptr<const Table> build(const BalancerInput& input);

  uint64_t tables_made() const { return tables_made_; }

 private:
  struct Known {
    std::vector<MaglevNode> nodes;  // with the weights in force
    std::vector<uint16_t> places;   // positions in `nodes`
  };
  const Known& follow(const config::Service& service, std::vector<MaglevNode> wanted,
                      const config::Flows& settings);

  std::map<std::string, Known> services_;
  std::shared_ptr<const Table> last_;
  uint64_t tables_made_ = 0;
};

// What a node is called in the Maglev table: its address and port, which all machines of a fleet
// agree on whatever they call it.
std::string maglev_key(const config::Node& node);

// Weights by node of the service, 0..65535 times the configured weight's share: where `shares` are
// of the traffic, they are put in relation to the configured weights first, so that a node that
// comes or goes changes nobody else's.
std::vector<uint32_t> weights_of(const config::Service& service, std::span<const double> shares);

// `wanted`, but those within the dead-band of their weight before keep that.
std::vector<MaglevNode> damp(std::span<const MaglevNode> before, std::vector<MaglevNode> wanted,
                             double dead_band);

}  // namespace lf::flow
