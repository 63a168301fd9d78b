// SPDX-License-Identifier: Apache-2.0
#include "control/forward/slots.hpp"

#include <vector>

namespace lf::forward {

std::string node_key(std::string_view service, std::string_view node) {
  std::string key(service);
  key += '\0';
  key += node;
  return key;
}

Result<void> Slots::sync(const config::Config& config) {
  std::vector<std::string> service_names, node_keys, region_names, org_names, intent_names;
  for (const config::Organisation& o : config.organisations)
    org_names.push_back(std::to_string(o.id));
  for (const config::Intent& i : config.intents) intent_names.push_back(i.name);
  for (const config::Service& s : config.services) {
    service_names.push_back(s.name);
    region_names.push_back(s.region);
    region_names.insert(region_names.end(), s.failover.begin(), s.failover.end());
    for (const config::Node& n : s.nodes) {
      node_keys.push_back(node_key(s.name, n.name));
      region_names.push_back(n.region);
    }
  }
  Slots next = *this;
  const auto say = [](const char* what, const Result<void>& r) {
    return fail(r.error().code, "{}: {}", what, r.error().message);
  };
  if (auto r = next.services.sync(service_names); !r) return say("services", r);
  if (auto r = next.nodes.sync(node_keys); !r) return say("nodes", r);
  if (auto r = next.regions.sync(region_names); !r) return say("regions", r);
  if (auto r = next.organisations.sync(org_names); !r) return say("organisations", r);
  if (auto r = next.intents.sync(intent_names); !r) return say("intents", r);
  *this = std::move(next);
  return {};
}

ServiceIndex Slots::service(std::string_view name) const {
  const auto place = services.find(name);
  return place ? static_cast<ServiceIndex>(place->index) : kNoService;
}

NodeSlot Slots::node(std::string_view service, std::string_view node) const {
  const auto place = nodes.find(node_key(service, node));
  return place ? static_cast<NodeSlot>(place->index) : kNoNode;
}

OrgIndex Slots::organisation(uint32_t id) const {
  const auto place = organisations.find(std::to_string(id));
  return place ? place->index : kNoOrg;
}

IntentIndex Slots::intent(std::string_view name) const {
  const auto place = intents.find(name);
  return place ? static_cast<IntentIndex>(place->index + 1) : kOtherIntent;
}

}  // namespace lf::forward
