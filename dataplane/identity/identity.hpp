// SPDX-License-Identifier: Apache-2.0
// Stage: fills in who the operator is and how risky the target is, from control's tables. Decides
// nothing. An operator that is unknown, or no member of the organisation, has clearance 0, no roles
// and no MFA; an unknown target has risk 0 and no group. Worker thread.
#pragma once

#include "dataplane/core/burst.hpp"
#include "dataplane/identity/table.hpp"

namespace lf::identity {

// now_us: Unix time, for the expiry of MFA.
void run(const Table& table, Burst& burst, const Selection& live, uint64_t now_us) noexcept;

}  // namespace lf::identity
