// SPDX-License-Identifier: Apache-2.0
// Which region takes a service's commands: its primary one, or the first failover region that is
// not degraded while the primary is. A region is degraded when its healthy weight is below a share
// of what was configured; it counts as well again only after it has been so for a while, so a
// region that flaps does not pull the traffic with it. Pure; the pool planner (control/forward)
// feeds it at each health interval, on the control thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/base/clock.hpp"

namespace lf::resilience {

struct RegionSettings {
  double degraded_below = 0.5;             // healthy share of the configured weight
  MonoNs return_after_ns = 5'000'000'000;  // well for so long: no longer degraded
};

// Base weights of a region's nodes of one service. A node is healthy when it is in the pool: not
// ejected, not draining, its breaker not open. One that warms up counts whole, or a region that
// comes back would stay degraded for its warm-up.
struct RegionWeight {
  double configured = 0;
  double healthy = 0;
};

struct RegionChange {
  std::string from, to;
};

class RegionSelector {
 public:
  // regions: the primary one first, then the failover regions in order.
  RegionSelector(std::vector<std::string> regions, const RegionSettings& settings);

  // weights: in the order of regions(); missing ones count as none configured.
  std::optional<RegionChange> update(std::span<const RegionWeight> weights, MonoNs now);

  const std::vector<std::string>& regions() const { return regions_; }
  const std::string& active() const { return regions_[active_]; }
  uint32_t active_index() const { return active_; }  // into regions(); 0: the primary
  std::vector<std::string> degraded() const;
  bool is_degraded(uint32_t index) const { return places_[index].degraded; }

 private:
  struct Place {
    bool degraded = false;
    std::optional<MonoNs> well_since;  // of a degraded one
  };
  void judge(Place& place, const RegionWeight& weight, MonoNs now);

  std::vector<std::string> regions_;
  RegionSettings settings_;
  std::vector<Place> places_;
  uint32_t active_ = 0;
};

}  // namespace lf::resilience
