// SPDX-License-Identifier: Apache-2.0
// Held commands as the daemon runs them: turns packets handed over by workers into held commands
// and APPROVALs into approvals, asks the policy engine who may approve and how many are needed,
// tells the audit log. What happens to a command that ends is the daemon's: it gives `on_end`.
// Control thread.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "control/hold/hold.hpp"
#include "control/policy/engine.hpp"
#include "control/rpc/command.hpp"
#include "dataplane/audit/record.hpp"
#include "dataplane/core/burst.hpp"

namespace lf::hold {

class Service {
 public:
  // Released commands go back into the pipeline as Origin::released; of the others the client is
  // told (held_refused, held_expired), if it asked for replies.
  using OnEnd = std::function<void(End, const Held&)>;
  using OnEvent = std::function<void(const audit::Record&)>;

  Service(policy::Engine& engine, const Clock& clock, const Options& options, OnEnd on_end,
          OnEvent on_event);

  // A held command as a worker handed it over; frame: the whole Ethernet frame, meta.lcp inside.
  // False: full.
  bool held(const Meta& meta, std::span<const uint8_t> frame);
  // An authenticated APPROVAL.
  Approval approval(const Meta& meta);

  void tick() { hold_.tick(clock_.unix_us()); }
  const Hold& hold() const { return hold_; }
  std::vector<rpc::Command> commands();

 private:
  bool may_approve(const Command& command, uint32_t operator_id) const;
  void event(audit::EventCode code, const Command& command, uint32_t operator_id);
  Result<rpc::Json> end_by_hand(const rpc::Json& params, bool release);
  Result<rpc::Json> approve_by_hand(const rpc::Json& params);
  rpc::Json list() const;

  policy::Engine& engine_;
  const Clock& clock_;
  OnEnd on_end_;
  OnEvent on_event_;
  Hold hold_;
};

Command command_of(const Meta& meta, std::span<const uint8_t> frame);

}  // namespace lf::hold
