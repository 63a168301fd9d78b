// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/node_rows.hpp"

#include <algorithm>

namespace lf::daemon {
std::vector<metrics::NodeRow> node_rows(const health::HealthEngine& engine) {
  std::vector<metrics::NodeRow> rows;
  for (const auto& service : engine.services())
    for (const auto& node : service->nodes) {
      const health::NodeRecord& n = *node;
      const auto counts = n.totals();
      rows.push_back({.service = n.service,
                      .node = n.settings.name,
                      .region = n.settings.region,
                      .state = std::string(name(state_of(n))),
                      .breaker = std::string(health::breaker_name(n.breaker)),
                      .health = n.window.health().value_or(1),
                      .weight = n.share,
                      .score = n.score,
                      .inflight = static_cast<uint64_t>(std::max<int64_t>(n.in_flight(), 0)),
                      .sent = counts.sent,
                      .replies = counts.replies(),
                      .failures = counts.failed + counts.busy + counts.unreachable,
                      .timeouts = counts.timeouts,
                      .latency_us_p50 = static_cast<double>(n.recent.quantile_us(0.5)),
                      .latency_us_p99 = static_cast<double>(n.recent.quantile_us(0.99))});
    }
  return rows;
}

}  // namespace lf::daemon
