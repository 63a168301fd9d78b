// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/render.hpp"

#include <nlohmann/json.hpp>

#include <cmath>

namespace lf::metrics {
namespace {

using Json = nlohmann::json;

// Two decimals are enough for people, and keep answers short.
double rounded(double value) {
  return std::round(value * 100) / 100;
}

// Whole numbers stay whole in JSON.
Json number(double value) {
  if (value >= 0 && value < 9e15 && value == std::floor(value)) return static_cast<uint64_t>(value);
  return value;
}

Json worker_json(const WorkerRow& w) {
  return {{"lcore", w.lcore},
          {"rx", w.received},
          {"tx", w.transmitted},
          {"bursts", w.bursts},
          {"polls", w.polls},
          {"cycles_per_packet", rounded(w.cycles_per_packet)},
          {"busy_percent", rounded(w.busy_percent)},
          {"rx_per_s", std::round(w.rx_per_s)},
          {"tx_per_s", std::round(w.tx_per_s)},
          {"generation", w.generation},
          {"parked", w.parked}};
}

Json port_json(const PortRow& p) {
  return {{"name", p.name},
          {"device", p.device},
          {"link_up", p.link_up},
          {"speed_mbps", p.speed_mbps},
          {"rx_packets", p.rx_packets},
          {"tx_packets", p.tx_packets},
          {"rx_bytes", p.rx_bytes},
          {"tx_bytes", p.tx_bytes},
          {"rx_missed", p.rx_missed},
          {"rx_errors", p.rx_errors},
          {"tx_errors", p.tx_errors},
          {"rx_no_mbuf", p.rx_no_mbuf}};
}

}  // namespace

Json stats_json(const StatsView& view) {
  Json verdicts = Json::object();
  for (const VerdictInfo& v : kVerdictList)
    if (v.verdict != Verdict::none)
      verdicts[std::string(v.name)] = view.verdicts[static_cast<size_t>(v.verdict)];
  Json workers = Json::array(), ports = Json::array();
  for (const WorkerRow& w : view.workers) workers.push_back(worker_json(w));
  for (const PortRow& p : view.ports) ports.push_back(port_json(p));
  Json out = {{"verdicts", std::move(verdicts)},
              {"received", view.received},
              {"transmitted", view.transmitted},
              {"parked", view.parked},
              {"answers_sent", view.answers_sent},
              {"quota_delayed", view.quota_delayed},
              {"retries_passed", view.retries_passed},
              {"replays", view.replays},
              {"replay_unkept", view.replay_unkept},
              {"timeouts_untracked", view.timeouts_untracked},
              {"uptime_s", rounded(view.uptime_s)},
              {"workers", std::move(workers)},
              {"ports", std::move(ports)},
              {"ledger", Json::object()}};
  const SnapshotView& s = view.snapshot;
  out["snapshot"] = {{"generation", s.generation},
                     {"applied", s.applied},
                     {"publications", s.published},
                     {"published_us", rounded(s.applied_us_p50)},
                     {"published_us_p99", rounded(s.applied_us_p99)},
                     {"grace_us", rounded(s.grace_us_p50)},
                     {"retired", s.retired}};
  for (const Group& group : view.groups)
    for (const Value& value : group.values) out[group.name][value.name] = number(value.value);
  return out;
}

Json latency_json(const StatsView& view) {
  Json stages = Json::array();
  for (const StageRow& s : view.stages)
    stages.push_back({{"stage", s.name},
                      {"bursts", s.bursts},
                      {"packets", s.packets},
                      {"ns_per_packet", rounded(s.ns_per_packet)},
                      {"burst_ns_p50", rounded(s.burst_ns_p50)},
                      {"burst_ns_p90", rounded(s.burst_ns_p90)},
                      {"burst_ns_p99", rounded(s.burst_ns_p99)}});
  return {{"stages", std::move(stages)}};
}

Json status_json(const StatsView& view) {
  uint64_t drops = 0;
  for (const VerdictInfo& v : kVerdictList)
    if (is_drop(v.verdict)) drops += view.verdicts[static_cast<size_t>(v.verdict)];
  double rx_per_s = 0, tx_per_s = 0;
  for (const WorkerRow& w : view.workers) {
    rx_per_s += w.rx_per_s;
    tx_per_s += w.tx_per_s;
  }
  const auto verdict = [&](Verdict v) { return view.verdicts[static_cast<size_t>(v)]; };
  return {{"version", view.version},
          {"state", view.state},
          {"pid", view.pid},
          {"uptime_s", rounded(view.uptime_s)},
          {"config", view.config_path},
          {"last_reload", view.last_reload},
          {"workers", view.workers.size()},
          {"ports", view.ports.size()},
          {"services", view.services},
          {"nodes", view.nodes.size()},
          {"organisations", view.organisations},
          {"operators", view.operators},
          {"generation", view.snapshot.generation},
          {"received", view.received},
          {"forwarded", verdict(Verdict::forwarded)},
          {"replied", verdict(Verdict::replied)},
          {"dropped", drops},
          {"parked", view.parked},
          {"rx_per_s", std::round(rx_per_s)},
          {"tx_per_s", std::round(tx_per_s)}};
}

}  // namespace lf::metrics
