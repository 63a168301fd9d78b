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

// The slot that a uniform 64-bit number selects of a pool's `count` columns, at least one. Their
// product is the column above the point, and how far into it below.
inline NodeSlot draw(const AliasColumn* columns, uint64_t count, uint64_t random) noexcept {
  __extension__ typedef unsigned __int128 Wide;
  const Wide product = Wide{random} * count;
  const AliasColumn& c = columns[static_cast<uint64_t>(product >> 64)];
  const auto below = static_cast<uint64_t>(product);
  return below >> 32 < c.threshold ? c.self : c.other;
}
inline NodeSlot draw(const AliasColumn* columns, Pool pool, uint64_t random) noexcept {
  return draw(columns + pool.first, pool.count, random);
}

}  // namespace lf::forward
