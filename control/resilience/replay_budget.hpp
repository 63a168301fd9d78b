// SPDX-License-Identifier: Apache-2.0
// How many commands may be sent again within a time: nine tenths of what was lost, at most twelve
// a second. Pure and total over all int64; called by the replay planner on the control thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/core/types.hpp"

namespace lf::resilience {

inline constexpr int64_t kReplaysPerSecond = 12;
inline constexpr double kReplayShare = 0.9;

// 0 if either is <= 0; else max(int(0.9 * min(events, 12 * timeout_s)), 1). The product is a double
// cut off towards zero, as written, so it agrees with other programs of the same formula also past
// 2^53, where nine tenths in exact integers would differ.
constexpr int64_t replay_budget(int64_t events, int64_t timeout_s) noexcept {
  if (events <= 0 || timeout_s <= 0) return 0;
  const Int128 bound = std::min<Int128>(events, Int128{kReplaysPerSecond} * timeout_s);
  const double share = kReplayShare * static_cast<double>(static_cast<int64_t>(bound));
  return std::max<int64_t>(static_cast<int64_t>(share), 1);
}

}  // namespace lf::resilience
