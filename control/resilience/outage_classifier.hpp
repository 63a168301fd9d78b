// SPDX-License-Identifier: Apache-2.0
// How bad an outage is: its minutes times the services that it touches. Pure and total over all
// int64; called by the replay planner, and wherever an outage is reported, on the control thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "dataplane/core/types.hpp"

namespace lf::resilience {

enum class OutageClass : uint8_t { minor, degraded, major, critical };

inline constexpr int64_t kCriticalFrom = 240, kMajorFrom = 120, kDegradedFrom = 40;

// minutes * max(services, 1) against the three thresholds.
constexpr OutageClass classify_outage(int64_t minutes, int64_t services) noexcept {
  const Int128 score = Int128{minutes} * std::max<int64_t>(services, 1);
  if (score >= kCriticalFrom) return OutageClass::critical;
  if (score >= kMajorFrom) return OutageClass::major;
  if (score >= kDegradedFrom) return OutageClass::degraded;
  return OutageClass::minor;
}

constexpr std::string_view name(OutageClass c) noexcept {
  switch (c) {
    case OutageClass::critical:
      return "critical";
    case OutageClass::major:
      return "major";
    case OutageClass::degraded:
      return "degraded";
    case OutageClass::minor:
      break;
  }
  return "minor";
}

}  // namespace lf::resilience
