// SPDX-License-Identifier: Apache-2.0
// The values of conditions: numbers with sets and ranges, names with lists and negation. Part of
// the rule parser; used by parse.cpp and parse_bands.cpp alone.
#pragma once

#include <yaml-cpp/yaml.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "control/policy/parse.hpp"

namespace lf::policy {

class Diagnostics {
 public:
  template <typename... Args>
  void error(const YAML::Mark& mark, fmt::format_string<Args...> format, Args&&... args) {
    add(true, mark, fmt::format(format, std::forward<Args>(args)...));
  }
  template <typename... Args>
  void warning(const YAML::Mark& mark, fmt::format_string<Args...> format, Args&&... args) {
    add(false, mark, fmt::format(format, std::forward<Args>(args)...));
  }
  uint32_t errors() const { return errors_; }
  std::vector<Diagnostic> take() { return std::move(list_); }

 private:
  void add(bool error, const YAML::Mark& mark, std::string message);
  std::vector<Diagnostic> list_;
  uint32_t errors_ = 0;
};

// Calls f(key, key node, value) for each entry of a map whose keys are in `known`; complains about
// other keys, keys that come twice and keys that are no text.
void for_each_key(
    const YAML::Node& map, std::string_view what, const std::vector<std::string_view>& known,
    Diagnostics& diagnostics,
    const std::function<void(const std::string&, const YAML::Node&, const YAML::Node&)>& f);

using Lists = std::map<std::string, std::vector<YAML::Node>, std::less<>>;

class ConditionParser {
 public:
  ConditionParser(Diagnostics& diagnostics, Vocabulary& vocabulary, const Lists& lists,
                  const std::vector<Pattern>& patterns, NameCheck names)
      : diagnostics_(diagnostics),
        vocabulary_(vocabulary),
        lists_(lists),
        patterns_(patterns),
        names_(names) {}

  Condition parse(const YAML::Node& map);
  std::vector<Range> risk(const YAML::Node& value);

 private:
  struct Items {
    bool negated = false;
    std::vector<YAML::Node> scalars;
  };
  using Intern = std::function<int64_t(const YAML::Node&)>;  // < 0: matches nothing

  void set(Condition& c, const std::string& key, const YAML::Node& key_node,
           const YAML::Node& value);
  Items items(const YAML::Node& value);
  void expand(const YAML::Node& value, std::vector<YAML::Node>& out, bool nested);
  std::vector<Range> ranges(const Items& items, int low, int high, int scale);
  bool range(const YAML::Node& scalar, int low, int high, int scale, Range& out);
  uint16_t small(const YAML::Node& value, int low, int high);
  void intents(Condition& c, const YAML::Node& value);
  void intent_clearance(Condition& c, const YAML::Node& value);
  IdSet ids(const YAML::Node& value, const Intern& intern);
  BitTest bits(const YAML::Node& value, const Intern& intern);
  int64_t intent_code(const YAML::Node& scalar);
  int64_t org(const YAML::Node& scalar);
  int64_t named(Names& names, const YAML::Node& scalar);
  int64_t pattern(const YAML::Node& scalar);

  Diagnostics& diagnostics_;
  Vocabulary& vocabulary_;
  const Lists& lists_;
  const std::vector<Pattern>& patterns_;
  NameCheck names_;
};

}  // namespace lf::policy
