// SPDX-License-Identifier: Apache-2.0
// The control socket's commands audit.*. Control thread.
#pragma once

#include <vector>

#include "control/audit/collector.hpp"
#include "control/policy/engine.hpp"
#include "control/rpc/command.hpp"

namespace lf::audit {

// `collector` may be null: then only what is in `directory` can be asked for.
std::vector<rpc::Command> commands(policy::Engine& engine, Collector* collector,
                                   const std::string& directory);

// The record of an activation, for Engine::on_activation.
Record activation_record(const policy::Activation& activation);

}  // namespace lf::audit
