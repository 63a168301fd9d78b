// SPDX-License-Identifier: Apache-2.0
// How changes reach the workers: tables are built from what has changed, and one Snapshot with all
// of them is published.
#include <rte_cycles.h>
#include <spdlog/spdlog.h>

#include "control/admission/table_builder.hpp"
#include "control/authenticate/table_builder.hpp"
#include "control/config/load.hpp"
#include "control/daemon/daemon.hpp"
#include "control/flow/organisations.hpp"
#include "control/forward/table_builder.hpp"
#include "control/parse/table_builder.hpp"
#include "control/xdp/host_ports.hpp"

namespace lf::daemon {
namespace {

// What cannot change while ports and workers run.
Result<void> check_unchangeable(const config::Config& now, const config::Config& next) {
  const auto refuse = [&](const char* what) {
    return fail(ErrorCode::conflict, "{}: {} cannot change in a reload; restart the daemon",
                next.path, what);
  };
  if (now.dataplane.workers != next.dataplane.workers ||
      now.dataplane.lcores != next.dataplane.lcores ||
      now.dataplane.hugepages != next.dataplane.hugepages ||
      now.dataplane.memory_mb != next.dataplane.memory_mb ||
      now.dataplane.mbufs != next.dataplane.mbufs || now.dataplane.burst != next.dataplane.burst) {
    return refuse("dataplane");
  }
  if (now.ports.size() != next.ports.size()) return refuse("the number of ports");
  for (size_t p = 0; p < now.ports.size(); ++p) {
    if (now.ports[p].name != next.ports[p].name || now.ports[p].device != next.ports[p].device ||
        now.ports[p].queues != next.ports[p].queues ||
        now.ports[p].exception != next.ports[p].exception) {
      return refuse("a port's name, device, queues or exception port");
    }
  }
  if (now.xdp.steering != next.xdp.steering) return refuse("xdp.steering");
  if (now.ledger.entries != next.ledger.entries || now.ledger.window_s != next.ledger.window_s) {
    return refuse("ledger");
  }
  if (now.quotas.delay_packets != next.quotas.delay_packets) return refuse("quotas.delay_packets");
  if (now.notifications.store != next.notifications.store) return refuse("notifications.store");
  if (now.flows.cache != next.flows.cache || now.flows.nat != next.flows.nat)
    return refuse("flows.cache or flows.nat");
  return {};
}

// By slot: whether a node may keep the flows it has; draining ones may.
std::vector<uint8_t> alive_nodes(const health::HealthEngine& health, const forward::Slots& slots) {
  std::vector<uint8_t> alive(slots.nodes.used(), 0);
  for (NodeSlot slot = 0; slot < alive.size(); ++slot) {
    const health::NodeRecord* node = health.node(slot);
    if (node != nullptr) alive[slot] = node->phase.phase != health::Phase::ejected;
  }
  return alive;
}

}  // namespace

Result<Daemon::StaticTables> Daemon::build_static(const config::Config& config,
                                                  const forward::Slots& slots) const {
  auto parsed = parse::build_table(config, slots, ports_->ports());
  if (!parsed) return tl::unexpected(parsed.error());
  if (steering_)
    if (auto room = steering_->check(config, *parsed); !room) return tl::unexpected(room.error());
  auto keys = authenticate::build_table(config, slots);
  if (!keys) return tl::unexpected(keys.error());
  auto organisations = flow::build_organisations(config, slots);
  if (!organisations) return tl::unexpected(organisations.error());
  return StaticTables{std::make_shared<const parse::Table>(std::move(*parsed)), std::move(*keys),
                      std::move(*organisations)};
}

Result<void> Daemon::publish() {
  if (forward_dirty_ || !forward_) {
    auto table = forward::build_table({.config = config_,
                                       .slots = slots_,
                                       .next_hops = neighbours_->next_hops(),
                                       .pool_plans = health_->plans(),
                                       .tsc_hz = tsc_hz_});
    if (!table) return tl::unexpected(table.error());
    forward_ = std::move(*table);
  }
  // A draining node that dies changes nobody's weight, but must not keep its flows.
  std::vector<uint8_t> alive = alive_nodes(*health_, slots_);
  if (forward_dirty_ || alive != alive_) {
    alive_ = std::move(alive);
    flow_ = balancer_.build({.config = config_,
                             .slots = slots_,
                             .pool_plans = health_->plans(),
                             .forward = *forward_,
                             .alive = alive_,
                             .organisations = static_tables_.organisations,
                             .tsc_hz = tsc_hz_});
    forward_dirty_ = false;
  }
  auto policy = policy_->table();
  if (!policy) return tl::unexpected(policy.error());
  Snapshot next{.generation = 0,
                .parse = static_tables_.parse,
                .authenticate = static_tables_.authenticate,
                .policy = *policy,
                .quota = quotas_->table(),
                .forward = forward_,
                .flow = flow_,
                .admission = admission::build_table(config_)};
  if (publisher_->generation() != 0) {
    const Snapshot& current = publisher_->current();
    if (current.parse == next.parse && current.authenticate == next.authenticate &&
        current.policy == next.policy && current.quota == next.quota &&
        current.forward == next.forward && current.flow == next.flow &&
        current.admission == next.admission) {
      return {};
    }
  }
  publish_pending_ = !publisher_->publish(std::move(next), rte_rdtsc());
  return {};
}

void Daemon::apply() {
  const health::Now now{clock_.mono_ns(), clock_.unix_us()};
  forward_dirty_ |= health_->tick(now, *counts_, *live_);
  if (auto published = publish(); !published) spdlog::error("{}", published.error().message);
}

// Accepted whole or not at all. What can fail is tried before anything changes; the policy's part
// comes last of it, since it activates rules, and undoes itself.
Result<void> Daemon::reload() {
  const auto done = [&](Result<void> result) {
    last_reload_ = result ? "ok" : result.error().message;
    if (result) {
      spdlog::info("configuration {} reloaded, generation {}", config_.path,
                   publisher_->generation());
    } else {
      spdlog::error("configuration not reloaded: {}", last_reload_);
    }
    return result;
  };
  auto loaded = config::load(config_.path);
  if (!loaded) return done(fail(ErrorCode::invalid, "{}", config::to_text(loaded.error())));
  if (auto same = check_unchangeable(config_, *loaded); !same) return done(same);
  forward::Slots slots = slots_;
  if (auto synced = slots.sync(*loaded); !synced) return done(synced);
  const auto org_index = [&slots](uint32_t id) { return slots.organisation(id); };
  auto tables = build_static(*loaded, slots);
  if (!tables) return done(tl::unexpected(tables.error()));
  auto quotas = quotas_->prepare(*loaded, slots);
  if (!quotas) return done(tl::unexpected(quotas.error()));
  if (auto policy = policy_->configure(*loaded, org_index); !policy) return done(policy);
  quotas_->take(std::move(*quotas), rte_rdtsc());
  static_tables_ = std::move(*tables);
  config_ = std::move(*loaded);
  slots_ = std::move(slots);
  for (const std::string& warning : xdp::shared_port_warnings(config_)) spdlog::warn("{}", warning);
  shared_.sample_bursts.store(config_.dataplane.sample_bursts, std::memory_order_relaxed);
  const health::Now now{clock_.mono_ns(), clock_.unix_us()};
  neighbours_->configure(config_, slots_, now.mono);
  steering_->configure(config_, static_tables_.parse);
  breakers_->configure(resilience::board_nodes(config_, slots_));
  replay_->set_timeout_s(config_.replay.timeout_s);
  prober_->configure(config_, slots_, now.mono);
  health_->configure(config_, slots_, *counts_, now);
  health_->tick(now, *counts_, *live_);
  intake_->configure(config_, ports_->ports());
  quota_wiring_->configure(config_.notifications);
  server_->set_allowed_uids(config_.control.allowed_uids);
  forward_dirty_ = true;
  return done(publish());
}

}  // namespace lf::daemon
