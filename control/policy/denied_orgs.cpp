// SPDX-License-Identifier: Apache-2.0
#include "control/policy/denied_orgs.hpp"

namespace lf::policy {
namespace {

bool depends_on_org_alone(Condition c) {
  c.orgs = {};
  return c == Condition{};
}

}  // namespace

bool denies_all_of(const RuleSet& rules, uint32_t org_id) {
  for (const Rule& rule : rules.rules)
    for (const Condition& c : rule.alternatives) {
      if (!c.orgs.contains(org_id)) continue;
      if (rule.outcome != PolicyOutcome::deny) return false;
      if (depends_on_org_alone(c)) return true;  // nothing behind it is reached
    }
  return true;  // the default
}

bool DeniedOrgs::contains(Engine& engine, uint32_t org_id) {
  const uint32_t version = engine.version_of(org_id);
  const auto it = known_.find(org_id);
  if (it != known_.end() && it->second.version == version) return it->second.denied;
  if (looks_left_ == 0) return false;
  --looks_left_;
  const auto loaded = engine.loaded(version);
  if (!loaded) return false;
  const bool denied = denies_all_of((*loaded)->rules, org_id);
  known_[org_id] = {version, denied};
  return denied;
}

}  // namespace lf::policy
