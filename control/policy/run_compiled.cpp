// SPDX-License-Identifier: Apache-2.0
#include "control/policy/run_compiled.hpp"

#include <algorithm>

#include "dataplane/policy/match.hpp"

namespace lf::policy {

Decision run_compiled(const Program& program, const Inputs& in, OrgIndex org) {
  Meta m;
  m.org = org;
  m.intent = in.intent;
  m.severity = in.severity;
  // Rules tell no levels above 15 apart.
  m.levels = static_cast<uint8_t>(std::min<uint8_t>(in.clearance, 15) |
                                  std::min<uint8_t>(in.mfa_level, 15) << 4);
  m.comms_degraded = in.comms_degraded;
  m.risk_centi = in.risk_centi;
  m.target_group = in.group;
  m.role_bits = in.role_bits;
  const uint8_t first = 0;
  Classes classes;
  classify(program, &m, &first, 1, classes);
  uint32_t row = kNoRow;
  first_matches(program, classes, 1, &row);
  while (row != kNoRow && (program.rows[row].flags & Row::kHasPattern) &&
         !program.pattern_tests[program.rows[row].pattern].test(in.pattern_bits))
    row = next_match(program, classes, 0, row + 1);
  if (row == kNoRow) return {};
  return {static_cast<PolicyOutcome>(program.rows[row].outcome), program.rows[row].rule};
}

}  // namespace lf::policy
