// SPDX-License-Identifier: Apache-2.0
// The one place that decides. Keeps the policy versions, which of them is active for whom, and the
// operator and target tables; makes the policy Table for workers; answers for any version what it
// would decide. Control thread; large rule sets are compiled on a helper thread, and workers keep
// the old version until the new one is ready.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "control/base/clock.hpp"
#include "control/base/result.hpp"
#include "control/identity/store.hpp"
#include "control/policy/compile.hpp"
#include "control/policy/evaluate.hpp"
#include "control/policy/functions.hpp"
#include "control/policy/parse.hpp"
#include "control/policy/store.hpp"
#include "control/policy/vocabulary.hpp"

namespace lf::policy {

// A version that is loaded into memory.
struct LoadedVersion {
  RuleSet rules;
  std::vector<Diagnostic> warnings;
  std::shared_ptr<const Program> program;       // null until compiled
  std::shared_ptr<const hs_database> patterns;  // for control's own scans; may be null
  std::future<Result<std::shared_ptr<const Program>>> compiling;
  std::string problem;  // why it did not compile
};

struct ActivateRequest {
  uint32_t version = 0;
  double percent = 100;
  std::vector<std::string> organisations;  // named ones instead of a percentage
  uint32_t confirm_s = 0;                  // falls back by itself unless confirmed within
  std::string author;
};

// Who decided, for answers and audit.
struct Answer {
  Decision decision;
  uint32_t version = 0;
};

class Engine {
 public:
  // Called for each activation, rollback, confirmation and fallback: for the audit log.
  using OnActivation = std::function<void(const Activation&)>;
  // The OrgIndex that packets of an organisation carry. Not given: positions in the configuration.
  using OrgIndexOf = std::function<OrgIndex(uint32_t org_id)>;

  // workers: how many get a scratch for pattern scans.
  static Result<std::unique_ptr<Engine>> create(const config::Config& config, const Clock& clock,
                                                uint32_t workers,
                                                const OrgIndexOf& org_index_of = {});
  ~Engine();

  // A new configuration: names, organisations, identity rows, the rules file if it changed. On an
  // error all of it stays as it was.
  Result<void> configure(const config::Config& config, const OrgIndexOf& org_index_of = {});

  // The Table for workers. The same pointer while nothing changed; publish it when it differs.
  Result<std::shared_ptr<const Table>> table();

  // Time-driven work: finished compilations, activations that nobody confirmed.
  void tick();
  void on_activation(OnActivation f) { on_activation_ = std::move(f); }

  // -- versions
  Result<uint32_t> load(const std::string& text, const std::string& author,
                        const std::string& source);
  Result<std::vector<VersionInfo>> versions() { return store_->list(); }
  Result<std::string> text(uint32_t version) { return store_->text(version); }
  Result<Activation> activate(const ActivateRequest& request);
  Result<Activation> rollback(const std::string& author);
  Result<Activation> confirm(const std::string& author);
  const Activation& active() const { return active_; }
  uint32_t version_of(uint32_t org_id) const;
  Result<const LoadedVersion*> loaded(uint32_t version);
  bool is_compiling() const;

  // -- decisions
  Result<Answer> evaluate(const Inputs& inputs, std::optional<uint32_t> version = std::nullopt);
  uint32_t scan_payload(uint32_t version, std::string_view payload);
  // The plain functions' interface; they ask the active version of organisation `org_id`.
  bool authorize_intent(const Operator& who, std::string_view intent, int severity);
  GateDecision evaluate_policy_gate(const GateRequest& request);
  bool enforce_dual_control(const GateDecision& decision, std::span<const std::string> approvals);
  std::vector<std::string> compliance_tags(double risk);
  std::string escalation_band(double risk, bool hold);
  uint32_t required_approvals(double risk, uint32_t version = 0);  // 0: the active one

  Vocabulary& vocabulary() { return vocabulary_; }
  const Vocabulary& vocabulary() const { return vocabulary_; }
  identity::Store& identity() { return identity_; }
  const OrgIds& orgs() const { return orgs_; }
  const Clock& clock() const { return clock_; }
  OrgIndex org_index(uint32_t org_id) const;
  Result<void> save_names();

 private:
  Engine(const Clock& clock, uint32_t workers) : clock_(clock), workers_(workers) {}
  Result<void> open_store(const std::string& path);
  struct ConfiguredRules {
    std::string text, source;
    RuleSet rules;  // the text's
  };
  Result<ConfiguredRules> configured_rules(const config::Config& config);
  Result<void> take_over(const config::Config& config);
  Result<uint32_t> add_configured_rules(ConfiguredRules&& configured, const std::string& hash);
  Result<uint32_t> add(const std::string& text, RuleSet&& rules, const std::string& author,
                       const std::string& source);
  Result<void> wait_for_program(uint32_t version);
  void set_orgs(const config::Config& config, const OrgIndexOf& org_index_of);
  Result<void> restore_activation();
  Result<Activation> apply(Activation next, const char* kind);
  void start_compiling(LoadedVersion& version);
  bool ready(LoadedVersion& version, bool wait);
  Result<void> make_table();
  bool is_candidate_org(const Activation& a, uint32_t org_id) const;

  const Clock& clock_;
  uint32_t workers_;
  Vocabulary vocabulary_;
  identity::Store identity_{vocabulary_};
  std::unique_ptr<Store> store_;
  std::map<uint32_t, LoadedVersion> loaded_;
  Activation active_;
  OrgIds orgs_;
  std::unordered_map<uint32_t, OrgIndex> org_indexes_;
  std::string rules_file_hash_;  // of the configured rules' text, to see a change on reload
  std::shared_ptr<const Table> table_;
  bool table_stale_ = true;
  OnActivation on_activation_;
};

}  // namespace lf::policy
