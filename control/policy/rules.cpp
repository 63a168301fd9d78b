// SPDX-License-Identifier: Apache-2.0
#include "control/policy/rules.hpp"

#include <algorithm>
#include <cmath>

namespace lf::policy {

bool IdSet::contains(uint32_t id) const {
  return std::binary_search(ids.begin(), ids.end(), id) != negated;
}

uint16_t risk_to_centi(double risk) {
  if (std::isnan(risk) || risk >= 100) return kRiskValues - 1;
  if (risk <= 0) return 0;
  int centi = static_cast<int>(risk * 100);
  while (centi / 100.0 > risk) --centi;
  while ((centi + 1) / 100.0 <= risk) ++centi;
  return static_cast<uint16_t>(centi);
}

bool in_ranges(const std::vector<Range>& ranges, uint16_t value) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [value](const Range& r) { return r.low <= value && value <= r.high; });
}

const RiskBand* find_band(const std::vector<RiskBand>& bands, double risk, bool hold) {
  const uint16_t centi = risk_to_centi(risk);
  for (const RiskBand& band : bands)
    if ((band.hold >> hold & 1) && in_ranges(band.risk, centi)) return &band;
  return nullptr;
}

std::string_view outcome_name(PolicyOutcome outcome) {
  switch (outcome) {
    case PolicyOutcome::allow:
      return "allow";
    case PolicyOutcome::deny:
      return "deny";
    case PolicyOutcome::hold:
      return "hold";
  }
  return "?";
}

}  // namespace lf::policy
