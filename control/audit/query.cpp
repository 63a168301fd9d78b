// SPDX-License-Identifier: Apache-2.0
#include "control/audit/query.hpp"

#include <nlohmann/json.hpp>

#include "dataplane/core/verdicts.hpp"

namespace lf::audit {
namespace {

constexpr size_t kExamplesMax = 20;
// An organisation that policy did not know had no id for the rules either.
constexpr uint32_t kUnknownOrg = 0;

bool same_id(const std::optional<std::array<uint8_t, 16>>& wanted, const uint8_t id[16]) {
  return !wanted || std::memcmp(wanted->data(), id, 16) == 0;
}

template <typename T, typename U>
bool same(const std::optional<T>& wanted, U value) {
  return !wanted || *wanted == value;
}

std::string_view event_name(uint8_t code) {
  static constexpr std::string_view names[] = {"?",         "activate", "rollback", "confirm",
                                               "approval",  "release",  "refuse",   "expire",
                                               "retention", "recovered"};
  return code < std::size(names) ? names[code] : names[0];
}

}  // namespace

ReplayOutcome replay_outcome(const Record& r) {
  if (r.kind != RecordKind::decision) return ReplayOutcome::none;
  const auto verdict = static_cast<Verdict>(r.verdict);
  if (r.flags & Record::kUnkept)
    return verdict == Verdict::none ? ReplayOutcome::expired : ReplayOutcome::unkept;
  switch (verdict) {
    case Verdict::replay_late:
    case Verdict::replay_exhausted:
    case Verdict::replay_unroutable:
    case Verdict::replay_uncopied:
      return ReplayOutcome::refused;
    default:
      return ReplayOutcome::none;
  }
}

std::string_view name(ReplayOutcome outcome) {
  static constexpr std::string_view names[] = {"none", "replay_refused", "replay_unkept",
                                               "replay_expired"};
  return names[static_cast<size_t>(outcome)];
}

bool Filter::matches(const Record& r) const {
  if (r.time_us < from_us || r.time_us > to_us || !same(kind, r.kind)) return false;
  const bool by_decision = trace_id || command_id || org_id || operator_id || version || rule ||
                           outcome || verdict || replay;
  if (r.kind == RecordKind::gap) return !by_decision;
  // An event has none of these; its verdict is an EventCode.
  if (r.kind == RecordKind::event && (rule || outcome || verdict || replay)) return false;
  return same_id(trace_id, r.trace_id) && same_id(command_id, r.command_id) &&
         same(org_id, r.org_id) && same(operator_id, r.operator_id) &&
         same(version, r.policy_version) && same(rule, r.rule) && same(outcome, r.outcome) &&
         same(verdict, r.verdict) && (!replay || *replay == replay_outcome(r));
}

bool Filter::may_match(const BlockHeader& h) const {
  if (h.last_us < from_us || h.first_us > to_us) return false;
  if (org_id && (*org_id < h.org_low || *org_id > h.org_high)) return false;
  if (operator_id && (*operator_id < h.operator_low || *operator_id > h.operator_high))
    return false;
  return !outcome || (h.outcome_mask >> *outcome & 1);
}

Result<QueryStats> query(const std::string& directory, const Filter& filter,
                         const std::function<void(const FoundRecord&)>& f) {
  QueryStats stats;
  std::optional<Error> error;
  ReadHooks hooks;
  hooks.want = [&](const BlockHeader& h) {
    ++stats.blocks;
    return filter.may_match(h);
  };
  hooks.block = [&](const BlockPlace& place, const BlockHeader& h, std::string_view body) {
    if (body.empty()) return true;
    if (filter.trace_id && !may_contain(h, body, filter.trace_id->data())) return true;
    if (filter.command_id && !may_contain(h, body, filter.command_id->data())) return true;
    ++stats.blocks_read;
    const auto records = unpack(h, body);
    if (!records) {
      error = Error{records.error().code, fmt::format("{}: block {}: {}", place.path, place.index,
                                                      records.error().message)};
      return false;
    }
    uint64_t sequence = h.first_sequence;
    for (const Record& r : *records) {
      if (filter.matches(r)) {
        if (stats.records == filter.limit) {
          stats.more = true;
          return false;
        }
        ++stats.records;
        f({r, sequence, h.run_us});
      }
      sequence = end_sequence({&r, 1}, sequence);
    }
    return true;
  };
  if (auto done = read_blocks(directory, hooks); !done) return tl::unexpected(done.error());
  if (error) return tl::unexpected(std::move(*error));
  return stats;
}

bool was_evaluated(const Record& r) {
  return r.kind == RecordKind::decision && (r.flags & Record::kEvaluated);
}

policy::Inputs inputs_of(const Record& r) {
  policy::Inputs in;
  in.org_id = r.flags & Record::kOrgKnown ? r.org_id : kUnknownOrg;
  in.intent = r.intent;
  in.severity = r.severity;
  in.clearance = r.clearance_mfa & 15;
  in.mfa_level = r.clearance_mfa >> 4;
  in.comms_degraded = r.flags & Record::kCommsDegraded;
  in.risk_centi = r.risk_centi;
  in.group = r.group;
  in.role_bits = r.role_bits;
  in.pattern_bits = r.pattern_bits;
  return in;
}

nlohmann::json to_json(const FoundRecord& found, const policy::Vocabulary& vocabulary,
                       const RuleName& rule_name) {
  const Record& r = found.record;
  nlohmann::json j = {{"time_us", r.time_us}, {"worker", r.worker}};
  if (r.kind == RecordKind::gap) {
    const GapInfo gap = gap_of(r);
    j["kind"] = "gap";
    j["first_sequence"] = gap.first;
    j["last_sequence"] = gap.last;
    j["end_time_us"] = gap.end_time_us;
    j["lost"] = {
        {"allow", gap.by_outcome[0]}, {"deny", gap.by_outcome[1]}, {"hold", gap.by_outcome[2]}};
    return j;
  }
  if (r.kind == RecordKind::event) {
    j["kind"] = "event";
    j["event"] = event_name(r.verdict);
    j["version"] = r.policy_version;
    j["operator"] = r.operator_id;
    j["target"] = r.target_id;
    j["percent"] = r.risk_centi / 100.0;
    j["command_id"] = to_hex(r.command_id);
    return j;
  }
  const VerdictInfo& verdict = info(static_cast<Verdict>(r.verdict));
  j["kind"] = "decision";
  j["sequence"] = found.sequence;
  j["trace_id"] = to_hex(r.trace_id);
  j["command_id"] = to_hex(r.command_id);
  j["org"] = vocabulary.org_name(r.org_id);
  j["org_id"] = r.org_id;
  j["operator"] = r.operator_id;
  j["intent"] = vocabulary.intent_name(r.intent);
  j["severity"] = r.severity;
  j["clearance"] = r.clearance_mfa & 15;
  j["mfa_level"] = r.clearance_mfa >> 4;
  j["roles"] = vocabulary.role_names(r.role_bits);
  j["target"] = r.target_id;
  j["group"] = r.group < vocabulary.groups.all().size() ? vocabulary.groups.all()[r.group]
                                                        : std::to_string(r.group);
  j["risk"] = r.risk_centi / 100.0;
  j["comms_degraded"] = (r.flags & Record::kCommsDegraded) != 0;
  j["authenticated"] = (r.flags & Record::kAuthenticated) != 0;
  j["retry"] = (r.flags & Record::kRetry) != 0;
  j["released"] = (r.flags & Record::kReleased) != 0;
  j["pattern_bits"] = r.pattern_bits;
  j["verdict"] = verdict.name;
  j["stage"] = verdict.stage;
  if (r.node != 0xffff) j["node"] = r.node;
  if (const auto replay = replay_outcome(r); replay != ReplayOutcome::none)
    j["replay"] = name(replay);
  if (!was_evaluated(r)) return j;
  j["outcome"] = policy::outcome_name(static_cast<PolicyOutcome>(r.outcome));
  j["rule"] = rule_name(r.policy_version, r.rule);
  j["version"] = r.policy_version;
  return j;
}

std::optional<std::array<uint8_t, 16>> parse_id(std::string_view hex) {
  std::array<uint8_t, 16> id{};
  size_t digits = 0;
  for (const char c : hex) {
    if (c == '-') continue;
    const int v = c >= '0' && c <= '9'   ? c - '0'
                  : c >= 'a' && c <= 'f' ? c - 'a' + 10
                  : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                         : -1;
    if (v < 0 || digits == 32) return std::nullopt;
    id[digits / 2] = static_cast<uint8_t>(id[digits / 2] << 4 | v);
    ++digits;
  }
  if (digits != 32) return std::nullopt;
  return id;
}

Result<ReplayReport> replay(const std::string& directory, const Filter& filter,
                            const Decide& decide) {
  ReplayReport report;
  const auto done = query(directory, filter, [&](const FoundRecord& found) {
    if (!was_evaluated(found.record)) return;
    ++report.decisions;
    const auto again = decide(found.record.policy_version, inputs_of(found.record));
    if (!again) {
      ++report.skipped;
      return;
    }
    const policy::Decision then{static_cast<PolicyOutcome>(found.record.outcome),
                                found.record.rule};
    if (*again == then) {
      ++report.same;
      return;
    }
    ++report.different;
    if (report.examples.size() < kExamplesMax) report.examples.emplace_back(found, *again);
  });
  if (!done) return tl::unexpected(done.error());
  return report;
}

}  // namespace lf::audit
