// SPDX-License-Identifier: Apache-2.0
// Policy's surroundings in the running daemon: audit rings and their writer, held commands and
// approvals, compare mode, and the socket commands of all of them. The daemon owns one, hands its
// rings to the workers and packets from the workers to it. Thread: control.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "control/audit/collector.hpp"
#include "control/hold/service.hpp"
#include "control/policy/commands.hpp"
#include "dataplane/audit/ring.hpp"
#include "dataplane/core/mbuf_note.hpp"

namespace lf::daemon {

class PolicyWiring {
 public:
  // Runs a frame through a worker's pipeline again; false: no room, it is tried again later.
  using Inject = std::function<bool(std::span<const uint8_t> frame, const Meta& meta)>;

  static Result<std::unique_ptr<PolicyWiring>> create(const config::Config& config,
                                                      policy::Engine& engine, const Clock& clock);
  ~PolicyWiring();

  // One a worker; they live as long as this object.
  const std::vector<audit::Ring*>& rings() const { return ring_views_; }
  uint8_t audit_drop_outcomes() const { return audit_drop_outcomes_; }

  void connect(Inject inject) { inject_ = std::move(inject); }
  // changed: called when a command changed something that workers must see.
  std::vector<rpc::Command> commands(std::function<void()> changed);

  void held(const Note& note, std::span<const uint8_t> frame);
  void approval(const Note& note);
  void tick();
  // After the workers have stopped: writes what is left in the rings.
  void finish();

 private:
  PolicyWiring(const config::Config& config, policy::Engine& engine, const Clock& clock);
  void ended(hold::End how, const hold::Held& held);
  void inject_again(std::span<const uint8_t> frame, uint8_t in_port, Origin origin);

  struct Waiting {
    std::vector<uint8_t> frame;
    Meta meta;
  };

  const bool audit_enabled_;
  const uint8_t audit_drop_outcomes_;  // audit::State::drop_outcomes
  policy::Engine& engine_;
  std::vector<std::unique_ptr<audit::Ring>> rings_;
  std::vector<audit::Ring*> ring_views_;
  policy::Compare compare_;
  policy::CommandContext context_;
  std::unique_ptr<audit::Collector> collector_;
  hold::Service hold_;
  Inject inject_;
  std::deque<Waiting> waiting_;  // commands that had no room on their way back
};

}  // namespace lf::daemon
