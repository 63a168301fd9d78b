// SPDX-License-Identifier: Apache-2.0
#include "control/policy/parse.hpp"

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "control/policy/condition_parser.hpp"
#include "control/policy/parse_bands.hpp"
#include "control/policy/patterns.hpp"

namespace lf::policy {
namespace {

constexpr size_t kTextMax = 32u << 20;
constexpr size_t kIdMax = 64;
constexpr size_t kAlternativesMax = 64;
constexpr int kPriorityMax = 1'000'000;

bool is_identifier(std::string_view text) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !text.empty() && text.size() <= kIdMax && std::all_of(text.begin(), text.end(), good);
}

class DocumentParser {
 public:
  DocumentParser(Vocabulary& vocabulary, NameCheck names)
      : vocabulary_(vocabulary), names_(names) {}

  Parsed parse(std::string_view text);

 private:
  void document(const YAML::Node& root);
  void lists(const YAML::Node& map);
  void patterns(const YAML::Node& map);
  void pattern(const std::string& name, const YAML::Node& value);
  void rules(const YAML::Node& list);
  void rule(const YAML::Node& map, ConditionParser& conditions);
  void rule_key(Rule& rule, const std::string& key, const YAML::Node& value,
                ConditionParser& conditions);
  void rule_id(Rule& rule, const YAML::Node& value);
  void priority(Rule& rule, const YAML::Node& value);
  void outcome(Rule& rule, const YAML::Node& value);
  void when(Rule& rule, const YAML::Node& value, ConditionParser& conditions);

