// SPDX-License-Identifier: Apache-2.0
// Payload patterns: checks one expression, and compiles a rule set's patterns into one Hyperscan
// database. Compiling takes milliseconds to seconds: the engine does it on a helper thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/base/result.hpp"
#include "control/policy/rules.hpp"

struct hs_database;

namespace lf::policy {

// Flags of Hyperscan, by the same values.
inline constexpr uint32_t kPatternCaseless = 1, kPatternMultiline = 4;
inline constexpr uint32_t kPatternDefault = 2 | 8;  // dot matches newlines; report a match once

// Why an expression cannot be used, or nothing.
std::optional<std::string> pattern_error(const Pattern& pattern);

// Pattern n of the list has id n. An empty list gives no database.
Result<std::shared_ptr<hs_database>> compile_patterns(const std::vector<Pattern>& patterns);

// Bits of the patterns that match. Control side: allocates; any thread.
uint32_t scan_patterns(const hs_database* database, const void* bytes, size_t size);

}  // namespace lf::policy
