// SPDX-License-Identifier: Apache-2.0
#include "control/config/changes.hpp"

namespace lf::config {

std::vector<std::string> changed_sections(const Config& now, const Config& next) {
  std::vector<std::string> changed;
  const auto compare = [&](const char* name, auto member) {
    if (!(now.*member == next.*member)) changed.emplace_back(name);
  };
  compare("dataplane", &Config::dataplane);
  compare("ports", &Config::ports);
  compare("xdp", &Config::xdp);
  compare("intents", &Config::intents);
  compare("quotas", &Config::quotas);
  compare("organisations", &Config::organisations);
  compare("operators", &Config::operators);
  compare("targets", &Config::targets);
  compare("services", &Config::services);
  compare("ledger", &Config::ledger);
  compare("replay", &Config::replay);
  compare("admission", &Config::admission);
  compare("policy", &Config::policy);
  compare("audit", &Config::audit);
  compare("hold", &Config::hold);
  compare("notifications", &Config::notifications);
  compare("control", &Config::control);
  return changed;
}

}  // namespace lf::config
