// SPDX-License-Identifier: Apache-2.0
// What the control thread does as time passes: empties the workers' rings, lets breakers and health
// take their steps, walks the ledger, refreshes metrics, and ends a drain.
#include <rte_cycles.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstring>

#include "control/daemon/daemon.hpp"
#include "control/health/report.hpp"
#include "control/metrics/render.hpp"

namespace lf::daemon {
namespace {

constexpr uint32_t kTakenPerTick = 1024;       // from each worker's ring
constexpr MonoNs kDrainNsMax = 5'000'000'000;  // then the daemon stops whatever is in flight
constexpr uint64_t kSweepsPerWindow = 4;       // walks over the whole ledger
constexpr uint64_t kFastTicksPerSecond = 500;
constexpr MonoNs kEvictionWarningNs = 60'000'000'000;

std::span<const uint8_t> bytes_of(const rte_mbuf& m) {
  return {rte_pktmbuf_mtod(&m, const uint8_t*), rte_pktmbuf_data_len(&m)};
}

}  // namespace

void Daemon::tick_fast() {
  const MonoNs now = clock_.mono_ns();
  workers_->drain(kTakenPerTick, [this](const rte_mbuf& m, const Note& note) { take(m, note); });
  load_ = workers_->share_load();
  policy_wiring_->tick();
  intake_->tick();
  prober_->tick(now, clock_.unix_us());
  tick_breakers(now);
  publisher_->reclaim(rte_rdtsc());
  if (forward_dirty_ || publish_pending_) {
    if (auto published = publish(); !published) spdlog::error("{}", published.error().message);
  }
  // The ledger is walked a little at a time, each slot several times a window.
  ledger::Ledger& ledger = ledger_->ledger();
  const uint64_t part = std::max<uint64_t>(
      1, ledger.buckets() * kSweepsPerWindow / (config_.ledger.window_s * kFastTicksPerSecond));
  const ledger::Swept seen = ledger.sweep(sweep_at_, part, rte_rdtsc());
  swept_.slots += seen.slots;
  swept_.in_flight += seen.in_flight;
  swept_.timed_out += seen.timed_out;
  swept_.answered += seen.answered;
  swept_.unsent += seen.unsent;
  swept_.expired += seen.expired;
  ledger_expired_ += seen.expired;
  sweep_at_ += part;
  if (sweep_at_ >= ledger.buckets()) {
    sweep_at_ = 0;
    last_walk_ = swept_;
    swept_ = {};
  }
  if (draining_since_ && (drained() || now - *draining_since_ > kDrainNsMax)) loop_->stop();
}

void Daemon::tick_health() {
  const health::Now now{clock_.mono_ns(), clock_.unix_us()};
  wall_.set(rte_rdtsc(), static_cast<uint64_t>(now.unix_us), tsc_hz_);
  forward_dirty_ |= neighbours_->tick(now.mono);
  forward_dirty_ |= health_->tick(now, *counts_, *live_);
  policy_->tick();
  quota_wiring_->tick();
  if (auto published = publish(); !published) spdlog::error("{}", published.error().message);
}

// Live entries that go early mean that the ledger is too small for the rate: says so, at most once
// a minute, with the window that the rate since the last time really gives.
void Daemon::warn_of_evictions(const metrics::StatsView& view) {
  double count = 0, age_s = 0;
  for (const auto& group : view.groups) {
    if (group.name != "ledger") continue;
    for (const auto& value : group.values) {
      if (value.name == "evicted_early") count = value.value;
      if (value.name == "window_s_real") age_s = value.value;
    }
  }
  auto& last = warned_evictions_;
  const MonoNs now = clock_.mono_ns();
  if (count <= last.count || (last.at != 0 && now - last.at < kEvictionWarningNs)) return;
  const double sum = count * age_s;
  spdlog::warn(
      "ledger: {:.0f} commands were forgotten early; at this rate it remembers {:.1f} s, "
      "not {} s; more ledger.entries would help",
      count - last.count, (sum - last.age_s_sum) / (count - last.count), config_.ledger.window_s);
  last = {now, count, sum};
}

// What XDP may push an organisation's prefixes for. Policy counts where it judges every flow: a
// flow service without an operator takes anybody's.
xdp::Standing Daemon::standing_of(uint32_t org_id) {
  xdp::Standing s;
  if (const auto org = quotas_->find_org(org_id)) {
    const quota::KeyStatus status = quotas_->key_status(quota::org_key(*org), rte_rdtsc());
    s.quota_is_zero = status.limit == 0;
    s.quota_is_used_up = status.hard && status.tier == quota::Tier::reject;
    s.rejected = status.rejected;
    s.reset_seconds = status.reset_seconds;
  }
  const auto judged = [](const config::Service& service) {
    return service.kind != config::ServiceKind::flow || service.operator_id != 0;
  };
  s.policy_denies_all = config_.xdp.push.policy && std::ranges::all_of(config_.services, judged) &&
                        denied_orgs_.contains(*policy_, org_id);
  return s;
}

void Daemon::tick_second() {
  quota_wiring_->tick_second();
  denied_orgs_.begin_tick();
  steering_->tick_second(clock_.mono_ns(), [this](uint32_t org) { return standing_of(org); });
  metrics::StatsView v = view();
  warn_of_evictions(v);
  rates_->advance(v);
  rates_->apply(v);
  if (http_) http_->publish(metrics::to_prometheus(metrics::families(v)), metrics::status_page(v));
  sd_notify(0, "WATCHDOG=1");
}

void Daemon::take(const rte_mbuf& packet, const Note& note) {
  const MonoNs now = clock_.mono_ns();
  switch (note.kind) {
    case ToControl::neighbour:
      return hear(note.meta.in_port, bytes_of(packet), now);
    case ToControl::report: {
      lcp::ReportBody body;
      std::memcpy(&body, note.meta.lcp + 1, sizeof body);
      const auto verdict =
          health_->report(note.meta.node, note.meta.org_id, health::decode(body), now);
      if (verdict != health::ReportVerdict::taken)
        spdlog::debug("report of node {} not taken: {}", note.meta.node, health::name(verdict));
      return;
    }
    case ToControl::probe_reply:
      prober_->on_reply(note.meta.node, std::span<const uint8_t, 16>(note.meta.lcp->command_id, 16),
                        now);
      return;
    case ToControl::held:
      policy_wiring_->held(note, bytes_of(packet));
      return;
    case ToControl::approval:
      policy_wiring_->approval(note);
      return;
    case ToControl::icmp_error:
      take_icmp_error(bytes_of(packet), note.meta);
      return;
    case ToControl::reply:
      intake_->answered(note);
      return;
  }
}

void Daemon::hear(uint16_t port, std::span<const uint8_t> frame, MonoNs now) {
  if (!neighbours_->heard(port, frame, now)) return;
  forward_dirty_ = true;
  const auto& hops = neighbours_->next_hops();
  for (NodeSlot slot = 0; slot < hops.size(); ++slot) {
    if (health_->node(slot) != nullptr)
      health_->set_resolved(slot, hops[slot].resolved, {now, clock_.unix_us()});
  }
}

void Daemon::begin_drain() {
  if (draining_since_) return loop_->stop();  // asked twice: at once
  spdlog::info("draining: new commands are refused, replies still pass");
  sd_notify(0, "STOPPING=1");
  shared_.draining.store(true, std::memory_order_relaxed);
  draining_since_ = clock_.mono_ns();
}

// Nothing owed an answer, as far as the workers have counted.
bool Daemon::drained() const {
  int64_t in_flight = 0;
  for (const auto& service : health_->services()) {
    for (const auto& node : service->nodes) {
      in_flight += std::max<int64_t>(0, counts_->read(node->slot).in_flight() - node->lost);
    }
  }
  return in_flight == 0;
}

}  // namespace lf::daemon
