// SPDX-License-Identifier: Apache-2.0
// Batch intake in the running daemon: which CPUs its helper threads may use, how its packets reach
// the workers, and how answers come back. The daemon owns one. Thread: control.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "control/base/clock.hpp"
#include "control/base/event_loop.hpp"
#include "control/config/config.hpp"
#include "control/ports/port_set.hpp"
#include "control/rpc/command.hpp"
#include "dataplane/core/mbuf_note.hpp"

namespace lf::intake {
class Service;
}

namespace lf::daemon {

class IntakeWiring {
 public:
  // Runs a frame through a worker's pipeline; false: no room, it is tried again later.
  using Inject = std::function<bool(std::span<const uint8_t> frame, const Meta& meta)>;

  IntakeWiring(const config::Config& config, const std::vector<ports::PortInfo>& ports,
               const Clock& clock, EventLoop& loop, Inject inject);
  ~IntakeWiring();

  // After a reload: batches that are submitted from now on see the new names and keys.
  void configure(const config::Config& config, const std::vector<ports::PortInfo>& ports);
  std::vector<rpc::Command> commands();

  // What a worker handed over as ToControl::reply: a node's reply, or a command that was refused.
  void answered(const Note& note);
  void tick();

 private:
  std::unique_ptr<intake::Service> service_;
};

}  // namespace lf::daemon
