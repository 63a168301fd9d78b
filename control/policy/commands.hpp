// SPDX-License-Identifier: Apache-2.0
// The control socket's commands policy.*, risk.set and operator.set. Control thread.
#pragma once

#include <functional>
#include <vector>

#include "control/base/clock.hpp"
#include "control/policy/compare.hpp"
#include "control/policy/engine.hpp"
#include "control/rpc/command.hpp"

namespace lf::policy {

struct CommandContext {
  Engine& engine;
  Compare& compare;
  const Clock& clock;
  std::string audit_directory;  // for comparing history; empty: none
};

std::vector<rpc::Command> commands(CommandContext& context);

// Part of it: evaluate, gate.
std::vector<rpc::Command> evaluate_commands(CommandContext& context);
// list, load, check, activate, confirm, rollback, diff.
std::vector<rpc::Command> version_commands(CommandContext& context);
// compare, risk.set, operator.set.
std::vector<rpc::Command> table_commands(CommandContext& context);

}  // namespace lf::policy
