// SPDX-License-Identifier: Apache-2.0
// What the daemon shows of itself: the view behind `stats`, `status` and Prometheus, and the
// commands that belong to no module.
#include <rte_cycles.h>
#include <unistd.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "control/base/address.hpp"
#include "control/daemon/daemon.hpp"
#include "control/daemon/explain.hpp"
#include "control/daemon/node_rows.hpp"
#include "dataplane/pipeline/state.hpp"

namespace lf::daemon {
namespace {

metrics::Group ledger_group(const ledger::Ledger& ledger, WorkerSet& workers, uint64_t bytes,
                            const ledger::Swept& walk, uint64_t expired, uint64_t tsc_hz) {
  uint64_t entries = 0, evicted = 0, share = 0, full = 0, contended = 0, unrecorded = 0, fresh = 0;
  uint64_t watched = 0, evicted_epochs = 0;
  for (uint32_t w = 0; w < workers.count(); ++w) {
    const pipeline::State& s = workers.pipeline(w).state();
    const ledger::Counts& c = s.dedup.counts;
    entries += c.occupied.read() - c.vacated.read() - s.match.counts.vacated.read();
    evicted_epochs += c.evicted_epochs.read();
    evicted += c.evicted_early.read();
    share += c.share_evictions.read();
    full += c.full.read();
    contended += c.contended.read();
    fresh += c.fresh.read();
    unrecorded += s.match.counts.unrecorded.read();
    watched += s.match.timeouts.watched();
  }
  entries -= std::min(entries, expired);
  metrics::Group g{.name = "ledger", .values = {}};
  const auto gauge = [&](const char* name, const char* help, double value) {
    g.values.push_back({name, help, value, false});
  };
  const auto counter = [&](const char* name, const char* help, uint64_t value) {
    g.values.push_back({name, help, static_cast<double>(value), true});
  };
  gauge("capacity", "entries that fit", static_cast<double>(ledger.capacity()));
  gauge("entries", "entries in use, about", static_cast<double>(entries));
  // The age at which entries go, where they go early: what the window really is.
  const double epochs = evicted == 0
                            ? ledger::kWindowEpochs
                            : static_cast<double>(evicted_epochs) / static_cast<double>(evicted);
  gauge("window_s_real", "mean age of entries that went early; else the configured window",
        epochs * static_cast<double>(ledger.epoch_tsc()) / static_cast<double>(tsc_hz));
  gauge("bytes", "memory", static_cast<double>(bytes));
  gauge("in_flight", "commands in flight at the last walk", static_cast<double>(walk.in_flight));
  gauge("answered", "answered commands remembered at the last walk",
        static_cast<double>(walk.answered));
  gauge("timeouts_watched", "commands whose time-out is watched", static_cast<double>(watched));
  counter("fresh", "commands entered", fresh);
  counter("evicted_early", "entries overwritten before their window ended", evicted);
  counter("share_evictions", "own entries overwritten by an organisation at its share", share);
  counter("full", "commands for which no entry could be had", full);
  counter("contended", "swaps lost to another worker", contended);
  counter("unrecorded", "commands sent whose entry was gone", unrecorded);
  return g;
}

metrics::Group flow_group(WorkerSet& workers, uint64_t nat_capacity) {
  uint64_t opened = 0, closed = 0, evicted = 0, mapped = 0, again = 0, capacity = 0;
  for (uint32_t w = 0; w < workers.count(); ++w) {
    const flow::State& s = workers.pipeline(w).state().flow;
    opened += s.cache.counts.opened.read();
    closed += s.cache.counts.closed.read();
    evicted += s.cache.counts.evicted.read();
    mapped += s.nat_opened.read();
    again += s.nat_again.read();
    capacity += s.cache.capacity();
  }
  metrics::Group g{.name = "flows", .values = {}};
  const auto add = [&](const char* name, const char* help, uint64_t value, bool counts) {
    g.values.push_back({name, help, static_cast<double>(value), counts});
  };
  add("capacity", "flows that the workers can remember", capacity, false);
  add("entries", "flows that they remember", opened - std::min(opened, closed), false);
  add("nat_capacity", "flows that can have an own port at once", nat_capacity, false);
  add("opened", "flows that the workers began to remember", opened, true);
  add("evicted", "living flows forgotten for lack of room", evicted, true);
  add("nat_opened", "flows that got an own port", mapped, true);
  add("nat_again", "flows found again by their own port", again, true);
  return g;
}

}  // namespace

metrics::StatsView Daemon::view() {
  metrics::StatsView v;
  v.version = kVersion;
  v.state = draining_since_ ? "draining" : "running";
  v.config_path = config_.path;
  v.pid = getpid();
  v.uptime_s = static_cast<double>(clock_.mono_ns() - started_) / 1e9;
  v.services = static_cast<uint32_t>(config_.services.size());
  v.organisations = static_cast<uint32_t>(config_.organisations.size());
  v.operators = static_cast<uint32_t>(config_.operators.size());
  v.last_reload = last_reload_;
  std::vector<uint32_t> lcores;
  for (uint32_t w = 0; w < workers_->count(); ++w) lcores.push_back(w + 1);
  metrics::fill_from_workers(v, workers_->stats(), lcores);
  std::vector<const StageTimes*> times_of_workers;
  for (uint32_t w = 0; w < workers_->count(); ++w)
    times_of_workers.push_back(&workers_->pipeline(w).state().times);
  v.stages = metrics::stage_rows(times_of_workers, tsc_hz_);
  for (const ports::PortInfo& p : ports_->ports()) {
    const ports::PortCounters c = ports_->counters(p);
    v.ports.push_back({.name = p.name,
                       .device = p.driver,
                       .link_up = c.link_up,
                       .rx_packets = c.rx_packets,
                       .tx_packets = c.tx_packets,
                       .rx_missed = c.rx_missed,
                       .rx_errors = c.rx_errors,
                       .tx_errors = c.tx_errors,
                       .rx_no_mbuf = c.rx_no_mbuf});
  }
  const Publisher::Times times = publisher_->times();
  v.snapshot = {.generation = publisher_->generation(),
                .published = times.published,
                .applied = publisher_->applied(),
                .applied_us_p50 = times.applied_us_p50,
                .applied_us_p99 = times.applied_us_p99,
                .grace_us_p50 = times.grace_us_p50,
                .retired = publisher_->retired()};
  v.groups.push_back(ledger_group(ledger_->ledger(), *workers_, ledger_->bytes(), last_walk_,
                                  ledger_expired_, tsc_hz_));
  v.groups.push_back(admission_group(publisher_->current().admission, load_));
  quota_wiring_->add_to(v);
  if (flow_) v.groups.push_back(flow_group(*workers_, nat_->capacity()));
  steering_->add_to(v);
  v.nodes = node_rows(*health_);
  rates_->apply(v);
  return v;
}

Result<rpc::Json> Daemon::explain(const rpc::Json& params) {
  const rpc::Command* evaluate = commands_.find("policy.evaluate");
  return daemon::explain({.config = config_,
                          .snapshot = publisher_->current(),
                          .ledger = ledger_->ledger(),
                          .quotas = *quotas_,
                          .health = *health_,
                          .pool = ports_->pool(),
                          .unix_us = clock_.unix_us(),
                          .now = rte_rdtsc(),
                          .draining = draining_since_.has_value(),
                          .load = load_,
                          .evaluate = evaluate->handler},
                         params);
}

std::vector<rpc::Command> Daemon::own_commands() {
  using rpc::Json;
  std::vector<rpc::Command> out;
  out.push_back({.name = "config.reload",
                 .help = "Reads the configuration file again and applies it, whole or not at all",
                 .parameters = {},
                 .mutates = true,
                 .handler = [this](const Json&) -> Result<Json> {
                   if (auto r = reload(); !r) return tl::unexpected(r.error());
                   return Json{{"generation", publisher_->generation()}};
                 }});
  out.push_back({.name = "route.explain",
                 .help = "What every stage would say to a command, and why; nothing is sent",
                 .parameters = explain_parameters(),
                 .mutates = false,
                 .handler = [this](const Json& params) { return explain(params); }});
  out.push_back({.name = "neighbours.list",
                 .help = "Next hops of the nodes: address, port, MAC address, state",
                 .parameters = {},
                 .mutates = false,
                 .handler = [this](const Json&) -> Result<Json> {
                   Json rows = Json::array();
                   for (const auto& [key, e] : neighbours_->entries()) {
                     char mac[RTE_ETHER_ADDR_FMT_SIZE];
                     rte_ether_format_addr(mac, sizeof mac, &e.mac);
                     rows.push_back({{"address", format_address(key.address)},
                                     {"port", key.port},
                                     {"state", neighbour::name(e.state)},
                                     {"mac", e.known() ? Json(mac) : Json(nullptr)}});
                   }
                   return rows;
                 }});
  return out;
}

}  // namespace lf::daemon
