// SPDX-License-Identifier: Apache-2.0
// Quotas' surroundings in the running daemon: who is told when one runs out again and again, the
// ranking of the busiest, the socket commands of both and of admission, and what of all this shows
// in statistics. Thread: control.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "control/base/clock.hpp"
#include "control/config/config.hpp"
#include "control/metrics/stats_view.hpp"
#include "control/notify/notifier.hpp"
#include "control/quota/exhaustion.hpp"
#include "control/quota/quotas.hpp"
#include "control/quota/ranking.hpp"
#include "control/rpc/command.hpp"
#include "dataplane/admission/admission.hpp"

namespace lf::daemon {

class QuotaWiring {
 public:
  // `quotas` and `clock` must outlive this.
  static Result<std::unique_ptr<QuotaWiring>> create(const config::Notifications& settings,
                                                     quota::Quotas& quotas, const Clock& clock);

  // Follows a reload; cannot fail.
  void configure(const config::Notifications& settings);

  // changed: called when a limit has changed.
  std::vector<rpc::Command> commands(std::function<void()> changed);

  // Some times a second: goes on with the ranking.
  void tick();
  // Once a second: events for what workers have rejected since.
  void tick_second();

  void add_to(metrics::StatsView& view) const;

 private:
  QuotaWiring(const config::Notifications& settings, quota::Quotas& quotas, const Clock& clock);

  quota::Quotas& quotas_;
  const Clock& clock_;
  quota::ExhaustionTracker exhaustion_;
  quota::Ranking ranking_;
  std::unique_ptr<notify::Notifier> notifier_;
};

// Admission as statistics show it.
metrics::Group admission_group(const admission::Table& table, const admission::Load& load);

}  // namespace lf::daemon
