// SPDX-License-Identifier: Apache-2.0
// Asks the compiled evaluator about one set of inputs, as a worker would about a packet. For
// policy.evaluate, replay and tests; any thread that owns the Program's last scratch, or none.
#pragma once

#include "control/policy/evaluate.hpp"
#include "dataplane/policy/table.hpp"

namespace lf::policy {

// org: the organisation's index in the program's tables. Pattern bits come from the inputs.
Decision run_compiled(const Program& program, const Inputs& inputs, OrgIndex org);

}  // namespace lf::policy
