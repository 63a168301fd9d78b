// SPDX-License-Identifier: Apache-2.0
// Alias tables: weights in, columns out. Pure; called by control/forward when it builds a table,
// never by a worker. Integer arithmetic throughout, so the same weights give the same columns on
// every machine, and shares are exact to 2^-31.
#pragma once

#include <span>
#include <vector>

#include "dataplane/forward/table.hpp"

namespace lf::forward {

struct Share {
  NodeSlot slot = kNoNode;  // kNoNode: the part that goes to the failover pool
  double weight = 0;        // relative; zero, negative and not finite: never chosen
};

// Appends the pool's columns to `columns`: one for each share with weight, none if there is none.
Pool append_pool(std::span<const Share> shares, std::vector<AliasColumn>& columns);

// The slot that a uniform 64-bit number selects. The pool must not be empty.
inline NodeSlot draw(const AliasColumn* columns, Pool pool, uint64_t random) noexcept {
  const auto column = static_cast<uint32_t>(((random >> 32) * pool.count) >> 32);
  const AliasColumn& c = columns[pool.first + column];
  return static_cast<uint32_t>(random) < c.threshold ? c.self : c.other;
}

}  // namespace lf::forward
