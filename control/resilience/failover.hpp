// SPDX-License-Identifier: Apache-2.0
// Which region takes over: the first candidate that is neither the primary nor degraded. Pure;
// called by the region selector, the replay planner and failover.plan on the control thread.
// Regions are whatever the caller names them by: text on the control socket, indices in tables.
#pragma once

#include <algorithm>
#include <span>

namespace lf::resilience {

// The primary itself when no candidate will do.
template <typename Region>
Region choose_failover_region(const Region& primary, std::span<const Region> candidates,
                              std::span<const Region> degraded) {
  const auto usable = [&](const Region& candidate) {
    return candidate != primary && std::ranges::find(degraded, candidate) == degraded.end();
  };
  const auto found = std::ranges::find_if(candidates, usable);
  return found == candidates.end() ? primary : *found;
}

}  // namespace lf::resilience
