// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/replay_plan.hpp"

#include <algorithm>

#include "control/resilience/failover.hpp"
#include "control/resilience/replay_budget.hpp"

namespace lf::resilience {

int64_t replay_batch_size(int64_t budget) {
  return std::clamp<int64_t>(budget / 10, 1, 64);
}

int64_t replay_retries(int64_t timeout_s) {
  return std::clamp<int64_t>(timeout_s / 2, 1, 12);
}

OutageClass outage_of_replay(int64_t events, int64_t timeout_s) {
  const int64_t minutes = std::max<int64_t>(timeout_s / 2, 1);
  const int64_t services = std::max<int64_t>(events / 16, 1);
  return classify_outage(minutes, services);
}

ReplayPlan build_replay_plan(int64_t events, int64_t timeout_s, const std::string& primary,
                             std::span<const std::string> candidates,
                             std::span<const std::string> degraded) {
  const int64_t budget = replay_budget(events, timeout_s);
  if (budget == 0) return {.region = primary};
  return {.budget = budget,
          .batch_size = replay_batch_size(budget),
          .retries = replay_retries(timeout_s),
          .region = choose_failover_region(primary, candidates, degraded),
          .outage_class = outage_of_replay(events, timeout_s)};
}

}  // namespace lf::resilience
