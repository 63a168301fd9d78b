// SPDX-License-Identifier: Apache-2.0
#include "control/config/load.hpp"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "control/config/schema.hpp"
#include "control/config/sections.hpp"

namespace lf::config {
namespace {

constexpr std::uintmax_t kFileMax = 256u << 20;

void read_sections(Context& context, const YAML::Node& root, Config& config) {
  if (root.IsNull()) return context.error(YAML::Mark::null_mark(), "", "the file is empty");
  Map top(context, root, "");
  top.require({"ports", "services"});
  read_dataplane(context, top.child("dataplane"), config.dataplane);
  top.each("ports", [&](const YAML::Node& node, std::string path) {
    read_port(context, node, std::move(path), config.ports.emplace_back());
  });
  read_xdp(context, top.child("xdp"), config.xdp);
  top.each("intents", [&](const YAML::Node& node, std::string path) {
    read_intent(context, node, std::move(path), config.intents.emplace_back());
  });
  if (!top.has("intents")) config.intents = default_intents();
  Quota organisation_default;
  read_quotas(context, top.child("quotas"), config.quotas, organisation_default);
  top.each("organisations", [&](const YAML::Node& node, std::string path) {
    Organisation& org = config.organisations.emplace_back();
    org.quota = organisation_default;
    read_organisation(context, node, std::move(path), org);
  });
  top.each("operators", [&](const YAML::Node& node, std::string path) {
    read_operator(context, node, std::move(path), config.operators.emplace_back());
  });
  top.each("targets", [&](const YAML::Node& node, std::string path) {
    read_target(context, node, std::move(path), config.targets.emplace_back());
  });
  Service defaults;
  read_service_defaults(context, top.child("service_defaults"), defaults);
  top.each("services", [&](const YAML::Node& node, std::string path) {
    read_service(context, node, std::move(path), config.services.emplace_back(defaults));
  });
  read_flows(context, top.child("flows"), config.flows);
  read_ledger(context, top.child("ledger"), config.ledger);
  read_replay(context, top.child("replay"), config.replay);
  read_admission(context, top.child("admission"), config.admission);
  read_policy(context, top.child("policy"), config.policy);
  read_audit(context, top.child("audit"), config.audit);
  read_hold(context, top.child("hold"), config.hold);
  read_notifications(context, top.child("notifications"), config.notifications);
  read_control(context, top.child("control"), config.control);
  top.finish();
  if (top.has("ports") && config.ports.empty() && context.ok()) top.error("ports", "lists no port");
  if (top.has("services") && config.services.empty() && context.ok())
    top.error("services", "lists no service");
}

Loaded read(Context& context, const std::string& text) {
  Config config;
  config.path = context.file();
  try {
    const YAML::Node root = YAML::Load(text);
    read_sections(context, root, config);
    check(context, config);
  } catch (const YAML::Exception& e) {
    context.error(e.mark, "", fmt::format("not valid YAML: {}", e.msg));
  }
  if (!context.ok()) return tl::unexpected(context.take_errors());
  return config;
}

Loaded refuse(const std::string& path, std::string_view why) {
  return tl::unexpected(
      std::vector<Error>{{ErrorCode::unavailable, fmt::format("{}:1:1: {}", path, why)}});
}

}  // namespace

Loaded parse(const std::string& text, const std::string& path) {
  Context context(path);
  return read(context, text);
}

Loaded load(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return refuse(path, "cannot be opened");
  const std::streamoff size = file.tellg();
  if (size < 0) return refuse(path, "cannot be read");
  if (static_cast<std::uintmax_t>(size) > kFileMax) return refuse(path, "is larger than 256 MiB");
  std::string text(static_cast<size_t>(size), '\0');
  file.seekg(0);
  file.read(text.data(), size);
  if (file.gcount() != size) return refuse(path, "cannot be read");
  return parse(text, path);
}

std::string to_text(const std::vector<Error>& errors) {
  std::string text;
  for (const Error& error : errors) text += error.message + "\n";
  return text;
}

std::vector<KeyInfo> known_keys(const std::string& text) {
  Context context("schema");
  std::vector<KeyInfo> keys;
  context.schema = &keys;
  (void)read(context, text);
  return keys;
}

}  // namespace lf::config
