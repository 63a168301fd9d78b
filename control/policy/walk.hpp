// SPDX-License-Identifier: Apache-2.0
// The walk over all combinations of equivalence classes behind lint() and differences(). Goes
// through the dimensions one after the other and carries the rows that can still match; classes
// that leave the same rows are taken together. Part of analyse.cpp.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "control/policy/classes.hpp"
#include "control/policy/vocabulary.hpp"

namespace lf::policy {

inline constexpr uint32_t kWalkDims = kDims + 1;  // the last: payload patterns

class Walk {
 public:
  // Class numbers of each dimension.
  using Region = std::array<std::vector<uint32_t>, kWalkDims>;
  // Nothing below this state is of interest. `open`: bits of the dimensions still to come.
  using Prune = std::function<bool(const Bits& rows, uint32_t open)>;
  using Visit = std::function<void(const Bits& rows, const Region& region)>;

  // pattern_mask: patterns that the rows mention (at most kRolesMentionedMax).
  Walk(const RowList& list, const OrgIds& orgs, uint32_t pattern_mask);

  // False: more than `steps` states.
  bool run(uint64_t steps, const Prune& prune, const Visit& visit);

  const ClassMap& map(uint32_t dim) const { return maps_[dim]; }
  const std::vector<ClassMap>& maps() const { return maps_; }
  // Which dimensions keep the row from matching everything that is left.
  uint32_t constrained(uint32_t row) const { return constrained_[row]; }
  Region everything() const;

 private:
  bool descend(uint32_t depth, const Bits& rows, uint32_t open);

  std::vector<ClassMap> maps_;  // by dimension
  std::vector<uint32_t> order_, constrained_;
  Region region_;
  uint64_t steps_left_ = 0;
  const Prune* prune_ = nullptr;
  const Visit* visit_ = nullptr;
};

}  // namespace lf::policy
