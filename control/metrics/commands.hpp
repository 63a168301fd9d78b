// SPDX-License-Identifier: Apache-2.0
// The control-socket commands `stats`, `status` and `metrics`.
#pragma once

#include <functional>
#include <vector>

#include "control/metrics/prometheus.hpp"
#include "control/metrics/stats_view.hpp"
#include "control/rpc/command.hpp"

namespace lf::metrics {

// `view` gives the present state; `more` adds the families of modules that have their own.
std::vector<rpc::Command> commands(std::function<StatsView()> view,
                                   std::function<void(std::vector<Family>&)> more = {});

}  // namespace lf::metrics
