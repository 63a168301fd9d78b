// SPDX-License-Identifier: Apache-2.0
#include "control/health/shares.hpp"

#include <algorithm>
#include <cmath>

namespace lf::health {

// Water-filling: in the order of cap per weight, whoever's cap is below its proportion of what is
// left gets the cap; from the first one that isn't, nobody's is.
Split split(std::span<const Candidate> candidates, double demand) {
  Split result;
  result.shares.assign(candidates.size(), 0.0);
  std::vector<size_t> order;
  double largest = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const double w = candidates[i].weight;
    if (!std::isfinite(w) || w <= 0) continue;
    order.push_back(i);
    largest = std::max(largest, w);
  }
  if (order.empty()) {
    result.left_over = 1;
    return result;
  }
  const auto weight = [&](size_t i) { return candidates[i].weight / largest; };  // no overflow
  double weight_left = 0;
  for (const size_t i : order) weight_left += weight(i);
  double share_left = 1;
  size_t next = 0;
  if (demand > 0) {
    std::ranges::sort(order, {}, [&](size_t i) { return candidates[i].cap / weight(i); });
    for (; next < order.size(); ++next) {
      const size_t i = order[next];
      const double cap = candidates[i].cap / demand;
      if (cap >= share_left * (weight(i) / weight_left)) break;
      result.shares[i] = cap;
      share_left -= cap;
      weight_left -= weight(i);
    }
  }
  if (next == order.size()) {
    result.left_over = std::max(share_left, 0.0);
    return result;
  }
  // Weights are summed anew: taking away lost digits.
  weight_left = 0;
  for (size_t k = next; k < order.size(); ++k) weight_left += weight(order[k]);
  for (size_t k = next; k < order.size(); ++k)
    result.shares[order[k]] = share_left * (weight(order[k]) / weight_left);
  return result;
}

}  // namespace lf::health
