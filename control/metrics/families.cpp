// SPDX-License-Identifier: Apache-2.0
// A StatsView as Prometheus families.
#include <array>

#include "control/metrics/render.hpp"

namespace lf::metrics {
namespace {

constexpr std::array<std::string_view, 4> kKindNames = {"forwarded", "answered", "consumed",
                                                        "dropped"};

// One family with a sample a row.
template <typename Row, typename F, typename L>
Family per_row(std::string name, std::string help, Kind kind, const std::vector<Row>& rows,
               L&& labels, F&& value) {
  Family family{std::move(name), std::move(help), kind, {}};
  for (const Row& row : rows) family.samples.push_back({labels(row), value(row), ""});
  return family;
}

Family single(std::string name, std::string help, Kind kind, std::variant<uint64_t, double> value) {
  return {std::move(name), std::move(help), kind, {{{}, value, ""}}};
}

void add_verdicts(const StatsView& view, std::vector<Family>& out) {
  Family family{"latticeforge_packets_total", "Packets by what became of them.", Kind::counter, {}};
  for (const VerdictInfo& v : kVerdictList) {
    if (v.verdict == Verdict::none) continue;
    family.samples.push_back({{{"verdict", std::string(v.name)},
                               {"kind", std::string(kKindNames[static_cast<size_t>(v.kind)])},
                               {"stage", std::string(v.stage)}},
                              view.verdicts[static_cast<size_t>(v.verdict)],
                              ""});
  }
  out.push_back(std::move(family));
}

void add_workers(const StatsView& view, std::vector<Family>& out) {
  const auto labels = [](const WorkerRow& w) { return Labels{{"lcore", std::to_string(w.lcore)}}; };
  const auto add = [&](std::string name, std::string help, Kind kind, auto member) {
    out.push_back(per_row(
        "latticeforge_worker_" + name, std::move(help), kind, view.workers, labels,
        [member](const WorkerRow& w) { return std::variant<uint64_t, double>(w.*member); }));
  };
  add("received_packets_total", "Packets that the worker took in.", Kind::counter,
      &WorkerRow::received);
  add("transmitted_packets_total", "Packets that the worker sent.", Kind::counter,
      &WorkerRow::transmitted);
  add("bursts_total", "Receive calls that gave packets.", Kind::counter, &WorkerRow::bursts);
  add("polls_total", "Receive calls.", Kind::counter, &WorkerRow::polls);
  add("busy_percent", "Share of the last second spent on packets.", Kind::gauge,
      &WorkerRow::busy_percent);
  add("cycles_per_packet", "TSC ticks a packet over the last second.", Kind::gauge,
      &WorkerRow::cycles_per_packet);
  add("generation", "Generation of the snapshot that the worker uses.", Kind::gauge,
      &WorkerRow::generation);
  add("parked_packets", "Packets that the worker keeps for later.", Kind::gauge,
      &WorkerRow::parked);
}

void add_ports(const StatsView& view, std::vector<Family>& out) {
  const auto labels = [](const PortRow& p) { return Labels{{"port", p.name}}; };
  const auto add = [&](std::string name, std::string help, Kind kind, auto get) {
    out.push_back(
        per_row("latticeforge_port_" + name, std::move(help), kind, view.ports, labels,
                [get](const PortRow& p) -> std::variant<uint64_t, double> { return get(p); }));
  };
  const auto of = [](uint64_t PortRow::*member) {
    return [member](const PortRow& p) { return p.*member; };
  };
  add("up", "1 while the link is up.", Kind::gauge,
      [](const PortRow& p) { return uint64_t{p.link_up}; });
  add("receive_packets_total", "Packets received.", Kind::counter, of(&PortRow::rx_packets));
  add("transmit_packets_total", "Packets sent.", Kind::counter, of(&PortRow::tx_packets));
  add("receive_bytes_total", "Bytes received.", Kind::counter, of(&PortRow::rx_bytes));
  add("transmit_bytes_total", "Bytes sent.", Kind::counter, of(&PortRow::tx_bytes));
  add("receive_missed_total", "Packets lost because the workers were too slow.", Kind::counter,
      of(&PortRow::rx_missed));
  add("receive_errors_total", "Bad packets.", Kind::counter, of(&PortRow::rx_errors));
  add("transmit_errors_total", "Packets that could not be sent.", Kind::counter,
      of(&PortRow::tx_errors));
  add("receive_no_buffer_total", "Packets lost for want of an mbuf.", Kind::counter,
      of(&PortRow::rx_no_mbuf));
}

void add_nodes(const StatsView& view, std::vector<Family>& out) {
  const auto labels = [](const NodeRow& n) {
    return Labels{{"service", n.service}, {"node", n.node}, {"region", n.region}};
  };
  const auto add = [&](std::string name, std::string help, Kind kind, auto member) {
    out.push_back(
        per_row("latticeforge_node_" + name, std::move(help), kind, view.nodes, labels,
                [member](const NodeRow& n) { return std::variant<uint64_t, double>(n.*member); }));
  };
  add("health", "Smoothed share of answered commands, 0 to 1.", Kind::gauge, &NodeRow::health);
  add("weight", "Share of the service's traffic, 0 to 1.", Kind::gauge, &NodeRow::weight);
  add("score", "Routing score; lower is better.", Kind::gauge, &NodeRow::score);
  add("inflight", "Commands waiting for the node's answer.", Kind::gauge, &NodeRow::inflight);
  add("sent_total", "Commands sent to the node.", Kind::counter, &NodeRow::sent);
  add("replies_total", "Answers of the node.", Kind::counter, &NodeRow::replies);
  add("failures_total", "Failed or busy answers, and unreachable.", Kind::counter,
      &NodeRow::failures);
  add("timeouts_total", "Commands not answered in time.", Kind::counter, &NodeRow::timeouts);
  Family latency{"latticeforge_node_latency_seconds", "Latency of answers.", Kind::summary, {}};
  Family state{"latticeforge_node_state", "1 for the node's present state.", Kind::gauge, {}};
  Family breaker{
      "latticeforge_node_breaker", "1 for the breaker's present state.", Kind::gauge, {}};
  for (const NodeRow& n : view.nodes) {
    Labels with = labels(n);
    with.emplace_back("quantile", "0.5");
    latency.samples.push_back({with, n.latency_us_p50 * 1e-6, ""});
    with.back().second = "0.99";
    latency.samples.push_back({with, n.latency_us_p99 * 1e-6, ""});
    with.back() = {"state", n.state};
    state.samples.push_back({with, uint64_t{1}, ""});
    with.back() = {"state", n.breaker};
    breaker.samples.push_back({with, uint64_t{1}, ""});
  }
  out.push_back(std::move(latency));
  out.push_back(std::move(state));
  out.push_back(std::move(breaker));
}

void add_quotas(const StatsView& view, std::vector<Family>& out) {
  const auto labels = [](const QuotaRow& q) {
    return Labels{{"org", q.org}, {"intent", q.intent.empty() ? "all" : q.intent}};
  };
  const auto add = [&](std::string name, std::string help, Kind kind, auto member) {
    out.push_back(
        per_row("latticeforge_quota_" + name, std::move(help), kind, view.quotas, labels,
                [member](const QuotaRow& q) { return std::variant<uint64_t, double>(q.*member); }));
  };
  add("used", "Commands admitted in the last minute, of the busiest quotas.", Kind::gauge,
      &QuotaRow::used);
  add("limit", "Commands a minute, of the busiest quotas.", Kind::gauge, &QuotaRow::limit);
  add("utilization", "Used over limit, of the busiest quotas.", Kind::gauge,
      &QuotaRow::utilization);
  add("rejected_total", "Commands that an exhausted quota rejected, of the busiest ones.",
      Kind::counter, &QuotaRow::rejected);
}

void add_singles(const StatsView& view, std::vector<Family>& out) {
  const auto counter = [&](const char* name, const char* help, uint64_t value) {
    out.push_back(single(name, help, Kind::counter, value));
  };
  out.push_back({"latticeforge_build_info",
                 "The daemon's version.",
                 Kind::gauge,
                 {{{{"version", view.version}}, uint64_t{1}, ""}}});
  out.push_back(single("latticeforge_uptime_seconds", "Since the daemon started.", Kind::gauge,
                       view.uptime_s));
  counter("latticeforge_received_packets_total", "Packets taken in by all workers.", view.received);
  counter("latticeforge_transmitted_packets_total", "Packets sent by all workers.",
          view.transmitted);
  out.push_back(single("latticeforge_parked_packets", "Packets kept for later by all workers.",
                       Kind::gauge, view.parked));
  counter("latticeforge_answers_total", "REPLYs made for refused, held or delayed commands.",
          view.answers_sent);
  counter("latticeforge_quota_delayed_total", "Commands that the delay tier kept back.",
          view.quota_delayed);
  counter("latticeforge_retries_passed_total", "Retries of commands in flight that were sent on.",
          view.retries_passed);
  counter("latticeforge_replays_total", "Commands sent again after their node's breaker opened.",
          view.replays);
  counter("latticeforge_replay_unkept_total", "Replayable commands that could not be kept.",
          view.replay_unkept);
  counter("latticeforge_timeouts_untracked_total", "Commands whose time-out could not be watched.",
          view.timeouts_untracked);
  const SnapshotView& s = view.snapshot;
  out.push_back(single("latticeforge_snapshot_generation", "Generation last published.",
                       Kind::gauge, s.generation));
  counter("latticeforge_snapshot_publications_total", "Snapshots published.", s.published);
  out.push_back({"latticeforge_snapshot_apply_seconds",
                 "From publishing a snapshot to its use by all workers.",
                 Kind::summary,
                 {{{{"quantile", "0.5"}}, s.applied_us_p50 * 1e-6, ""},
                  {{{"quantile", "0.99"}}, s.applied_us_p99 * 1e-6, ""}}});
  out.push_back(single("latticeforge_snapshot_grace_seconds",
                       "From publishing a snapshot to the freeing of the one before, median.",
                       Kind::gauge, s.grace_us_p50 * 1e-6));
}

}  // namespace

std::vector<Family> families(const StatsView& view) {
  std::vector<Family> out;
  add_singles(view, out);
  add_verdicts(view, out);
  add_workers(view, out);
  add_ports(view, out);
  add_nodes(view, out);
  add_quotas(view, out);
  for (const Group& group : view.groups)
    for (const Value& value : group.values)
      out.push_back(single(
          "latticeforge_" + group.name + "_" + value.name + (value.is_counter ? "_total" : ""),
          value.help, value.is_counter ? Kind::counter : Kind::gauge, value.value));
  return out;
}

}  // namespace lf::metrics
