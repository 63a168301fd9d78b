// SPDX-License-Identifier: Apache-2.0
// What an alias table's columns give each slot, computed from their definition.
#pragma once

#include <map>
#include <vector>

#include "dataplane/forward/table.hpp"

namespace lf::test {

inline std::map<NodeSlot, double> shares_of(const std::vector<forward::AliasColumn>& columns,
                                            forward::Pool pool) {
  std::map<NodeSlot, double> shares;
  for (uint32_t i = 0; i < pool.count; ++i) {
    const forward::AliasColumn& c = columns[pool.first + i];
    const double self = static_cast<double>(c.threshold) / 4294967296.0;
    shares[c.self] += self / pool.count;
    shares[c.other] += (1 - self) / pool.count;
  }
  return shares;
}

}  // namespace lf::test
