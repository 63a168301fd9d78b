// SPDX-License-Identifier: Apache-2.0
// What relates values of the configuration to each other: nothing twice, nothing dangling. The
// address plan has its own file, check_network.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "control/config/check_network.hpp"
#include "control/config/sections.hpp"

namespace lf::config {
namespace {

// Finds values that occur twice, and says where the first one was.
template <typename T>
class Unique {
 public:
  explicit Unique(Context& context) : context_(context) {}
  void add(const T& value, const std::string& owner, std::string_view key) {
    const auto [first, fresh] = seen_.try_emplace(value, owner);
    if (fresh) return;
    context_.error_at(fmt::format("{}.{}", owner, key),
                      fmt::format("\"{}\" is used by {} already", value, first->second));
  }

 private:
  Context& context_;
  std::unordered_map<T, std::string> seen_;
};

template <typename T>
void limit(Context& context, const std::vector<T>& list, std::string_view key, size_t most) {
  if (list.size() > most)
    context.error_at(std::string(key),
                     fmt::format("has {} entries; at most {} are supported", list.size(), most));
}

void suggest(Context& context, std::string path, std::string_view given, std::string_view what,
             const std::vector<std::string>& known) {
  const std::string meant = did_you_mean(given, known);
  context.error_at(std::move(path),
                   fmt::format("{} is not {}{}", quote(given), what,
                               meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
}

template <typename T>
std::vector<std::string> names_of(const std::vector<T>& list) {
  std::vector<std::string> names;
  names.reserve(list.size());
  for (const T& item : list) names.push_back(item.name);
  return names;
}

bool contains(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

void check_intents(Context& context, const Config& config) {
  limit(context, config.intents, "intents", kIntentsMax - 1);
  Unique<std::string> names(context);
  Unique<uint32_t> codes(context);
  std::vector<std::string> services;
  for (const Service& s : config.services)
    if (s.kind == ServiceKind::lcp) services.push_back(s.name);
  for (size_t i = 0; i < config.intents.size(); ++i) {
    const Intent& intent = config.intents[i];
    const std::string path = fmt::format("intents[{}]", i);
    if (!intent.name.empty()) names.add(intent.name, path, "name");
    if (intent.code != 0) codes.add(intent.code, path, "code");
    // A chain that the file gives ends at a service of this file; the built-in ones need not.
    if (!intent.chain.empty() && context.was_given(path + ".chain") &&
        !contains(services, intent.chain.back()))
      suggest(context, path + ".chain", intent.chain.back(), "a configured service", services);
  }
}

// Keys of organisations are looked up in sets: there may be 100,000 of them.
void check_organisations(Context& context, const Config& config) {
  limit(context, config.organisations, "organisations", kOrgsMax);
  Unique<std::string> names(context);
  Unique<uint32_t> ids(context);
  Unique<std::string> prefixes(context);
  const auto intents = names_of(config.intents);
  for (size_t i = 0; i < config.organisations.size(); ++i) {
    const Organisation& org = config.organisations[i];
    const std::string path = fmt::format("organisations[{}]", i);
    if (!org.name.empty()) names.add(org.name, path, "name");
    if (org.id != 0) ids.add(org.id, path, "id");
    for (size_t k = 0; k < org.prefixes.size(); ++k)
      prefixes.add(format_prefix(org.prefixes[k]), path, fmt::format("prefixes[{}]", k));
    for (const auto& [name, quota] : org.intents)
      if (!contains(intents, name))
        suggest(context, fmt::format("{}.intents[{}]", path, name), name, "a configured intent",
                intents);
  }
}

void check_people(Context& context, const Config& config) {
  Unique<uint32_t> operators(context), targets(context);
  std::unordered_set<std::string> orgs;
  for (const Organisation& org : config.organisations) orgs.insert(org.name);
  for (size_t i = 0; i < config.operators.size(); ++i) {
    const Operator& op = config.operators[i];
    const std::string path = fmt::format("operators[{}]", i);
    if (op.id != 0) operators.add(op.id, path, "id");
    for (size_t k = 0; k < op.organisations.size(); ++k)
      if (!orgs.contains(op.organisations[k]))
        suggest(context, fmt::format("{}.organisations[{}]", path, k), op.organisations[k],
                "a configured organisation", names_of(config.organisations));
  }
  for (size_t i = 0; i < config.targets.size(); ++i)
    targets.add(config.targets[i].id, fmt::format("targets[{}]", i), "id");
}

void check_regions(Context& context, const Service& service, const std::string& path,
                   std::set<std::string>& all_regions) {
  std::set<std::string> used;
  for (const Node& node : service.nodes) used.insert(node.region);
  all_regions.insert(used.begin(), used.end());
  const std::vector<std::string> regions(used.begin(), used.end());
  if (!service.nodes.empty() && !used.contains(service.region))
    suggest(context, path + ".region", service.region, "the region of any of its nodes", regions);
  for (size_t i = 0; i < service.failover.size(); ++i) {
    const std::string& region = service.failover[i];
    const std::string where = fmt::format("{}.failover[{}]", path, i);
    if (region == service.region)
      context.error_at(where, quote(region) + " is the service's primary region");
    else if (!used.contains(region))
      suggest(context, where, region, "the region of any of its nodes", regions);
  }
  std::vector<std::string> reachable = service.failover;
  reachable.push_back(service.region);
  for (size_t i = 0; i < service.nodes.size(); ++i)
    if (!contains(reachable, service.nodes[i].region))
      suggest(context, fmt::format("{}.nodes[{}].region", path, i), service.nodes[i].region,
              "the service's region or one of its failover regions", reachable);
}

void check_services(Context& context, const Config& config) {
  limit(context, config.services, "services", kServicesMax);
  Unique<std::string> names(context), node_names(context);
  Unique<uint32_t> node_ids(context);
  std::unordered_map<std::string, const Organisation*> orgs;
  for (const Organisation& org : config.organisations) orgs.emplace(org.name, &org);
  std::set<std::string> regions;
  size_t nodes = 0;
  for (size_t i = 0; i < config.services.size(); ++i) {
    const Service& service = config.services[i];
    const std::string path = fmt::format("services[{}]", i);
    nodes += service.nodes.size();
    if (!service.name.empty()) names.add(service.name, path, "name");
    if (service.nodes.empty())
      context.error_at(path + ".nodes", "a service needs at least one node");
    check_regions(context, service, path, regions);
    for (size_t k = 0; k < service.nodes.size(); ++k) {
      const Node& node = service.nodes[k];
      const std::string node_path = fmt::format("{}.nodes[{}]", path, k);
      if (!node.name.empty()) node_names.add(node.name, node_path, "name");
      if (node.id != 0) node_ids.add(node.id, node_path, "id");
      if (node.owner.empty()) continue;
      const auto owner = orgs.find(node.owner);
      if (owner == orgs.end())
        suggest(context, node_path + ".owner", node.owner, "a configured organisation",
                names_of(config.organisations));
      else if (owner->second->keys.empty())
        context.error_at(node_path + ".owner",
                         quote(node.owner) + " has no keys, so it cannot sign reports");
    }
  }
  if (nodes > kNodesMax)
    context.error_at("services",
                     fmt::format("have {} nodes; at most {} are supported", nodes, kNodesMax));
  if (regions.size() > kRegionsMax)
    context.error_at("services", fmt::format("have {} regions; at most {} are supported",
                                             regions.size(), kRegionsMax));
}

}  // namespace

void check(Context& context, const Config& config) {
  limit(context, config.ports, "ports", kPortsMax);
  Unique<std::string> names(context), devices(context);
  for (size_t i = 0; i < config.ports.size(); ++i) {
    const std::string path = fmt::format("ports[{}]", i);
    if (!config.ports[i].name.empty()) names.add(config.ports[i].name, path, "name");
    if (!config.ports[i].device.empty()) devices.add(config.ports[i].device, path, "device");
  }
  check_intents(context, config);
  check_organisations(context, config);
  check_people(context, config);
  check_services(context, config);
  check_kinds(context, config);
  // With half the addresses missing, it would only report what follows from the first mistakes.
  if (context.ok()) check_network(context, config);
}

}  // namespace lf::config
