// SPDX-License-Identifier: Apache-2.0
#include "control/policy/engine.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "control/policy/default_rules.hpp"
#include "control/policy/patterns.hpp"
#include "control/policy/run_compiled.hpp"

namespace lf::policy {
namespace {

constexpr size_t kCompileInline = 512;  // rules; more: on a helper thread
constexpr size_t kLoadedMax = 32;       // versions kept in memory

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf()))
    return fail(ErrorCode::unavailable, "{}: cannot be read", path);
  return std::move(text).str();
}

bool same_names(const Vocabulary& a, const Vocabulary& b) {
  const auto same = [](const IntentSpec& x, const IntentSpec& y) {
    return x.name == y.name && x.code == y.code && x.clearance == y.clearance;
  };
  return a.orgs == b.orgs &&
         std::equal(a.intents.begin(), a.intents.end(), b.intents.begin(), b.intents.end(), same);
}

}  // namespace

Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::create(const config::Config& config, const Clock& clock,
                                               uint32_t workers, const OrgIndexOf& org_index_of) {
  std::unique_ptr<Engine> engine(new Engine(clock, workers));
  if (auto done = engine->open_store(config.policy.store); !done)
    return tl::unexpected(std::move(done.error()));
  if (auto done = engine->configure(config, org_index_of); !done)
    return tl::unexpected(std::move(done.error()));
  return engine;
}

Result<void> Engine::open_store(const std::string& path) {
  if (const auto folder = std::filesystem::path(path).parent_path(); !folder.empty()) {
    std::error_code ignored;  // opening the file says what is wrong
    std::filesystem::create_directories(folder, ignored);
  }
  auto store = Store::open(path.empty() ? ":memory:" : path);
  if (!store) return tl::unexpected(std::move(store.error()));
  store_ = std::move(*store);
  for (const char* kind : {"role", "group"}) {
    auto names = store_->names(kind);
    if (!names) return tl::unexpected(std::move(names.error()));
    Names& known = kind[0] == 'r' ? vocabulary_.roles : vocabulary_.groups;
    for (const std::string& name : *names)
      if (auto number = known.intern(name); !number) return tl::unexpected(number.error());
  }
  return {};
}

Result<void> Engine::save_names() {
  return store_->save_names("role", vocabulary_.roles.all()).and_then([this] {
    return store_->save_names("group", vocabulary_.groups.all());
  });
}

void Engine::set_orgs(const config::Config& config, const OrgIndexOf& org_index_of) {
  orgs_.clear();
  org_indexes_.clear();
  for (const config::Organisation& o : config.organisations) {
    const OrgIndex index =
        org_index_of ? org_index_of(o.id) : static_cast<OrgIndex>(org_indexes_.size());
    if (index == kNoOrg) continue;
    if (orgs_.size() <= index) orgs_.resize(index + 1, kNoOrgId);
    orgs_[index] = o.id;
    org_indexes_[o.id] = index;
  }
}

Result<void> Engine::configure(const config::Config& config, const OrgIndexOf& org_index_of) {
  const Vocabulary vocabulary = vocabulary_;
  const OrgIds orgs = orgs_;
  const auto org_indexes = org_indexes_;
  vocabulary_.configure(config);
  set_orgs(config, org_index_of);
  // Stored versions speak of names: with other names they mean something else.
  const bool renamed = !same_names(vocabulary, vocabulary_) || orgs != orgs_;
  std::map<uint32_t, LoadedVersion> loaded;
  if (renamed) loaded.swap(loaded_);
  auto done = take_over(config);
  if (!done) {
    vocabulary_ = vocabulary;
    orgs_ = orgs;
    org_indexes_ = org_indexes;
    if (renamed) loaded_.swap(loaded);
    return done;
  }
  table_stale_ = true;
  return {};
}

