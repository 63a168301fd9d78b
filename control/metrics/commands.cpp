// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/commands.hpp"

#include "control/metrics/render.hpp"

namespace lf::metrics {

std::vector<rpc::Command> commands(std::function<StatsView()> view,
                                   std::function<void(std::vector<Family>&)> more) {
  using rpc::Json;
  std::vector<rpc::Command> list;
  list.push_back({"stats",
                  "packets by verdict, workers, ports, ledger and snapshot",
                  {{"latency", "boolean", false, "the stages' times instead, from timed bursts"}},
                  false,
                  [view](const Json& params) -> Result<Json> {
                    return params.value("latency", false) ? latency_json(view())
                                                          : stats_json(view());
                  },
                  {}});
  list.push_back({"status",
                  "version, state, uptime and totals",
                  {},
                  false,
                  [view](const Json&) -> Result<Json> { return status_json(view()); },
                  {}});
  list.push_back({"metrics",
                  "what Prometheus gets, as text",
                  {},
                  false,
                  [view, more](const Json&) -> Result<Json> {
                    auto all = families(view());
                    if (more) more(all);
                    return Json{{"text", to_prometheus(all)}};
                  },
                  {}});
  return list;
}

}  // namespace lf::metrics
