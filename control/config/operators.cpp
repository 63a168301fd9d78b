// SPDX-License-Identifier: Apache-2.0
// Sections `operators` and `targets`: who issues commands, and what for. Large tables come from
// policy.operators_file and policy.targets_file instead.
#include "control/config/sections.hpp"

namespace lf::config {

void read_operator(Context& context, const YAML::Node& node, std::string path, Operator& out) {
  Map map(context, node, std::move(path));
  map.require({"id"});
  map.integer("id", out.id, 1, UINT32_MAX);
  map.name("name", out.name);
  map.names("roles", out.roles);
  map.integer("mfa_level", out.mfa_level, 0, 3);
  map.value("mfa_expires", out.mfa_expires_us, "time", "never", parse_time_us);
  map.names("organisations", out.organisations);
  map.finish();
}

void read_target(Context& context, const YAML::Node& node, std::string path, Target& out) {
  Map map(context, node, std::move(path));
  map.require({"id"});
  map.integer("id", out.id, 0, UINT32_MAX);
  map.number("risk", out.risk, 0, 100);
  map.name("group", out.group);
  map.boolean("comms_degraded", out.comms_degraded);
  map.finish();
}

}  // namespace lf::config
