// SPDX-License-Identifier: Apache-2.0
// The short way of rule sets whose dimensions are all small, as most are: what a packet's values add
// up to leads to the row (group_small() in control/policy/compile.cpp). All of a packet is added up
// at once; a dimension that no rule speaks of adds nothing. Private to dataplane/policy.
#pragma once

#include <algorithm>

#include "dataplane/policy/table.hpp"

namespace lf::policy {

inline constexpr uint16_t kNothing[256] = {};

struct Sums {
  const uint16_t* clearance = kNothing;
  const uint16_t* mfa = kNothing;
  const uint16_t* severity = kNothing;
  const uint16_t* comms = kNothing;
  const uint16_t* intent = kNothing;
  const uint16_t* risk = kNothing;
  uint32_t risk_last = 0;
  const uint16_t* to_class = nullptr;
  const uint32_t* first_row = nullptr;

  uint32_t row_of(const Meta& m) const noexcept {
    const uint32_t sum = uint32_t{clearance[m.clearance]} + mfa[m.mfa_level] +
                         severity[m.severity] + comms[m.comms_degraded] + intent[m.intent] +
                         risk[std::min<uint32_t>(m.risk_centi, risk_last)];
    return first_row[to_class[sum]];
  }

  // Takes a leaf in. False: its dimension is none of these.
  bool take(const Leaf& leaf) noexcept {
    const uint16_t* const table = leaf.table.data();
    switch (leaf.dim) {
      case Dim::clearance:
        clearance = table;
        return true;
      case Dim::mfa:
        mfa = table;
        return true;
      case Dim::severity:
        severity = table;
        return true;
      case Dim::comms:
        comms = table;
        return true;
      case Dim::intent:
        intent = table;
        return true;
      case Dim::risk:
        risk = table;
        risk_last = static_cast<uint32_t>(leaf.table.size()) - 1;
        return true;
      default:
        return false;
    }
  }

  // False: the program is not of this kind.
  bool take(const Program& p) noexcept {
    if (p.finals.size() != 1 || p.merges.size() != 1) return false;
    const Merge& merge = p.merges[0];
    if (merge.b != Merge::kNoSlot || merge.to != p.finals[0].slot) return false;
    for (const Leaf& leaf : p.leaves)
      if (leaf.slot != merge.a || !take(leaf)) return false;
    to_class = merge.table.data();
    first_row = p.first_row.data();
    return true;
  }
};

}  // namespace lf::policy
