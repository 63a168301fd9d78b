// SPDX-License-Identifier: Apache-2.0
// From weights to shares of traffic, with absolute limits: a node that may take at most so many
// commands a second gets no larger share of the demand than that; what it can't take goes to the
// others in proportion, and what nobody can take is left over. Pure; called by the health engine.
#pragma once

#include <limits>
#include <span>
#include <vector>

namespace lf::health {

inline constexpr double kNoCap = std::numeric_limits<double>::infinity();

struct Candidate {
  double weight = 0;    // relative; not finite or not positive: takes nothing
  double cap = kNoCap;  // commands per second, >= 0
};

struct Split {
  std::vector<double> shares;  // as the candidates, each in [0, 1]
  double left_over = 0;        // sum of shares + left_over = 1; exactly 0 when no cap binds
};

// demand: commands per second for all candidates together. Without weight all is left over.
Split split(std::span<const Candidate> candidates, double demand);

}  // namespace lf::health
