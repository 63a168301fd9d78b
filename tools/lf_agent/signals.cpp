// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_agent/signals.hpp"

#include <algorithm>
#include <cmath>

namespace lf::agent {
namespace {

double share(uint64_t part, uint64_t whole) {
  if (whole == 0) return 0;
  return std::min(static_cast<double>(part) / static_cast<double>(whole), 1.0);
}

double above(double x, double free, double full) {
  return std::clamp((x - free) / (full - free), 0.0, 1.0);
}

}  // namespace

Signals signals_of(std::span<const PortReading> ports, double cpu) {
  Signals s{.cpu = cpu};
  for (const PortReading& port : ports) {
    const lf_agent_sockets& k = port.sockets;
    s.receive = std::max(s.receive, share(k.receive_bytes, k.receive_limit));
    s.accept = std::max(s.accept, share(k.accept_waiting, k.accept_limit));
    s.resent = std::max(s.resent, share(k.resent, std::max<uint64_t>(k.segments, kSegmentsMin)));
    s.waiting += k.waiting;
    // The kernel refuses connections when more than the limit wait.
    const bool full = k.accept_waiting > k.accept_limit;
    s.lost += k.drops + (full || k.listening == 0 ? 1 : 0);
  }
  return s;
}

Signals standing(const Signals& before, const Signals& now) {
  return {.receive = std::min(before.receive, now.receive),
          .accept = std::min(before.accept, now.accept),
          .resent = std::min(before.resent, now.resent),
          .cpu = std::min(before.cpu, now.cpu),
          .waiting = std::min(before.waiting, now.waiting),
          .lost = std::min(before.lost, now.lost)};
}

lcp::Report report_of(uint32_t node_id, const Signals& s) {
  const double saturation =
      std::max({s.receive, s.accept, above(s.resent, kResentFree, kResentFull),
                above(s.cpu, kCpuFree, kCpuFull)});
  return {.node_id = node_id,
          .queue_depth = static_cast<uint32_t>(std::min<uint64_t>(s.waiting, UINT32_MAX)),
          .saturation = static_cast<uint16_t>(std::lround(saturation * lcp::kSaturationFull)),
          .degraded = s.lost > 0};
}

}  // namespace lf::agent
