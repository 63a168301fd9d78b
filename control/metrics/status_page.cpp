// SPDX-License-Identifier: Apache-2.0
// The page that the metrics endpoint shows to a browser: one screen, no scripts.
#include <fmt/format.h>

#include <cmath>

#include "control/metrics/render.hpp"

namespace lf::metrics {
namespace {

constexpr std::string_view kHead =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta http-equiv=\"refresh\" content=\"2\"><title>LatticeForge</title><style>"
    "body{font:14px system-ui,sans-serif;margin:2em;max-width:70em;color:#222}"
    "table{border-collapse:collapse;margin:0 0 2em}td,th{padding:.2em .9em;text-align:right;"
    "border-bottom:1px solid #ddd}th{font-weight:600}td:first-child,th:first-child{text-align:left}"
    ".bar{display:inline-block;height:.7em;background:#4a7}.bad{color:#b22}</style></head><body>";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

void add_nodes(const StatsView& view, std::string& out) {
  if (view.nodes.empty()) return;
  out +=
      "<table><tr><th>node<th>service<th>state<th>breaker<th>health<th>share<th>p50 µs<th>p99 µs"
      "<th>in flight<th>sent<th>replies<th>failures<th>time-outs</tr>";
  constexpr double kBarEm = 6;
  for (const NodeRow& n : view.nodes) {
    const double share = std::isfinite(n.weight) ? n.weight : 0;
    out += fmt::format(
        "<tr><td>{}<td>{}<td{}>{}<td{}>{}<td>{:.2f}<td>{:.1f} % <span class=\"bar\" "
        "style=\"width:{:.2f}em\"></span><td>{:.0f}<td>{:.0f}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
        escaped(n.node), escaped(n.service), n.state == "active" ? "" : " class=\"bad\"",
        escaped(n.state), n.breaker == "closed" ? "" : " class=\"bad\"", escaped(n.breaker),
        n.health, share * 100, share * kBarEm, n.latency_us_p50, n.latency_us_p99, n.inflight,
        n.sent, n.replies, n.failures, n.timeouts);
  }
  out += "</table>";
}

}  // namespace

std::string status_page(const StatsView& view) {
  std::string out(kHead);
  out += fmt::format(
      "<h1>LatticeForge {}</h1><p>{}, up {:.0f} s, {} services, snapshot {}"
      " &middot; <a href=\"/metrics\">metrics</a></p>",
      escaped(view.version), escaped(view.state), view.uptime_s, view.services,
      view.snapshot.generation);
  add_nodes(view, out);
  out += "<table><tr><th>worker CPU<th>packets/s in<th>out<th>ticks a packet<th>busy</tr>";
  for (const WorkerRow& w : view.workers)
    out += fmt::format("<tr><td>{}<td>{:.0f}<td>{:.0f}<td>{:.0f}<td>{:.1f} %</tr>", w.lcore,
                       w.rx_per_s, w.tx_per_s, w.cycles_per_packet, w.busy_percent);
  out += "</table><table><tr><th>verdict<th>packets<th>meaning</tr>";
  for (const VerdictInfo& v : kVerdictList) {
    const uint64_t packets = view.verdicts[static_cast<size_t>(v.verdict)];
    if (packets == 0 || v.verdict == Verdict::none) continue;
    out +=
        fmt::format("<tr><td{}>{}<td>{}<td style=\"text-align:left\">{}</tr>",
                    is_drop(v.verdict) ? " class=\"bad\"" : "", v.name, packets, escaped(v.help));
  }
  out += "</table></body></html>\n";
  return out;
}

}  // namespace lf::metrics