// All that can fail comes before anything is in force: organisations' indexes belong to a
// configuration, and workers must not see them with a program of the one before.
Result<void> Engine::take_over(const config::Config& config) {
  auto rules = configured_rules(config);
  if (!rules) return tl::unexpected(std::move(rules.error()));
  auto rows = identity_.read(config);
  if (!rows) return tl::unexpected(std::move(rows.error()));
  const std::string hash = sha256_hex(rules->text);
  const auto version = add_configured_rules(std::move(*rules), hash);
  if (!version) return tl::unexpected(version.error());
  const bool is_new = *version != 0;
  for (const uint32_t v : {is_new ? *version : active_.base, is_new ? 0 : active_.candidate})
    if (auto done = wait_for_program(v); !done) return done;
  if (auto saved = save_names(); !saved) return saved;
  if (is_new) {
    ActivateRequest request;
    request.version = *version;
    request.author = "configuration";
    if (auto done = activate(request); !done) return tl::unexpected(std::move(done.error()));
  }
  rules_file_hash_ = hash;
  identity_.take(std::move(*rows), org_indexes_);
  return {};
}

Result<void> Engine::wait_for_program(uint32_t version) {
  if (version == 0) return {};
  if (const auto v = loaded(version); !v) return tl::unexpected(v.error());
  LoadedVersion& v = loaded_[version];
  if (!v.program && !v.compiling.valid()) start_compiling(v);
  if (ready(v, true)) return {};
  return fail(ErrorCode::invalid, "policy version {} does not compile: {}", version, v.problem);
}

Result<Engine::ConfiguredRules> Engine::configured_rules(const config::Config& config) {
  const std::string& path = config.policy.file;
  auto text = path.empty() ? Result<std::string>(kDefaultRules) : read_file(path);
  if (!text) return tl::unexpected(std::move(text.error()));
  const std::string source = path.empty() ? "shipped" : path;
  auto rules = load_rules(*text, source, vocabulary_, NameCheck::strict);
  if (!rules) return tl::unexpected(std::move(rules.error()));
  return ConfiguredRules{std::move(*text), source, std::move(*rules)};
}

// A text that was never stored becomes a version, to be activated for all; a known one leaves what
// was activated last as it is: 0.
Result<uint32_t> Engine::add_configured_rules(ConfiguredRules&& configured,
                                              const std::string& hash) {
  auto known = store_->find(hash);
  if (!known) return tl::unexpected(std::move(known.error()));
  if (*known && active_.base == 0)
    if (auto restored = restore_activation(); !restored) return tl::unexpected(restored.error());
  if (hash == rules_file_hash_ || (*known && active_.base != 0)) return 0;
  // Versions are for ever: what does not compile must not become one.
  if (auto tried = compile(configured.rules, orgs_, workers_); !tried)
    return fail(tried.error().code, "{}: {}", configured.source, tried.error().message);
  return add(configured.text, std::move(configured.rules), "configuration", configured.source);
}

Result<void> Engine::restore_activation() {
  auto history = store_->activations();
  if (!history) return tl::unexpected(std::move(history.error()));
  if (!history->empty()) active_ = history->back();
  return {};
}

Result<uint32_t> Engine::load(const std::string& text, const std::string& author,
                              const std::string& source) {
  auto rules = load_rules(text, source, vocabulary_, NameCheck::strict);
  if (!rules) return tl::unexpected(std::move(rules.error()));
  return add(text, std::move(*rules), author, source);
}

Result<uint32_t> Engine::add(const std::string& text, RuleSet&& rules, const std::string& author,
                             const std::string& source) {
  VersionInfo info;
  info.author = author;
  info.source = source;
  info.loaded_us = clock_.unix_us();
  info.rules = static_cast<uint32_t>(rules.rules.size());
  const auto version = store_->add(text, info);
  if (!version) return version;
  if (auto saved = save_names(); !saved) return tl::unexpected(std::move(saved.error()));
  LoadedVersion& v = loaded_[*version];
  if (v.rules.version == 0) {
    v.rules = std::move(rules);
    v.rules.version = *version;
  }
  return version;
}

Result<const LoadedVersion*> Engine::loaded(uint32_t version) {
  if (const auto it = loaded_.find(version); it != loaded_.end()) return &it->second;
  auto text = store_->text(version);
  if (!text) return tl::unexpected(std::move(text.error()));
  auto rules =
      load_rules(*text, fmt::format("version {}", version), vocabulary_, NameCheck::lenient);
  if (!rules) return tl::unexpected(std::move(rules.error()));
  if (loaded_.size() >= kLoadedMax)
    std::erase_if(loaded_, [this](const auto& entry) {
      return entry.first != active_.base && entry.first != active_.candidate;
    });
  LoadedVersion& v = loaded_[version];
  v.rules = std::move(*rules);
  v.rules.version = version;
  return &v;
}