  Vocabulary& vocabulary_;
  NameCheck names_;
  Diagnostics diagnostics_;
  Lists lists_;
  RuleSet set_;
  std::unordered_map<std::string, uint32_t> id_lines_;
  size_t rows_ = 0;
};

Parsed DocumentParser::parse(std::string_view text) {
  Parsed parsed;
  const Names roles = vocabulary_.roles, groups = vocabulary_.groups;
  if (text.size() > kTextMax) {
    diagnostics_.error(YAML::Mark::null_mark(), "longer than {} MB", kTextMax >> 20);
  } else {
    try {
      document(YAML::Load(std::string(text)));
    } catch (const YAML::Exception& e) {
      diagnostics_.error(e.mark, "not YAML: {}", e.msg);
    }
  }
  if (diagnostics_.errors() > 0) {
    vocabulary_.roles = roles;
    vocabulary_.groups = groups;
  }
  parsed.rules = std::move(set_);
  parsed.diagnostics = diagnostics_.take();
  return parsed;
}

void DocumentParser::document(const YAML::Node& root) {
  if (!root.IsMap()) {
    // An empty text has no position of its own.
    diagnostics_.error(root.Mark().is_null() ? YAML::Mark() : root.Mark(),
                       "expected a map with the key 'rules'");
    return;
  }
  // Lists and patterns first: rules refer to them, wherever they stand in the text.
  if (const YAML::Node n = root["lists"]) lists(n);
  if (const YAML::Node n = root["patterns"]) patterns(n);
  bool have_rules = false;
  for_each_key(root, "policy",
               {"description", "lists", "patterns", "rules", "approvals", "escalation", "tags"},
               diagnostics_,
               [&](const std::string& key, const YAML::Node&, const YAML::Node& value) {
                 if (key == "description") {
                   if (value.IsScalar())
                     set_.description = value.Scalar();
                   else
                     diagnostics_.error(value.Mark(), "description must be text");
                 }
                 if (key == "rules") {
                   have_rules = true;
                   rules(value);
                 }
               });
  if (!have_rules) diagnostics_.error(root.Mark(), "the key 'rules' is missing");
  ConditionParser conditions(diagnostics_, vocabulary_, lists_, set_.patterns, names_);
  parse_bands(root, conditions, diagnostics_, set_);
}

void DocumentParser::lists(const YAML::Node& map) {
  if (!map.IsMap()) {
    diagnostics_.error(map.Mark(), "lists must be a map of lists");
    return;
  }
  for_each_key(map, "lists", {}, diagnostics_,
               [&](const std::string& name, const YAML::Node& key, const YAML::Node& value) {
                 if (!is_identifier(name))
                   diagnostics_.error(key.Mark(), "'{}' is no name for a list", name);
                 if (!value.IsSequence() || value.size() == 0) {
                   diagnostics_.error(value.Mark(), "list '{}' must be a list with values", name);
                   return;
                 }
                 auto& list = lists_[name];
                 for (const YAML::Node& item : value) {
                   if (!item.IsScalar() || item.Scalar().empty() || item.Scalar().front() == '$')
                     diagnostics_.error(item.Mark(), "list '{}': expected a plain value", name);
                   else
                     list.push_back(item);
                 }
               });
}

void DocumentParser::patterns(const YAML::Node& map) {
  if (!map.IsMap()) {
    diagnostics_.error(map.Mark(), "patterns must be a map of name: expression");
    return;
  }
  for_each_key(map, "patterns", {}, diagnostics_,
               [&](const std::string& name, const YAML::Node& key, const YAML::Node& value) {
                 if (!is_identifier(name))
                   diagnostics_.error(key.Mark(), "'{}' is no name for a pattern", name);
                 else if (set_.patterns.size() >= kPatternsMax)
                   diagnostics_.error(key.Mark(), "more than {} patterns", kPatternsMax);
                 else
                   pattern(name, value);
               });
}

void DocumentParser::pattern(const std::string& name, const YAML::Node& value) {
  Pattern p{name, "", kPatternDefault};
  if (value.IsScalar()) {
    p.expression = value.Scalar();
  } else if (value.IsMap()) {
    for_each_key(value, "pattern", {"regex", "caseless", "multiline"}, diagnostics_,
                 [&](const std::string& key, const YAML::Node&, const YAML::Node& v) {
                   if (!v.IsScalar()) {
                     diagnostics_.error(v.Mark(), "pattern '{}': '{}' must be text", name, key);
                   } else if (key == "regex") {
                     p.expression = v.Scalar();
                   } else if (v.Scalar() == "true") {
                     p.flags |= key == "caseless" ? kPatternCaseless : kPatternMultiline;
                   } else if (v.Scalar() != "false") {
                     diagnostics_.error(v.Mark(), "pattern '{}': {} must be true or false", name,
                                        key);
                   }
                 });
  }
  if (const auto why = pattern_error(p))
    diagnostics_.error(value.Mark(), "pattern '{}': {}", name, *why);
  set_.patterns.push_back(std::move(p));
}

void DocumentParser::rules(const YAML::Node& list) {
  if (!list.IsSequence() || list.size() == 0) {
    diagnostics_.error(list.Mark(), "rules must be a list with at least one rule");
    return;
  }
  if (list.size() > kRulesMax) {
    diagnostics_.error(list.Mark(), "more than {} rules", kRulesMax);
    return;
  }
  ConditionParser conditions(diagnostics_, vocabulary_, lists_, set_.patterns, names_);
  set_.rules.reserve(list.size());
  for (const YAML::Node& node : list) rule(node, conditions);
  if (rows_ > kRowsMax)
    diagnostics_.error(list.Mark(), "more than {} alternatives in all rules", kRowsMax);
  std::stable_sort(set_.rules.begin(), set_.rules.end(),
                   [](const Rule& a, const Rule& b) { return a.priority < b.priority; });
}

void DocumentParser::rule(const YAML::Node& map, ConditionParser& conditions) {
  if (!map.IsMap()) {
    diagnostics_.error(map.Mark(), "a rule must be a map with id and outcome");
    return;
  }
  Rule r;
  r.line = static_cast<uint32_t>(map.Mark().line + 1);
  r.column = static_cast<uint32_t>(map.Mark().column + 1);
  bool has_id = false, has_outcome = false;
  for_each_key(map, "rule", {"id", "priority", "outcome", "when", "reason"}, diagnostics_,
               [&](const std::string& key, const YAML::Node&, const YAML::Node& value) {
                 has_id |= key == "id";
                 has_outcome |= key == "outcome";
                 rule_key(r, key, value, conditions);
               });
  if (!has_id) diagnostics_.error(map.Mark(), "rule without an id");
  if (!has_outcome) diagnostics_.error(map.Mark(), "rule '{}' without an outcome", r.id);
  if (r.alternatives.empty()) r.alternatives.emplace_back();
  rows_ += r.alternatives.size();
  set_.rules.push_back(std::move(r));
}

void DocumentParser::rule_key(Rule& rule, const std::string& key, const YAML::Node& value,
                              ConditionParser& conditions) {
  if (key == "id") rule_id(rule, value);
  if (key == "priority") priority(rule, value);
  if (key == "outcome") outcome(rule, value);
  if (key == "when") when(rule, value, conditions);
  if (key == "reason") {
    if (value.IsScalar() && value.Scalar().size() <= 200)
      rule.reason = value.Scalar();
    else
      diagnostics_.error(value.Mark(), "reason must be text of at most 200 bytes");
  }
}

void DocumentParser::rule_id(Rule& rule, const YAML::Node& value) {
  if (!value.IsScalar() || !is_identifier(value.Scalar())) {
    diagnostics_.error(value.Mark(), "an id has 1..{} letters, digits, '-', '_' or '.'", kIdMax);
    return;
  }
  rule.id = value.Scalar();
  const auto [known, added] =
      id_lines_.emplace(rule.id, static_cast<uint32_t>(value.Mark().line + 1));
  if (!added)
    diagnostics_.error(value.Mark(), "rule id '{}' was used in line {} already", rule.id,
                       known->second);
}

void DocumentParser::priority(Rule& rule, const YAML::Node& value) {
  int n = 0;
  const std::string text = value.IsScalar() ? value.Scalar() : "";
  const auto end = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || end.ec != std::errc() || end.ptr != text.data() + text.size())
    diagnostics_.error(value.Mark(), "priority must be a whole number");
  else if (n < 0 || n > kPriorityMax)
    diagnostics_.error(value.Mark(), "priority {} is outside 0..{}", n, kPriorityMax);
  rule.priority = n;
}

