// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_agent/render.hpp"

#include <netinet/in.h>

#include <nlohmann/json.hpp>

namespace lf::agent {
namespace {

using Json = nlohmann::ordered_json;

Json port_json(const PortReading& p) {
  const lf_agent_sockets& k = p.sockets;
  Json j{{"port", to_string(p.port)},
         {"listening", k.listening},
         {"waiting", k.waiting},
         {"receive_bytes", k.receive_bytes},
         {"receive_limit", k.receive_limit}};
  if (p.port.protocol == IPPROTO_UDP) {
    j["drops"] = k.drops;
    return j;
  }
  j["accept_waiting"] = k.accept_waiting;
  j["accept_limit"] = k.accept_limit;
  j["connections"] = k.connections;
  j["segments"] = k.segments;
  j["resent"] = k.resent;
  return j;
}

}  // namespace

std::string to_json(const Reading& reading, CpuSource source, const lcp::Report& report) {
  Json j;
  auto& ports = j["ports"] = Json::array();
  for (const PortReading& p : reading.ports) ports.push_back(port_json(p));
  j["cpu"] = {{"source", name(source)}, {"pressure", reading.cpu}};
  j["report"] = {{"queue_depth", report.queue_depth},
                 {"saturation", static_cast<double>(report.saturation) / lcp::kSaturationFull},
                 {"degraded", report.degraded}};
  return j.dump();
}

std::string to_text(const Reading& reading, CpuSource source, const lcp::Report& report) {
  std::string text;
  for (const PortReading& p : reading.ports) {
    const lf_agent_sockets& k = p.sockets;
    text +=
        fmt::format("{}: {} listening, {} waiting, receive queues {} of {} bytes",
                    to_string(p.port), k.listening, k.waiting, k.receive_bytes, k.receive_limit);
    text +=
        p.port.protocol == IPPROTO_UDP
            ? fmt::format(", {} dropped\n", k.drops)
            : fmt::format(", accept queue {} of {}, {} connections, {} of {} segments resent\n",
                          k.accept_waiting, k.accept_limit, k.connections, k.resent, k.segments);
  }
  text += fmt::format("CPU pressure {:.2f} ({})\n", reading.cpu, name(source));
  text += fmt::format("REPORT: queue depth {}, saturation {:.4f}{}\n", report.queue_depth,
                      static_cast<double>(report.saturation) / lcp::kSaturationFull,
                      report.degraded ? ", degraded" : "");
  return text;
}

}  // namespace lf::agent