void Engine::start_compiling(LoadedVersion& v) {
  const RuleSet& rules = v.rules;
  if (rules.rules.size() <= kCompileInline && rules.patterns.empty()) {
    std::promise<Result<std::shared_ptr<const Program>>> done;
    done.set_value(compile(rules, orgs_, workers_));
    v.compiling = done.get_future();
    return;
  }
  // The rules stay where they are until the future is taken: loaded_ is a map, and the versions
  // that are being compiled are active ones, which are not evicted.
  v.compiling = std::async(std::launch::async, [&rules, orgs = orgs_, workers = workers_] {
    return compile(rules, orgs, workers);
  });
}

bool Engine::ready(LoadedVersion& v, bool wait) {
  if (v.program) return true;
  if (!v.compiling.valid()) return false;
  if (!wait && v.compiling.wait_for(std::chrono::seconds(0)) != std::future_status::ready)
    return false;
  auto program = v.compiling.get();
  if (!program) {
    v.problem = std::move(program.error().message);
    return false;
  }
  v.program = std::move(*program);
  v.patterns = v.program->patterns;
  return true;
}

bool Engine::is_compiling() const {
  return std::any_of(loaded_.begin(), loaded_.end(),
                     [](const auto& entry) { return entry.second.compiling.valid(); });
}

OrgIndex Engine::org_index(uint32_t org_id) const {
  const auto it = org_indexes_.find(org_id);
  return it == org_indexes_.end() ? kNoOrg : it->second;
}

Result<Answer> Engine::evaluate(const Inputs& inputs, std::optional<uint32_t> version) {
  const uint32_t number = version.value_or(version_of(inputs.org_id));
  const auto v = loaded(number);
  if (!v) return tl::unexpected(v.error());
  const Program* program = (*v)->program.get();
  const Decision decision = program ? run_compiled(*program, inputs, org_index(inputs.org_id))
                                    : policy::evaluate((*v)->rules, inputs);
  return Answer{decision, number};
}

uint32_t Engine::scan_payload(uint32_t version, std::string_view payload) {
  if (!loaded(version)) return 0;
  LoadedVersion& v = loaded_[version];
  if (!v.patterns && !v.rules.patterns.empty())
    if (auto database = compile_patterns(v.rules.patterns)) v.patterns = std::move(*database);
  return scan_patterns(v.patterns.get(), payload.data(), payload.size());
}

Result<std::shared_ptr<const Table>> Engine::table() {
  const identity::Table identity = identity_.tables();
  if (table_ && !table_stale_ && table_->identity.operators == identity.operators &&
      table_->identity.targets == identity.targets)
    return table_;
  if (auto made = make_table(); !made) return tl::unexpected(std::move(made.error()));
  return table_;
}

Result<void> Engine::make_table() {
  auto next = std::make_shared<Table>();
  next->identity = identity_.tables();
  const auto program_of = [this](uint32_t version) -> std::shared_ptr<const Program> {
    const auto it = loaded_.find(version);
    return it != loaded_.end() && ready(it->second, false) ? it->second.program : nullptr;
  };
  const auto base = program_of(active_.base);
  const auto candidate = active_.candidate ? program_of(active_.candidate) : nullptr;
  if (!base || (active_.candidate && !candidate)) {
    // Not compiled yet: workers keep the programs that they have.
    if (!table_)
      return fail(ErrorCode::conflict, "policy version {} is not compiled", active_.base);
    next->programs[0] = table_->programs[0];
    next->programs[1] = table_->programs[1];
    next->org_program = table_->org_program;
  } else {
    next->programs[0] = base;
    next->programs[1] = candidate;
    if (candidate)
      for (const uint32_t org : orgs_)
        next->org_program.push_back(org != kNoOrgId && is_candidate_org(active_, org));
    table_stale_ = false;
  }
  table_ = std::move(next);
  return {};
}

}  // namespace lf::policy
