// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/quota_wiring.hpp"

#include <rte_cycles.h>

#include "control/notify/commands.hpp"
#include "control/quota/commands.hpp"

namespace lf::daemon {
namespace {

constexpr size_t kRanked = 50;           // quotas with metrics of their own
constexpr uint32_t kKeysPerTick = 8192;  // looked at for the ranking

MonoNs within_ns(const config::Notifications& settings) {
  return MonoNs{settings.within_s} * 1'000'000'000;
}

metrics::Value gauge(const char* name, const char* help, uint64_t value) {
  return {name, help, static_cast<double>(value), false};
}
metrics::Value counter(const char* name, const char* help, uint64_t value) {
  return {name, help, static_cast<double>(value), true};
}

}  // namespace

QuotaWiring::QuotaWiring(const config::Notifications& settings, quota::Quotas& quotas,
                         const Clock& clock)
    : quotas_(quotas),
      clock_(clock),
      exhaustion_(settings.exhaustions, within_ns(settings)),
      ranking_(kRanked) {}

Result<std::unique_ptr<QuotaWiring>> QuotaWiring::create(const config::Notifications& settings,
                                                         quota::Quotas& quotas,
                                                         const Clock& clock) {
  std::unique_ptr<QuotaWiring> wiring(new QuotaWiring(settings, quotas, clock));
  auto notifier = notify::Notifier::create(settings, clock);
  if (!notifier) return tl::unexpected(notifier.error());
  wiring->notifier_ = std::move(*notifier);
  return wiring;
}

void QuotaWiring::configure(const config::Notifications& settings) {
  exhaustion_.set_limits(settings.exhaustions, within_ns(settings));
  notifier_->configure(settings);
}

std::vector<rpc::Command> QuotaWiring::commands(std::function<void()> changed) {
  auto all = quota::quota_commands({quotas_, [] { return rte_rdtsc(); }, std::move(changed)});
  for (rpc::Command& command : notify::notification_commands(*notifier_))
    all.push_back(std::move(command));
  return all;
}

void QuotaWiring::tick() {
  ranking_.walk(quotas_, kKeysPerTick, rte_rdtsc());
}

void QuotaWiring::tick_second() {
  for (const notify::Event& event :
       quota::watch_exhaustion(quotas_, exhaustion_, rte_rdtsc(), clock_.mono_ns()))
    notifier_->submit(event);
}

void QuotaWiring::add_to(metrics::StatsView& view) const {
  const quota::Windows& windows = quotas_.windows();
  view.groups.push_back(
      {"quota",
       {gauge("windows", "Windows in use: organisations, and their intents.", windows.open_keys()),
        gauge("windows_max", "Windows that there is memory for.", windows.rings()),
        gauge("exhausted", "Quotas that were exhausted lately.", exhaustion_.tracked()),
        counter("exhaustions", "Times that a quota was exhausted.", exhaustion_.exhaustions())}});
  const notify::NotifierCounts n = notifier_->counts();
  view.groups.push_back(
      {"notifications",
       {gauge("pending", "Notifications that wait for their sink.", n.pending),
        counter("events", "Events that somebody might want to hear of.", n.events),
        counter("planned", "Notifications, by recipient and channel.", n.planned),
        counter("withheld", "Notifications that the throttle withheld.", n.withheld),
        counter("delivered", "Notifications that a sink has taken.", n.delivered),
        counter("failed_attempts", "Attempts at a sink that failed.", n.failed_attempts),
        counter("dropped", "Notifications whose sink is gone, and no other could have them.",
                n.dropped),
        counter("store_errors", "Attempts to store notifications that failed.", n.store_errors)}});
  for (const quota::TopKey& t : ranking_.top())
    view.quotas.push_back({.org = quotas_.org_name(quota::org_of(t.key)),
                           .intent = quota::is_org_key(t.key)
                                         ? std::string()
                                         : quotas_.intent_name(quota::intent_of(t.key)),
                           .used = t.status.used,
                           .limit = static_cast<uint64_t>(t.status.limit),
                           .utilization = t.status.utilization_percent / 100,
                           .rejected = t.status.rejected});
}

metrics::Group admission_group(const admission::Table& table, const admission::Load& load) {
  const uint64_t waiting = load.in_flight + load.rx_backlog + load.delayed;
  const auto limit = static_cast<double>(std::max<uint64_t>(table.hard_limit, 1));
  return {"admission",
          {gauge("enabled", "1 while commands are shed under overload.", table.enabled),
           gauge("hard_limit", "Commands in flight and waiting from which on they are shed.",
                 table.hard_limit),
           gauge("in_flight", "Commands that nodes have not answered.", load.in_flight),
           gauge("rx_backlog", "Packets that wait in receive queues, where drivers can say.",
                 load.rx_backlog),
           gauge("delayed", "Commands that the delay tier keeps back.", load.delayed),
           {"ratio", "All three over the hard limit.", static_cast<double>(waiting) / limit, false},
           gauge("level", "0: nominal, 1: degraded, 2: at the hard limit.",
                 static_cast<uint64_t>(admission::level(table, load)))}};
}

}  // namespace lf::daemon
