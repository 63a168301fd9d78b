// SPDX-License-Identifier: Apache-2.0
#include "control/policy/analyse.hpp"
#include "control/policy/arguments.hpp"
#include "control/policy/commands.hpp"

namespace lf::policy {
namespace {

using rpc::Json;

constexpr uint64_t kLintSteps = 100'000;  // while somebody waits for the answer

Json to_json(const Diagnostic& d) {
  return {{"line", d.line}, {"column", d.column}, {"message", d.message}};
}

Json to_json(const Activation& a, const Engine& engine) {
  Json orgs = Json::array();
  for (const uint32_t id : a.org_ids) orgs.push_back(engine.vocabulary().org_name(id));
  Json j = {{"version", a.candidate ? a.candidate : a.base},
            {"base", a.base},
            {"candidate", a.candidate ? Json(a.candidate) : Json()},
            {"percent", a.candidate ? a.percent : 100.0},
            {"organisations", orgs},
            {"author", a.author},
            {"at_us", a.at_us}};
  if (a.confirm_by_us) j["confirm_by_us"] = a.confirm_by_us;
  return j;
}

Result<Json> list_handler(CommandContext& context) {
  Engine& engine = context.engine;
  const auto versions = engine.versions();
  if (!versions) return tl::unexpected(versions.error());
  Json list = Json::array();
  const Activation& active = engine.active();
  for (const VersionInfo& v : *versions) {
    const bool base = v.version == active.base, candidate = v.version == active.candidate;
    list.push_back({{"version", v.version},
                    {"author", v.author},
                    {"loaded_us", v.loaded_us},
                    {"sha256", v.sha256},
                    {"source", v.source},
                    {"rules", v.rules},
                    {"state", base        ? "active"
                              : candidate ? "candidate"
                                          : "stored"}});
  }
  return Json{{"versions", list},
              {"active", to_json(active, engine)},
              {"compiling", engine.is_compiling()}};
}

Result<Json> check_handler(CommandContext& context, const Json& params) {
  Engine& engine = context.engine;
  Arguments args(params);
  const std::string text = args.text("text");
  if (auto error = args.error()) return tl::unexpected(std::move(*error));
  Vocabulary names = engine.vocabulary();  // a check leaves no names behind
  Parsed parsed = parse_rules(text, names, NameCheck::strict);
  Json errors = Json::array(), warnings = Json::array();
  const bool ok = parsed.ok();
  if (ok)
    for (Diagnostic& d : lint(parsed.rules, names, engine.orgs(), 10, kLintSteps))
      parsed.diagnostics.push_back(std::move(d));
  for (const Diagnostic& d : parsed.diagnostics)
    (d.error ? errors : warnings).push_back(to_json(d));
  Json result = {{"ok", ok}, {"errors", errors}, {"warnings", warnings}};
  if (ok) result["rules"] = parsed.rules.rules.size();
  return result;
}

Result<Json> load_handler(CommandContext& context, const Json& params) {
  Engine& engine = context.engine;
  Arguments args(params);
  const std::string text = args.text("text");
  const std::string author = args.text("author", "control socket");
  const std::string source = args.text("source", "socket");
  if (auto error = args.error()) return tl::unexpected(std::move(*error));
  const auto version = engine.load(text, author, source);
  if (!version) return tl::unexpected(version.error());
  const auto loaded = engine.loaded(*version);
  if (!loaded) return tl::unexpected(loaded.error());
  Json warnings = Json::array();
  for (const Diagnostic& d :
       lint((*loaded)->rules, engine.vocabulary(), engine.orgs(), 10, kLintSteps))
    warnings.push_back(to_json(d));
  return Json{
      {"version", *version}, {"rules", (*loaded)->rules.rules.size()}, {"warnings", warnings}};
}

Result<Json> activate_handler(CommandContext& context, const Json& params) {
  Arguments args(params);
  ActivateRequest request;
  request.version = static_cast<uint32_t>(args.integer("version", 0, 1, UINT32_MAX));
  request.percent = args.number("percent", 100, 0, 100);
  request.organisations = args.texts("organisations");
  request.confirm_s = static_cast<uint32_t>(args.integer("confirm_s", 0, 0, 30 * 24 * 3600));
  request.author = args.text("author", "control socket");
  if (auto error = args.error()) return tl::unexpected(std::move(*error));
  const auto done = context.engine.activate(request);
  if (!done) return tl::unexpected(done.error());
  return to_json(*done, context.engine);
}

Result<Json> answer(const Result<Activation>& done, const Engine& engine) {
  if (!done) return tl::unexpected(done.error());
  return to_json(*done, engine);
}

Result<Json> diff_handler(CommandContext& context, const Json& params) {
  Engine& engine = context.engine;
  Arguments args(params);
  const auto from = static_cast<uint32_t>(args.integer("from", 0, 1, UINT32_MAX));
  const auto to = static_cast<uint32_t>(args.integer("to", 0, 1, UINT32_MAX));
  if (auto error = args.error()) return tl::unexpected(std::move(*error));
  const auto before = engine.loaded(from);
  if (!before) return tl::unexpected(before.error());
  const RuleSet before_rules = (*before)->rules;  // loading the other may evict this one
  const auto after = engine.loaded(to);
  if (!after) return tl::unexpected(after.error());
  const auto found = differences(before_rules, (*after)->rules, engine.vocabulary(), engine.orgs());
  if (!found) return tl::unexpected(found.error());
  Json list = Json::array();
  for (const Difference& d : found->list) {
    Json conditions = Json::object();
    for (const auto& [name, value] : d.conditions) conditions[name] = value;
    list.push_back({{"conditions", conditions},
                    {"before", outcome_name(d.before)},
                    {"after", outcome_name(d.after)},
                    {"text", fmt::format("{}: {} -> {}", policy::to_text(d.conditions),
                                         outcome_name(d.before), outcome_name(d.after))}});
  }
  return Json{{"from", from}, {"to", to}, {"differences", list}};
}

}  // namespace

std::vector<rpc::Command> version_commands(CommandContext& context) {
  CommandContext* c = &context;
  const std::vector<rpc::Parameter> author = {{"author", "string", false, "who did it"}};
  return {
      {"policy.list",
       "stored versions, and which is active for whom",
       {},
       false,
       [c](const Json&) { return list_handler(*c); }},
      {"policy.check",
       "errors and warnings of a rule text, which is not stored",
       {{"text", "string", true, "rules in YAML"}},
       false,
       [c](const Json& params) { return check_handler(*c, params); }},
      {"policy.load",
       "stores a rule text as a new version (not active yet)",
       {{"text", "string", true, "rules in YAML"},
        {"author", "string", false, "kept with the version"},
        {"source", "string", false, "file name, for messages"}},
       true,
       [c](const Json& params) { return load_handler(*c, params); }},
      {"policy.activate",
       "makes a version active, for all or a part of the organisations",
       {{"version", "integer", true, ""},
        {"percent", "number", false, "of the organisations; default 100"},
        {"organisations", "array", false, "these, instead of a percentage"},
        {"confirm_s", "integer", false, "falls back by itself unless confirmed within"},
        {"author", "string", false, "who did it"}},
       true,
       [c](const Json& params) { return activate_handler(*c, params); }},
      {"policy.confirm", "keeps an activation that waits for confirmation", author, true,
       [c](const Json& params) {
         return answer(c->engine.confirm(params.value("author", "control socket")), c->engine);
       }},
      {"policy.rollback", "back to what was active before", author, true,
       [c](const Json& params) {
         return answer(c->engine.rollback(params.value("author", "control socket")), c->engine);
       }},
      {"policy.diff",
       "every input on which two versions differ, as regions",
       {{"from", "integer", true, "version"}, {"to", "integer", true, "version"}},
       false,
       [c](const Json& params) { return diff_handler(*c, params); }},
  };
}

std::vector<rpc::Command> commands(CommandContext& context) {
  std::vector<rpc::Command> all = evaluate_commands(context);
  for (auto part : {version_commands(context), table_commands(context)})
    for (rpc::Command& command : part) all.push_back(std::move(command));
  return all;
}

}  // namespace lf::policy
