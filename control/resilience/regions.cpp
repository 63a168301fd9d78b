// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/regions.hpp"

#include <numeric>
#include <utility>

#include "control/resilience/failover.hpp"

namespace lf::resilience {

RegionSelector::RegionSelector(std::vector<std::string> regions, const RegionSettings& settings)
    : regions_(std::move(regions)), settings_(settings), places_(regions_.size()) {}

void RegionSelector::judge(Place& place, const RegionWeight& weight, MonoNs now) {
  const bool low =
      weight.configured <= 0 || weight.healthy < settings_.degraded_below * weight.configured;
  if (low) {
    place = {.degraded = true, .well_since = std::nullopt};
    return;
  }
  if (!place.degraded) return;
  if (!place.well_since || now < *place.well_since) place.well_since = now;
  if (now - *place.well_since >= settings_.return_after_ns) place = {};
}

std::optional<RegionChange> RegionSelector::update(std::span<const RegionWeight> weights,
                                                   MonoNs now) {
  std::vector<uint32_t> degraded;
  for (uint32_t i = 0; i < places_.size(); ++i) {
    judge(places_[i], i < weights.size() ? weights[i] : RegionWeight{}, now);
    if (places_[i].degraded) degraded.push_back(i);
  }
  const uint32_t before = active_;
  active_ = 0;
  if (places_[0].degraded) {
    std::vector<uint32_t> candidates(places_.size() - 1);
    std::iota(candidates.begin(), candidates.end(), 1);
    active_ = choose_failover_region<uint32_t>(0, candidates, degraded);
  }
  if (active_ == before) return std::nullopt;
  return RegionChange{regions_[before], regions_[active_]};
}

std::vector<std::string> RegionSelector::degraded() const {
  std::vector<std::string> names;
  for (uint32_t i = 0; i < places_.size(); ++i)
    if (places_[i].degraded) names.push_back(regions_[i]);
  return names;
}

}  // namespace lf::resilience
