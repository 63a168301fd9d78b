// SPDX-License-Identifier: Apache-2.0
// Commands of the control socket about breakers, failover and replay: breakers.list, breaker.trip,
// breaker.reset, failover.plan, replay.plan. Handlers run on the control thread; what they refer to
// must outlive the table that they go into.
#pragma once

#include <vector>

#include "control/base/clock.hpp"
#include "control/resilience/board.hpp"
#include "control/rpc/command.hpp"

namespace lf::resilience {

std::vector<rpc::Command> breaker_commands(BreakerBoard& board, const Clock& clock);

// Pure: they plan on what they are given.
std::vector<rpc::Command> plan_commands();

}  // namespace lf::resilience
