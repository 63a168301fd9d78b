// SPDX-License-Identifier: Apache-2.0
// The authoritative tables of operators and targets: from the configuration, from files, from
// operator.set and risk.set. Makes the immutable tables for workers when something has changed;
// many changes between two calls cost one table. Control thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "control/identity/build.hpp"
#include "control/policy/vocabulary.hpp"

namespace lf::identity {

class Store {
 public:
  explicit Store(policy::Vocabulary& vocabulary);

  // What a configuration and the files that it names say.
  struct Configured {
    std::vector<OperatorEntry> operators;
    std::vector<TargetEntry> targets;
  };
  Result<Configured> read(const config::Config& config) const;

  // Replaces what came from an earlier configuration or file; rows that operator.set or risk.set
  // made or changed stay as they are.
  void take(Configured&& rows, const OrgIndexes& orgs);

  Result<void> set_operator(const config::Operator& o);
  Result<void> set_target(const config::Target& t);

  const OperatorEntry* find_operator(uint32_t id) const;
  const TargetEntry* find_target(uint32_t id) const;

  // The tables as they now are; the same pointers while nothing changes.
  Table tables();
  size_t operators_count() const { return operators_.entries.size(); }
  size_t targets_count() const { return targets_.entries.size(); }

 private:
  template <typename Entry>
  struct Rows {
    std::vector<Entry> entries;
    std::vector<bool> by_hand;                   // set since start, outlives a reload
    std::unordered_map<uint32_t, size_t> index;  // id -> place in entries
    std::vector<size_t> changed;                 // since the table was made
    bool rebuild = true;

    void put(Entry entry, bool manual);
    void keep_manual();
  };

  Result<OperatorEntry> entry_of(const config::Operator& o) const;
  Result<TargetEntry> entry_of(const config::Target& t) const;

  policy::Vocabulary& vocabulary_;
  OrgIndexes orgs_;
  Rows<OperatorEntry> operators_;
  Rows<TargetEntry> targets_;
  Table tables_;
};

// Reads a table from a CSV file with a header line (columns of docs/policy.md, in any order) or a
// YAML list of maps. Errors have file and line.
Result<std::vector<config::Operator>> read_operators(const std::string& path);
Result<std::vector<config::Target>> read_targets(const std::string& path);

}  // namespace lf::identity
