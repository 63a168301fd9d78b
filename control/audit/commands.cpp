// SPDX-License-Identifier: Apache-2.0
#include "control/audit/commands.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "control/audit/query.hpp"
#include "control/policy/arguments.hpp"
#include "dataplane/core/verdicts.hpp"

namespace lf::audit {
namespace {

using policy::Arguments;
using rpc::Json;

constexpr int64_t kLimitMax = 100'000;  // records in one answer
constexpr int64_t kLimitDefault = 100;

struct Context {
  policy::Engine& engine;
  Collector* collector;
  std::string directory;

  RuleName rule_name() const {
    policy::Engine* e = &engine;
    return [e](uint32_t version, uint16_t rule) -> std::string {
      const auto v = e->loaded(version);
      return v ? std::string(policy::rule_id((*v)->rules, rule)) : std::to_string(rule);
    };
  }
};

void id_filter(Arguments& args, const char* name, std::optional<std::array<uint8_t, 16>>& out) {
  if (!args.has(name)) return;
  out = parse_id(args.text(name));
  if (!out) args.complain(name, "must be 32 hexadecimal digits");
}

std::optional<uint8_t> verdict_code(const std::string& name) {
  for (const VerdictInfo& v : kVerdictList)
    if (v.name == name) return static_cast<uint8_t>(v.verdict);
  return std::nullopt;
}

void names_filter(Arguments& args, const policy::Vocabulary& vocabulary, Filter& f) {
  if (args.has("org")) {
    const auto it = args.raw("org").is_string() ? vocabulary.orgs.find(args.text("org"))
                                                : vocabulary.orgs.end();
    if (it != vocabulary.orgs.end())
      f.org_id = it->second;
    else if (args.raw("org").is_string())
      args.complain("org", "is no configured organisation");
    else
      f.org_id = static_cast<uint32_t>(args.integer("org", 0, 0, UINT32_MAX));
  }
  if (args.has("outcome")) {
    const std::string outcome = args.text("outcome");
    for (const auto o : {PolicyOutcome::allow, PolicyOutcome::deny, PolicyOutcome::hold})
      if (policy::outcome_name(o) == outcome) f.outcome = static_cast<uint8_t>(o);
    for (const auto o : {ReplayOutcome::refused, ReplayOutcome::unkept, ReplayOutcome::expired})
      if (name(o) == outcome) f.replay = o;
    if (!f.outcome && !f.replay)
      args.complain("outcome",
                    "must be allow, deny, hold, replay_refused, replay_unkept or replay_expired");
  }
  if (args.has("verdict")) {
    f.verdict = verdict_code(args.text("verdict"));
    if (!f.verdict) args.complain("verdict", "is no verdict");
  }
  if (args.has("kind")) {
    const std::string kind = args.text("kind");
    if (kind == "decision") f.kind = RecordKind::decision;
    if (kind == "gap") f.kind = RecordKind::gap;
    if (kind == "event") f.kind = RecordKind::event;
    if (!f.kind) args.complain("kind", "must be decision, gap or event");
  }
}

// Rules are asked for by id or number; an id needs the version, or it is looked up in the active.
void rule_filter(Arguments& args, policy::Engine& engine, Filter& f) {
  if (args.has("version"))
    f.version = static_cast<uint32_t>(args.integer("version", 0, 0, UINT32_MAX));
  if (!args.has("rule")) return;
  if (!args.raw("rule").is_string()) {
    f.rule = static_cast<uint16_t>(args.integer("rule", 0, 0, UINT16_MAX));
    return;
  }
  const std::string id = args.text("rule");
  if (!f.version) f.version = engine.active().base;
  const auto v = engine.loaded(*f.version);
  if (v && id == "default-deny") f.rule = 0;
  if (v)
    for (size_t n = 0; n < (*v)->rules.rules.size(); ++n)
      if ((*v)->rules.rules[n].id == id) f.rule = static_cast<uint16_t>(n + 1);
  if (!f.rule) args.complain("rule", "is no rule of the version");
}

Result<Filter> filter_of(Context& c, const Json& params, uint64_t limit_max) {
  Arguments args(params);
  Filter f;
  id_filter(args, "trace_id", f.trace_id);
  id_filter(args, "command_id", f.command_id);
  names_filter(args, c.engine.vocabulary(), f);
  rule_filter(args, c.engine, f);
  if (args.has("operator"))
    f.operator_id = static_cast<uint32_t>(args.integer("operator", 0, 0, UINT32_MAX));
  f.from_us = static_cast<uint64_t>(args.integer("from_us", 0, 0, INT64_MAX));
  f.to_us = static_cast<uint64_t>(args.integer("to_us", INT64_MAX, 0, INT64_MAX));
  f.limit = limit_max == UINT64_MAX
                ? UINT64_MAX
                : static_cast<uint64_t>(
                      args.integer("limit", kLimitDefault, 1, static_cast<int64_t>(limit_max)));
  if (auto error = args.error()) return tl::unexpected(std::move(*error));
  return f;
}

Result<Json> query_handler(Context& c, const Json& params) {
  const auto filter = filter_of(c, params, kLimitMax);
  if (!filter) return tl::unexpected(filter.error());
  Json records = Json::array();
  const RuleName rule_name = c.rule_name();
  const auto done = query(c.directory, *filter, [&](const FoundRecord& r) {
    records.push_back(to_json(r, c.engine.vocabulary(), rule_name));
  });
  if (!done) return tl::unexpected(done.error());
  return Json{{"records", records},
              {"more", done->more},
              {"blocks", done->blocks},
              {"blocks_read", done->blocks_read}};
}

Result<Json> verify_handler(Context& c) {
  const VerifyReport r = verify(c.directory);
  return Json{{"intact", r.intact}, {"fault", r.fault},     {"segments", r.segments},
              {"blocks", r.blocks}, {"records", r.records}, {"decisions", r.decisions},
              {"gaps", r.gaps},     {"lost", r.lost},       {"first_segment", r.first_segment}};
}

Result<Json> export_handler(Context& c, const Json& params) {
  const auto filter = filter_of(c, params, UINT64_MAX);
  if (!filter) return tl::unexpected(filter.error());
  const std::string path = params.value("path", "");
  // Never over a file that is there already, and readable by the daemon's user alone.
  std::FILE* file = std::fopen(path.c_str(), "wxe");
  if (!file) return fail(ErrorCode::unavailable, "{}: cannot be created", path);
  std::filesystem::permissions(path, std::filesystem::perms{0600});
  uint64_t lines = 0;
  const RuleName rule_name = c.rule_name();
  const auto done = query(c.directory, *filter, [&](const FoundRecord& r) {
    const std::string line = to_json(r, c.engine.vocabulary(), rule_name).dump() + "\n";
    lines += std::fwrite(line.data(), line.size(), 1, file);
  });
  const bool closed = std::fclose(file) == 0;
  if (!done) return tl::unexpected(done.error());
  if (!closed || lines != done->records)
    return fail(ErrorCode::unavailable, "{}: cannot be written", path);
  return Json{{"path", path}, {"records", lines}};
}

Result<Json> replay_handler(Context& c, const Json& params) {
  const auto filter = filter_of(c, params, UINT64_MAX);
  if (!filter) return tl::unexpected(filter.error());
  const auto decide = [&](uint32_t version, const policy::Inputs& in) -> Result<policy::Decision> {
    const auto answer = c.engine.evaluate(in, version);
    if (!answer) return tl::unexpected(answer.error());
    return answer->decision;
  };
  const auto report = replay(c.directory, *filter, decide);
  if (!report) return tl::unexpected(report.error());
  Json examples = Json::array();
  const RuleName rule_name = c.rule_name();
  for (const auto& [found, again] : report->examples) {
    Json j = to_json(found, c.engine.vocabulary(), rule_name);
    j["again_outcome"] = policy::outcome_name(again.outcome);
    j["again_rule"] = rule_name(found.record.policy_version, again.rule);
    examples.push_back(std::move(j));
  }
  return Json{{"decisions", report->decisions},
              {"same", report->same},
              {"different", report->different},
              {"skipped", report->skipped},
              {"examples", examples}};
}

Result<Json> status_handler(Context& c) {
  uint64_t bytes = 0;
  const auto segments = list_segments(c.directory);
  for (const SegmentFile& s : segments) bytes += s.bytes;
  Json j = {{"directory", c.directory}, {"segments", segments.size()}, {"bytes", bytes}};
  if (c.collector) {
    const CollectorStats s = c.collector->stats();
    j["records"] = s.records;
    j["lost"] = s.lost;
    j["bytes_written"] = s.bytes;
    j["write_errors"] = s.write_errors;
    j["last_error"] = s.last_error;
  }
  return j;
}

std::vector<rpc::Parameter> filter_parameters() {
  return {{"trace_id", "string", false, "32 hexadecimal digits"},
          {"command_id", "string", false, "32 hexadecimal digits"},
          {"org", "any", false, "name or id"},
          {"operator", "integer", false, "operator id"},
          {"rule", "any", false, "id or number of a rule"},
          {"version", "integer", false, "policy version that decided"},
          {"outcome", "string", false,
           "allow, deny, hold, replay_refused, replay_unkept or replay_expired"},
          {"verdict", "string", false, "what became of the packet"},
          {"kind", "string", false, "decision, gap or event"},
          {"from_us", "integer", false, "Unix time in microseconds"},
          {"to_us", "integer", false, "Unix time in microseconds"}};
}

std::vector<rpc::Parameter> with(std::vector<rpc::Parameter> list, rpc::Parameter one) {
  list.push_back(std::move(one));
  return list;
}

}  // namespace

Record activation_record(const policy::Activation& a) {
  Record r{};
  r.kind = RecordKind::event;
  r.worker = kEventWorker;
  const auto code = a.kind == "rollback"  ? EventCode::rollback
                    : a.kind == "confirm" ? EventCode::confirm
                                          : EventCode::activate;
  r.verdict = static_cast<uint8_t>(code);
  r.time_us = static_cast<uint64_t>(a.at_us);
  r.policy_version = a.base;
  r.target_id = a.candidate;
  r.risk_centi = static_cast<uint16_t>((a.candidate ? a.percent : 100) * 100);
  return r;
}

std::vector<rpc::Command> commands(policy::Engine& engine, Collector* collector,
                                   const std::string& directory) {
  const auto c = std::make_shared<Context>(Context{engine, collector, directory});
  return {
      {"audit.query", "decisions, gaps and events that match",
       with(filter_parameters(), {"limit", "integer", false, "default 100"}), false,
       [c](const Json& params) { return query_handler(*c, params); }},
      {"audit.verify",
       "checks the chain of the whole log and says where it is broken",
       {},
       false,
       [c](const Json&) { return verify_handler(*c); }},
      {"audit.export", "writes what matches as JSON Lines into a new file",
       with(filter_parameters(), {"path", "string", true, "file that does not exist yet"}), true,
       [c](const Json& params) { return export_handler(*c, params); }},
      {"audit.replay", "decides again under the versions that decided, and compares",
       filter_parameters(), false, [c](const Json& params) { return replay_handler(*c, params); }},
      {"audit.status",
       "size of the log, records written and lost",
       {},
       false,
       [c](const Json&) { return status_handler(*c); }},
  };
}

}  // namespace lf::audit
