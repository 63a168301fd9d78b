// SPDX-License-Identifier: Apache-2.0
// What a node says about itself in a REPORT. Decoded on the control thread from what workers hand
// up; the engine takes it only from the node itself (engine.hpp, report()).
#pragma once

#include <algorithm>
#include <string_view>

#include "dataplane/lcp/header.hpp"

namespace lf::health {

struct Report {
  uint32_t node_id = 0;
  double latency_ms = 0;
  uint32_t queue_depth = 0;
  double saturation = 0;  // [0, 1]
  bool degraded = false;
  bool draining = false;
  uint32_t successes = 0, failures = 0;  // since its last report
};

inline Report decode(const lcp::ReportBody& wire) {
  Report r;
  r.node_id = lcp::be32(wire.node_id);
  r.latency_ms = lcp::be32(wire.latency_us) / 1000.0;
  r.queue_depth = lcp::be32(wire.queue_depth);
  const uint16_t saturation = std::min(lcp::be16(wire.saturation), lcp::kSaturationFull);
  r.saturation = static_cast<double>(saturation) / lcp::kSaturationFull;
  r.degraded = (wire.flags & lcp::kReportDegraded) != 0;
  r.draining = (wire.flags & lcp::kReportDraining) != 0;
  r.successes = lcp::be32(wire.successes);
  r.failures = lcp::be32(wire.failures);
  return r;
}

enum class ReportVerdict : uint8_t {
  taken,
  not_authenticated,
  unknown_node,
  wrong_node,
  wrong_owner
};

constexpr std::string_view name(ReportVerdict v) {
  switch (v) {
    case ReportVerdict::taken:
      return "taken";
    case ReportVerdict::not_authenticated:
      return "not-authenticated";
    case ReportVerdict::unknown_node:
      return "unknown-node";
    case ReportVerdict::wrong_node:
      return "wrong-node";
    case ReportVerdict::wrong_owner:
      return "wrong-owner";
  }
  return "unknown";
}

}  // namespace lf::health
