// SPDX-License-Identifier: Apache-2.0
// Section `intents`: what commands can ask for, and what each requires.
#include <algorithm>

#include "control/config/sections.hpp"

namespace lf::config {

const std::vector<Intent>& default_intents() {
  static const std::vector<Intent> intents = {
      {"status-refresh", 1, 1, {"intake", "orbit", "analytics"}, false, {}},
      {"replay-window", 2, 2, {"intake", "policy", "resilience", "audit"}, false, {}},
      {"orbit-adjust", 3, 3, {"intake", "planner", "policy", "orbit"}, false, {}},
      {"failover-region", 4, 4, {"intake", "resilience", "notifications"}, false, {}},
      {"firmware-patch", 5, 5, {"intake", "security", "policy", "mission"}, false, {}},
  };
  return intents;
}

void read_intent(Context& context, const YAML::Node& node, std::string path, Intent& out) {
  Map map(context, node, std::move(path));
  map.require({"name"});
  map.name("name", out.name);
  const auto& defaults = default_intents();
  const auto known = std::find_if(defaults.begin(), defaults.end(),
                                  [&](const Intent& intent) { return intent.name == out.name; });
  if (known != defaults.end()) out = *known;
  if (known == defaults.end()) map.require({"code"});
  map.integer("code", out.code, 1, 255);
  map.integer("clearance", out.clearance, 0, 5);
  if (out.chain.empty()) out.chain = {"intake", "policy", "audit"};
  map.names("chain", out.chain);
  if (out.chain.empty()) map.error("chain", "must name at least one service");
  map.boolean("replayable", out.replayable);
  read_quota(context, map, "quota", out.quota);
  map.finish();
}

}  // namespace lf::config
