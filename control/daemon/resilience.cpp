// SPDX-License-Identifier: Apache-2.0
// Connects breakers and replay: what workers count and ICMP errors say moves the breakers, an
// opening starts a replay, and both show in the log and on the control socket.
#include "control/daemon/daemon.hpp"

#include <rte_cycles.h>
#include <rte_ip.h>
#include <sodium.h>
#include <spdlog/spdlog.h>

#include "control/resilience/commands.hpp"
#include "control/resilience/icmp_unreachable.hpp"

namespace lf::daemon {
namespace {

constexpr size_t kBlamedMax = 4096;

resilience::ReplayRegions regions_of(const health::HealthEngine& health, NodeSlot slot) {
  const health::NodeRecord* node = health.node(slot);
  if (node == nullptr) return {};
  const health::ServiceRecord& service = *health.service_of(*node);
  return {.primary = service.settings.region,
          .candidates = service.settings.failover,
          .degraded = service.regions->degraded()};
}

// The ICMP message of a packet whose headers a worker has checked.
std::span<const uint8_t> icmp_of(std::span<const uint8_t> frame, const Meta& meta) {
  const uint8_t* l3 = frame.data() + meta.l3_offset;
  const size_t l3_size = meta.l4_offset - meta.l3_offset;
  size_t length = 0;
  if (meta.ip_version == 4)
    length = rte_be_to_cpu_16(reinterpret_cast<const rte_ipv4_hdr*>(l3)->total_length) - l3_size;
  else
    length = rte_be_to_cpu_16(reinterpret_cast<const rte_ipv6_hdr*>(l3)->payload_len);
  const auto rest = frame.subspan(meta.l4_offset);
  return rest.first(std::min(length, rest.size()));
}

}  // namespace

void Daemon::open_resilience() {
  uint64_t seed;
  randombytes_buf(&seed, sizeof seed);
  const auto blocks = workers_->node_stats();
  breakers_ = std::make_unique<resilience::BreakerBoard>(
      *live_, std::vector<const NodeStats*>(blocks.begin(), blocks.end()), seed);
  breakers_->configure(resilience::board_nodes(config_, slots_));
  replay_ = std::make_unique<resilience::ReplayDirector>(resilience::ReplayDirector::Setup{
      .orders = orders_.get(),
      .pools = workers_->kept(),
      .timeout_s = config_.replay.timeout_s,
      .regions = [this](NodeSlot slot) { return regions_of(*health_, slot); }});
}

void Daemon::tick_breakers(MonoNs now) {
  const UnixUs unix_us = clock_.unix_us();
  const auto name_of = [this](NodeSlot slot) -> std::string {
    const auto* node = health_->node(slot);
    return node != nullptr ? node->service + "/" + node->settings.name : "?";
  };
  const auto transitions = breakers_->tick(now);
  for (const auto& t : transitions) {
    spdlog::info("breaker of {}: {} -> {} ({})", name_of(t.slot),
                 resilience::name(t.transition.from), resilience::name(t.transition.to),
                 resilience::name(t.transition.cause));
  }
  // Regions first: the plans of the replays are about those that are degraded now.
  if (!transitions.empty()) forward_dirty_ |= health_->tick({now, unix_us}, *counts_, *live_);
  replay_->on_transitions(transitions, now);
  for (const auto& ended : replay_->tick(now, unix_us)) {
    const resilience::ReplayRun& run = ended.run;
    if (run.events() == 0) continue;
    spdlog::info("replay of {}: {} commands kept, {} sent again in {} rounds, outage {}",
                 name_of(ended.slot), run.events(), run.sent(), run.round(),
                 resilience::name(run.plan().outage_class));
  }
}

void Daemon::take_icmp_error(std::span<const uint8_t> frame, const Meta& meta) {
  const auto quoted = resilience::parse_unreachable(meta.ip_version, icmp_of(frame, meta));
  if (!quoted) return;
  const auto blamed = resilience::blame_node(*forward_, ledger_->ledger(), *quoted, rte_rdtsc());
  if (!blamed) return;
  if (blamed_.size() >= kBlamedMax) blamed_.clear();
  const auto [known, first] = blamed_.try_emplace(blamed->ref, blamed->stamp);
  if (!first && known->second == blamed->stamp) return;
  known->second = blamed->stamp;
  own_counts_[blamed->node].unreachable.add(1);
  // Like answers, errors about commands sent before the last transition do not count.
  if (blamed->breaker_epoch == live_->breaker(blamed->node).epoch)
    breakers_->add_failures(blamed->node, 1);
}

std::vector<rpc::Command> Daemon::resilience_commands() {
  std::vector<rpc::Command> all = resilience::breaker_commands(*breakers_, clock_);
  const auto stats = workers_->stats();
  for (auto part : {resilience::plan_commands(),
                    resilience::replay_commands(*replay_, *breakers_, {stats.begin(), stats.end()},
                                                workers_->kept(), clock_)})
    for (rpc::Command& command : part) all.push_back(std::move(command));
  return all;
}

}  // namespace lf::daemon
