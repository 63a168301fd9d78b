// SPDX-License-Identifier: Apache-2.0
#include "control/policy/sums.hpp"

#include <algorithm>
#include <memory>
#include <span>

#include "dataplane/policy/sums.hpp"

namespace lf::policy {
namespace {

// As a worker reads the leaf by a value that the rules do not tell apart from its last.
uint16_t at(const Leaf& leaf, size_t value) {
  return leaf.table[std::min(value, leaf.table.size() - 1)];
}

void add(std::span<uint16_t> table, const Leaf& leaf) {
  for (size_t v = 0; v < table.size(); ++v) table[v] = static_cast<uint16_t>(table[v] + at(leaf, v));
}

// Clearance, MFA level and communications, as they lie together in Meta.
size_t value_of(Dim dim, size_t levels_and_comms) {
  return dim == Dim::clearance ? levels_and_comms & 15
         : dim == Dim::mfa     ? levels_and_comms >> 4 & 15
                               : levels_and_comms >> 8;
}

// False: there is no table for its dimension.
bool add(Sums& sums, const Leaf& leaf) {
  switch (leaf.dim) {
    case Dim::clearance:
    case Dim::mfa:
    case Dim::comms:
      for (size_t v = 0; v < std::size(sums.levels_and_comms); ++v)
        sums.levels_and_comms[v] = static_cast<uint16_t>(sums.levels_and_comms[v] +
                                                         at(leaf, value_of(leaf.dim, v)));
      return true;
    case Dim::severity:
      return add(sums.severity, leaf), true;
    case Dim::intent:
      return add(sums.intent, leaf), true;
    case Dim::risk:
      return add(sums.risk, leaf), true;
    case Dim::role:
    case Dim::org:
    case Dim::group:
      return false;
  }
  return false;
}

}  // namespace

void add_sums(Program& p) {
  if (p.finals.size() != 1 || p.merges.size() != 1) return;
  const Merge& merge = p.merges[0];
  if (merge.b != Merge::kNoSlot || merge.to != p.finals[0].slot) return;
  const auto sums = std::make_shared<Sums>();
  for (const Leaf& leaf : p.leaves)
    if (leaf.slot != merge.a || !add(*sums, leaf)) return;
  for (const uint16_t of_class : merge.table) {
    const uint32_t row = p.first_row[of_class];
    p.row_of_sum.push_back(row);
    p.decision_of_sum.push_back((row == kNoRow ? kDefaultDeny : p.rows[row]).decision());
  }
  p.sums = sums;
}

}  // namespace lf::policy
