// SPDX-License-Identifier: Apache-2.0
// Rules from YAML (docs/policy.md is the language reference). A text is taken whole or not at all;
// every complaint carries line and column. Called on the control thread and by `policy check`;
// reads no files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/base/result.hpp"
#include "control/policy/rules.hpp"
#include "control/policy/vocabulary.hpp"

namespace lf::policy {

struct Diagnostic {
  bool error = true;              // else a warning
  uint32_t line = 0, column = 0;  // from 1; 0: the text as a whole
  std::string message;
};

// "name:line:column: message"
std::string to_text(const Diagnostic& diagnostic, std::string_view source);

enum class NameCheck : uint8_t {
  strict,   // an intent or organisation that is not configured is an error
  lenient,  // it matches nothing: for stored versions, which outlive configurations
};

struct Parsed {
  RuleSet rules;  // complete only when ok()
  std::vector<Diagnostic> diagnostics;
  bool ok() const;
};

// Roles and target groups that only these rules name are added to the vocabulary, on success.
Parsed parse_rules(std::string_view text, Vocabulary& vocabulary, NameCheck names);

// The same; fails with the first error.
Result<RuleSet> load_rules(std::string_view text, std::string_view source, Vocabulary& vocabulary,
                           NameCheck names);

}  // namespace lf::policy
