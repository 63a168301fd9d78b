// SPDX-License-Identifier: Apache-2.0
// Commands of the control socket about nodes and routes: nodes.list, nodes.history, node.drain,
// node.undrain, node.set_weight, route.score, route.select, route.chain. Handlers run on the
// control thread; what they refer to must outlive the table that they go into.
#pragma once

#include <functional>
#include <vector>

#include "control/base/clock.hpp"
#include "control/health/engine.hpp"
#include "control/rpc/command.hpp"

namespace lf::health {

// `apply` is called after a change by an operator: it ticks the engine and publishes, so that the
// change holds when the caller gets the answer.
std::vector<rpc::Command> node_commands(HealthEngine& engine, const Clock& clock,
                                        std::function<void()> apply);

// `intents` gives those of the configuration in force.
std::vector<rpc::Command> route_commands(
    const HealthEngine& engine, const Clock& clock,
    std::function<const std::vector<config::Intent>&()> intents);

}  // namespace lf::health
