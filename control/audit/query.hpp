// SPDX-License-Identifier: Apache-2.0
// Finding records in an audit directory, telling them as JSON, and deciding them again. Skips
// blocks whose header or Bloom filter rules them out. Called on the control thread or by tools.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "control/audit/segment.hpp"
#include "control/policy/evaluate.hpp"
#include "control/policy/vocabulary.hpp"

namespace lf::audit {

// What replay has to say about a command, beside what policy decided: it was refused because it
// could not be sent again after its node failed; it was sent, but could not be kept for replay; or
// it was kept, and its deadline passed without an answer.
enum class ReplayOutcome : uint8_t { none, refused, unkept, expired };

ReplayOutcome replay_outcome(const Record& record);
std::string_view name(ReplayOutcome outcome);  // as in --outcome

struct Filter {
  std::optional<std::array<uint8_t, 16>> trace_id, command_id;
  std::optional<uint32_t> org_id, operator_id, version;
  std::optional<uint16_t> rule;
  std::optional<uint8_t> outcome, verdict;
  std::optional<ReplayOutcome> replay;
  uint64_t from_us = 0, to_us = UINT64_MAX;
  std::optional<RecordKind> kind;
  uint64_t limit = 1000;

  bool matches(const Record& r) const;
  bool may_match(const BlockHeader& h) const;
};

struct FoundRecord {
  Record record;
  uint64_t sequence = 0;  // of a decision
  uint64_t run_us = 0;
};

struct QueryStats {
  uint64_t blocks = 0, blocks_read = 0, records = 0;
  bool more = false;  // the limit was reached
};

// Calls f for each record that matches, in the order of the log.
Result<QueryStats> query(const std::string& directory, const Filter& filter,
                         const std::function<void(const FoundRecord&)>& f);

// Names rules; null when the version is not known any more.
using RuleName = std::function<std::string(uint32_t version, uint16_t rule)>;
nlohmann::json to_json(const FoundRecord& found, const policy::Vocabulary& vocabulary,
                       const RuleName& rule_name);

// What the decision depended on.
policy::Inputs inputs_of(const Record& record);
bool was_evaluated(const Record& record);

std::optional<std::array<uint8_t, 16>> parse_id(std::string_view hex);  // dashes are ignored

struct ReplayReport {
  uint64_t decisions = 0, same = 0, different = 0, skipped = 0;    // skipped: version unknown
  std::vector<std::pair<FoundRecord, policy::Decision>> examples;  // of different ones, at most 20
};
using Decide = std::function<Result<policy::Decision>(uint32_t version, const policy::Inputs&)>;
Result<ReplayReport> replay(const std::string& directory, const Filter& filter,
                            const Decide& decide);

}  // namespace lf::audit