void DocumentParser::outcome(Rule& rule, const YAML::Node& value) {
  const std::string text = value.IsScalar() ? value.Scalar() : "";
  if (text == "allow")
    rule.outcome = PolicyOutcome::allow;
  else if (text == "deny")
    rule.outcome = PolicyOutcome::deny;
  else if (text == "hold")
    rule.outcome = PolicyOutcome::hold;
  else
    diagnostics_.error(value.Mark(), "outcome '{}' is none of allow, deny, hold", text);
}

void DocumentParser::when(Rule& rule, const YAML::Node& value, ConditionParser& conditions) {
  if (!value.IsSequence()) {
    rule.alternatives.push_back(conditions.parse(value));
    return;
  }
  if (value.size() == 0 || value.size() > kAlternativesMax)
    diagnostics_.error(value.Mark(), "when must list 1..{} alternatives", kAlternativesMax);
  for (const YAML::Node& alternative : value)
    rule.alternatives.push_back(conditions.parse(alternative));
}

}  // namespace

std::string to_text(const Diagnostic& d, std::string_view source) {
  if (d.line == 0) return fmt::format("{}: {}", source, d.message);
  return fmt::format("{}:{}:{}: {}", source, d.line, d.column, d.message);
}

bool Parsed::ok() const {
  return std::none_of(diagnostics.begin(), diagnostics.end(),
                      [](const Diagnostic& d) { return d.error; });
}

Parsed parse_rules(std::string_view text, Vocabulary& vocabulary, NameCheck names) {
  return DocumentParser(vocabulary, names).parse(text);
}

Result<RuleSet> load_rules(std::string_view text, std::string_view source, Vocabulary& vocabulary,
                           NameCheck names) {
  Parsed parsed = parse_rules(text, vocabulary, names);
  const auto errors = std::count_if(parsed.diagnostics.begin(), parsed.diagnostics.end(),
                                    [](const Diagnostic& d) { return d.error; });
  if (errors == 0) return std::move(parsed.rules);
  const auto first = std::find_if(parsed.diagnostics.begin(), parsed.diagnostics.end(),
                                  [](const Diagnostic& d) { return d.error; });
  std::string message = to_text(*first, source);
  if (errors > 1) message += fmt::format(" (and {} more)", errors - 1);
  return tl::unexpected(Error{ErrorCode::invalid, std::move(message)});
}

}  // namespace lf::policy
