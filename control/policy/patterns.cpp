// SPDX-License-Identifier: Apache-2.0
#include "control/policy/patterns.hpp"

#include <hs/hs.h>

namespace lf::policy {
namespace {

static_assert(kPatternCaseless == HS_FLAG_CASELESS && kPatternMultiline == HS_FLAG_MULTILINE);
static_assert(kPatternDefault == (HS_FLAG_DOTALL | HS_FLAG_SINGLEMATCH));

constexpr size_t kExpressionMax = 1024;

std::string taken(hs_compile_error_t* error) {
  std::string message = error ? error->message : "out of memory";
  hs_free_compile_error(error);
  return message;
}

int on_match(unsigned id, unsigned long long, unsigned long long, unsigned, void* bits) {
  *static_cast<uint32_t*>(bits) |= 1u << id;
  return 0;
}

}  // namespace

std::optional<std::string> pattern_error(const Pattern& pattern) {
  if (pattern.expression.empty()) return "no expression";
  if (pattern.expression.size() > kExpressionMax)
    return "expression longer than " + std::to_string(kExpressionMax) + " bytes";
  if (pattern.expression.find('\0') != std::string::npos) return "NUL in the expression";
  hs_expr_info_t* info = nullptr;
  hs_compile_error_t* error = nullptr;
  if (hs_expression_info(pattern.expression.c_str(), pattern.flags, &info, &error) != HS_SUCCESS)
    return taken(error);
  const bool matches_empty = info->min_width == 0;
  free(info);
  if (matches_empty) return "matches the empty payload";
  return std::nullopt;
}

Result<std::shared_ptr<hs_database>> compile_patterns(const std::vector<Pattern>& patterns) {
  if (patterns.empty()) return nullptr;
  std::vector<const char*> expressions;
  std::vector<unsigned> flags, ids;
  for (const Pattern& p : patterns) {
    expressions.push_back(p.expression.c_str());
    flags.push_back(p.flags);
    ids.push_back(static_cast<unsigned>(ids.size()));
  }
  hs_database_t* database = nullptr;
  hs_compile_error_t* error = nullptr;
  if (hs_compile_multi(expressions.data(), flags.data(), ids.data(),
                       static_cast<unsigned>(ids.size()), HS_MODE_BLOCK, nullptr, &database,
                       &error) != HS_SUCCESS)
    return fail(ErrorCode::invalid, "patterns: {}", taken(error));
  return std::shared_ptr<hs_database>(database, hs_free_database);
}

uint32_t scan_patterns(const hs_database* database, const void* bytes, size_t size) {
  uint32_t bits = 0;
  hs_scratch_t* scratch = nullptr;
  if (!database || hs_alloc_scratch(database, &scratch) != HS_SUCCESS) return 0;
  hs_scan(database, static_cast<const char*>(bytes), static_cast<unsigned>(size), 0, scratch,
          on_match, &bits);
  hs_free_scratch(scratch);
  return bits;
}

}  // namespace lf::policy
