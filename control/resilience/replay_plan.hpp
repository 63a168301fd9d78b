// SPDX-License-Identifier: Apache-2.0
// What is sent again after an outage, how fast, how often and where to: a composition of the
// budget, the failover choice and the outage classifier. Pure; called by the breaker board when a
// breaker opens and by replay.plan, on the control thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "control/resilience/outage_classifier.hpp"

namespace lf::resilience {

struct ReplayPlan {
  int64_t budget = 0;      // commands that may be sent again
  int64_t batch_size = 0;  // of those, at once
  int64_t retries = 0;     // rounds, with retry_backoff between them
  std::string region;      // where to
  OutageClass outage_class = OutageClass::minor;
  bool operator==(const ReplayPlan&) const = default;
};

// Nothing to send again (budget 0): (0, 0, 0, primary, minor).
ReplayPlan build_replay_plan(int64_t events, int64_t timeout_s, const std::string& primary,
                             std::span<const std::string> candidates,
                             std::span<const std::string> degraded);

// The single steps, each a formula of its own.
int64_t replay_batch_size(int64_t budget);                        // clamp(budget / 10, 1, 64)
int64_t replay_retries(int64_t timeout_s);                        // clamp(timeout_s / 2, 1, 12)
OutageClass outage_of_replay(int64_t events, int64_t timeout_s);  // from what has to be replayed

}  // namespace lf::resilience
