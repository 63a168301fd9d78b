// SPDX-License-Identifier: Apache-2.0
// One reader per section of the configuration file: from a YAML node into its part of Config.
// load() calls them in this order, each exactly once, with an undefined node for a missing
// section. A reader judges one value at a time; what relates values to each other is in check.cpp.
#pragma once

#include "control/config/reader.hpp"

namespace lf::config {

void read_dataplane(Context& context, const YAML::Node& node, Dataplane& out);
void read_port(Context& context, const YAML::Node& node, std::string path, Port& out);
void read_xdp(Context& context, const YAML::Node& node, Xdp& out);
void read_intent(Context& context, const YAML::Node& node, std::string path, Intent& out);
void read_organisation(Context& context, const YAML::Node& node, std::string path,
                       Organisation& out);
void read_operator(Context& context, const YAML::Node& node, std::string path, Operator& out);
void read_target(Context& context, const YAML::Node& node, std::string path, Target& out);
// `out` comes with the service defaults.
void read_service_defaults(Context& context, const YAML::Node& node, Service& out);
void read_service(Context& context, const YAML::Node& node, std::string path, Service& out);
void read_flows(Context& context, const YAML::Node& node, Flows& out);
void read_ledger(Context& context, const YAML::Node& node, Ledger& out);
void read_replay(Context& context, const YAML::Node& node, Replay& out);
void read_admission(Context& context, const YAML::Node& node, Admission& out);
void read_quotas(Context& context, const YAML::Node& node, QuotaSettings& out,
                 Quota& organisation_default);
void read_policy(Context& context, const YAML::Node& node, Policy& out);
void read_audit(Context& context, const YAML::Node& node, Audit& out);
void read_hold(Context& context, const YAML::Node& node, Hold& out);
void read_notifications(Context& context, const YAML::Node& node, Notifications& out);
void read_control(Context& context, const YAML::Node& node, Control& out);

// "600/min", or {limit: 600/min, hard: true}.
void read_quota(Context& context, const YAML::Node& node, const std::string& path, Quota& out);
void read_quota(Context& context, Map& map, std::string_view key, Quota& out);

// The intents of a configuration that lists none, and the values that a listed one starts from.
const std::vector<Intent>& default_intents();

// What kind a service is, and what that rules out (flows.cpp).
void check_kinds(Context& context, const Config& config);
// What relates values to each other: duplicates, dangling references, address plans.
void check(Context& context, const Config& config);

}  // namespace lf::config
