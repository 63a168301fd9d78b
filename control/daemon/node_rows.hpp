// SPDX-License-Identifier: Apache-2.0
// The nodes as metrics and the status page show them. Thread: main.
#pragma once

#include <vector>

#include "control/health/engine.hpp"
#include "control/metrics/stats_view.hpp"

namespace lf::daemon {

std::vector<metrics::NodeRow> node_rows(const health::HealthEngine& engine);

}  // namespace lf::daemon
