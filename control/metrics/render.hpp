// SPDX-License-Identifier: Apache-2.0
// A StatsView as others want to see it. Pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "control/metrics/prometheus.hpp"
#include "control/metrics/stats_view.hpp"

namespace lf::metrics {

nlohmann::json stats_json(const StatsView& view);   // method `stats`
nlohmann::json latency_json(const StatsView& view); // the same with `latency`
nlohmann::json status_json(const StatsView& view);  // method `status`
std::vector<Family> families(const StatsView& view);
std::string status_page(const StatsView& view);  // HTML, one screen, refreshes itself

}  // namespace lf::metrics
