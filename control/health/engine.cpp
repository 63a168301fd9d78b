// SPDX-License-Identifier: Apache-2.0
// Configuration, signals and operators' changes. The clockwork is in engine_tick.cpp.
#include "control/health/engine.hpp"

#include <algorithm>
#include <charconv>
#include <map>

namespace lf::health {
namespace {

constexpr MonoNs kMs = 1'000'000;

HealthWindow window_for(const config::Health& h) {
  const uint64_t samples = uint64_t{h.window_s} * 1000 / std::max(h.interval_ms, 1u) + 2;
  return HealthWindow(MonoNs{h.window_s} * 1000 * kMs, samples, h.alpha);
}

bool same_window(const config::Health& a, const config::Health& b) {
  return a.window_s == b.window_s && a.interval_ms == b.interval_ms && a.alpha == b.alpha;
}

bool same_place(const config::Node& a, const config::Node& b) {
  return a.address == b.address && a.ip_version == b.ip_version && a.port == b.port;
}

uint32_t region_position(const config::Service& s, const std::string& region) {
  if (region == s.region) return 0;
  const auto it = std::ranges::find(s.failover, region);
  return 1 + static_cast<uint32_t>(it - s.failover.begin());  // unlisted: beyond the last
}

std::optional<uint32_t> owner_id(const config::Config& config, const std::string& owner) {
  for (const config::Organisation& o : config.organisations)
    if (owner.empty() || o.name == owner) return o.id;
  return std::nullopt;
}

resilience::RegionSelector selector_for(const config::Service& s) {
  std::vector<std::string> order{s.region};
  order.insert(order.end(), s.failover.begin(), s.failover.end());
  resilience::RegionSettings settings;
  settings.degraded_below = s.degraded_below;
  return resilience::RegionSelector(std::move(order), settings);
}

bool same_regions(const config::Service& a, const config::Service& b) {
  return a.region == b.region && a.failover == b.failover && a.degraded_below == b.degraded_below;
}

// What a node that stays takes over from the configuration.
void update_settings(NodeRecord& record, const config::Node& node, const config::Service& before,
                     const config::Service& after) {
  if (node.weight != record.settings.weight) record.base_weight = node.weight;
  record.settings = node;
  if (!same_window(before.health, after.health)) {
    const auto health = record.window.health();
    const auto newest = record.window.newest();
    record.window = window_for(after.health);
    if (health) record.window.add(newest.value_or(0), *health);
  }
}

}  // namespace

std::unique_ptr<NodeRecord> HealthEngine::make_node(const config::Service& service,
                                                    const config::Node& node,
                                                    const forward::Slots& slots,
                                                    const CountsReader& counts, Now now) {
  auto record = std::make_unique<NodeRecord>();
  record->settings = node;
  record->service = service.name;
  record->slot = slots.node(service.name, node.name);
  record->base_weight = node.weight;
  record->window = window_for(service.health);
  record->counts = counts.read(record->slot);
  record->counts_before = record->part_mark = record->counts;
  record->recent.update(counts.latencies(record->slot), 0);
  record->recent.update(counts.latencies(record->slot), 0);  // nothing of the last owner stays
  record->older_mark = record->newer_mark = {now.mono, record->counts.sent};
  record->phase.stepped = now.mono;
  return record;
}

void HealthEngine::configure(const config::Config& config, const forward::Slots& slots,
                             const CountsReader& counts, Now now) {
  std::map<std::string, std::unique_ptr<ServiceRecord>> old;
  std::map<std::string, std::unique_ptr<NodeRecord>> old_nodes;
  for (auto& s : services_) {
    for (auto& n : s->nodes)
      old_nodes[forward::node_key(s->settings.name, n->settings.name)] = std::move(n);
    s->nodes.clear();
    old[s->settings.name] = std::move(s);
  }
  services_.clear();
  by_slot_.assign(slots.nodes.used(), nullptr);
  service_by_slot_.assign(slots.nodes.used(), nullptr);
  plans_.assign(slots.services.used(), {});
  for (const config::Service& settings : config.services) {
    auto& s = services_.emplace_back(std::move(old[settings.name]));
    if (!s) {
      s = std::make_unique<ServiceRecord>();
      s->settings = settings;
    }
    if (!s->regions || !same_regions(s->settings, settings)) {
      s->regions = selector_for(settings);
      s->was_away = s->returning = false;
    }
    for (const config::Node& node : settings.nodes) {
      const std::string key = forward::node_key(settings.name, node.name);
      const auto place = slots.nodes.find(key);
      std::unique_ptr<NodeRecord> record = std::move(old_nodes[key]);
      const bool known = record && place && record->epoch == place->epoch;
      if (known && same_place(record->settings, node)) {
        update_settings(*record, node, s->settings, settings);
      } else {
        record = make_node(settings, node, slots, counts, now);
        record->epoch = place ? place->epoch : 0;
        const bool warm = started_ || settings.health.warm_on_start;
        if (warm) record->phase = warm_up(now.mono);
        record->shown = state_of(*record);
        remember(*record, known ? Cause::moved : started_ ? Cause::joined : Cause::started, now);
      }
      record->region = region_position(settings, node.region);
      record->owner_id = owner_id(config, node.owner);
      by_slot_[record->slot] = record.get();
      service_by_slot_[record->slot] = s.get();
      s->nodes.push_back(std::move(record));
    }
    s->settings = settings;
    s->settings.nodes.clear();
    s->index = slots.service(settings.name);
    s->planned = false;  // the next tick makes a plan, and says so
    s->changed = true;
  }
  started_ = true;
}

void HealthEngine::touch(const NodeRecord& node) {
  service_by_slot_[node.slot]->changed = true;
}

const ServiceRecord* HealthEngine::service_of(const NodeRecord& node) const {
  return service_by_slot_[node.slot];
}

ReportVerdict HealthEngine::report(NodeSlot source, std::optional<uint32_t> org_id,
                                   const Report& report, MonoNs now) {
  if (!org_id) return ReportVerdict::not_authenticated;
  const NodeRecord* sender = node(source);
  if (sender == nullptr) return ReportVerdict::unknown_node;
  // A machine may serve several services from one address: the id says as which node it speaks.
  NodeRecord* speaker = nullptr;
  for (NodeRecord* n : by_slot_)
    if (n != nullptr && n->settings.id == report.node_id) speaker = n;
  if (speaker == nullptr || !same_place(speaker->settings, sender->settings))
    return ReportVerdict::wrong_node;
  if (speaker->owner_id != org_id) return ReportVerdict::wrong_owner;
  speaker->report = report;
  speaker->report_at = now;
  speaker->reported += {report.successes, report.failures, 0};
  if (report.draining != speaker->drained_by_node) touch(*speaker);
  return ReportVerdict::taken;
}

void HealthEngine::probe_result(NodeSlot slot, bool ok, double latency_ms, MonoNs now) {
  if (node(slot) == nullptr) return;
  NodeRecord& n = *by_slot_[slot];
  n.probes += {ok ? 1u : 0u, 0, ok ? 0u : 1u};
  const bool commands_tell =
      n.latency.ms() && now - n.latency.measured_at() <= kFreshNs && n.latency_of_commands;
  if (!ok || commands_tell) return;
  n.latency.add(now, latency_ms);
  n.latency_of_commands = false;
}

void HealthEngine::set_resolved(NodeSlot slot, bool resolved, Now) {
  if (node(slot) == nullptr || by_slot_[slot]->resolved == resolved) return;
  by_slot_[slot]->resolved = resolved;
  by_slot_[slot]->shown = state_of(*by_slot_[slot]);
}

Result<NodeSlot> HealthEngine::find(std::string_view service, std::string_view node) const {
  uint32_t id = 0;
  const auto [end, error] = std::from_chars(node.data(), node.data() + node.size(), id);
  const bool is_id = error == std::errc{} && end == node.data() + node.size();
  NodeSlot found = kNoNode;
  for (const auto& s : services_) {
    if (!service.empty() && s->settings.name != service) continue;
    for (const auto& n : s->nodes) {
      if (n->settings.name != node && !(is_id && n->settings.id == id)) continue;
      if (found != kNoNode)
        return fail(ErrorCode::conflict, "node {} is in several services: name the service", node);
      found = n->slot;
    }
  }
  if (found != kNoNode) return found;
  if (service.empty()) return fail(ErrorCode::not_found, "no node {}", node);
  return fail(ErrorCode::not_found, "no node {} in service {}", node, service);
}

bool HealthEngine::drain(NodeSlot slot, Now now) {
  NodeRecord& n = *by_slot_[slot];
  if (n.drained_by_operator) return false;
  n.drained_by_operator = true;
  update_service(n, now.mono);
  remember(n, Cause::drained, now);
  touch(n);
  return true;
}

bool HealthEngine::undrain(NodeSlot slot, Now now) {
  NodeRecord& n = *by_slot_[slot];
  if (!n.draining()) return false;
  n.drained_by_operator = n.drained_by_node = false;
  if (n.report) n.report->draining = false;  // until it says so again
  update_service(n, now.mono);
  remember(n, Cause::undrained, now);
  touch(n);
  return true;
}

bool HealthEngine::set_weight(NodeSlot slot, double weight, Now now) {
  NodeRecord& n = *by_slot_[slot];
  if (n.base_weight == weight) return false;
  n.base_weight = weight;
  remember(n, Cause::weight_set, now);
  touch(n);
  return true;
}

}  // namespace lf::health
