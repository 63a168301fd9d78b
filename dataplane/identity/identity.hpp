// SPDX-License-Identifier: Apache-2.0
// Stage: fills in who the operator is and how risky the target is, from control's tables. Decides
// nothing. An operator that is unknown, or no member of the organisation, has clearance 0, no roles
// and no MFA; an unknown target has risk 0 and no group. Worker thread.
#pragma once

#include "dataplane/core/burst.hpp"
#include "dataplane/core/stays_in_cache.hpp"
#include "dataplane/identity/table.hpp"

namespace lf::identity {

// Asks for the rows that run() will read of a command, some stages before.
class Expect {
 public:
  explicit Expect(const Table& table) noexcept
      : operators_(table.operators->rows.data()),
        targets_(table.targets->rows.data()),
        operators_shift_(table.operators->shift),
        targets_shift_(table.targets->shift),
        bytes_(table.operators->rows.size() * sizeof(OperatorRow) +
               table.targets->rows.size() * sizeof(TargetRow)) {}
  // Of small tables nothing need be asked for.
  bool pays() const noexcept { return bytes_ > kStaysInCache; }
  // Inline, or GCC takes the call for one without effect.
  [[gnu::always_inline]] void operator()(const Meta& m) const noexcept {
    __builtin_prefetch(operators_ + home_of(m.operator_id, operators_shift_));
    __builtin_prefetch(targets_ + home_of(m.target_id, targets_shift_));
  }

 private:
  const OperatorRow* operators_;
  const TargetRow* targets_;
  uint32_t operators_shift_, targets_shift_;
  size_t bytes_;
};

// now_us: Unix time, for the expiry of MFA.
void run(const Table& table, Burst& burst, const Selection& live, uint64_t now_us) noexcept;

}  // namespace lf::identity
