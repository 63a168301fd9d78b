// SPDX-License-Identifier: Apache-2.0
// Builds the identity tables that workers look up. Pure; control thread or a helper of it.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "dataplane/identity/table.hpp"

namespace lf::identity {

// An operator as control keeps it.
struct OperatorEntry {
  uint32_t id = 0;
  uint32_t role_bits = 0;
  uint8_t clearance = 0;       // 0..15
  uint8_t mfa_level = 0;       // 0..15
  uint32_t mfa_expires_s = 0;  // 0: never
  bool every_org = false;
  std::vector<uint32_t> org_ids;  // unless every_org
};

struct TargetEntry {
  uint32_t id = 0;
  uint16_t risk_centi = 0;
  uint16_t group = 0;
  bool comms_degraded = false;
};

using OrgIndexes = std::unordered_map<uint32_t, OrgIndex>;  // org id -> index

// Organisations without an index are left out of an operator's membership.
std::shared_ptr<Operators> build_operators(const std::vector<OperatorEntry>& entries,
                                           const OrgIndexes& orgs);
std::shared_ptr<Targets> build_targets(const std::vector<TargetEntry>& entries);

// A copy of the table with these entries added or replaced; null when it would be too full (then
// build anew). Costs a copy of the memory, not a rebuild.
std::shared_ptr<Operators> with_operators(const Operators& table,
                                          const std::vector<OperatorEntry>& entries,
                                          const OrgIndexes& orgs);
std::shared_ptr<Targets> with_targets(const Targets& table,
                                      const std::vector<TargetEntry>& entries);

}  // namespace lf::identity
