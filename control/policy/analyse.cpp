// SPDX-License-Identifier: Apache-2.0
#include "control/policy/analyse.hpp"

#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <set>

#include "control/policy/evaluate.hpp"
#include "control/policy/region_text.hpp"
#include "control/policy/walk.hpp"

namespace lf::policy {
namespace {

uint32_t patterns_mentioned(const RowList& list) {
  uint32_t mask = 0;
  for (const Condition* c : list.rows) mask |= c->patterns.mentioned();
  return mask;
}

bool too_wide(const RowList& list) {
  return std::popcount(list.role_mask) > kRolesMentionedMax ||
         std::popcount(patterns_mentioned(list)) > kRolesMentionedMax;
}

// Rows [from, to) that can still be the first to match: up to the first that nothing open can keep
// from matching. Calls f(row); tells whether there is such a certain row.
template <typename F>
bool each_possible(const Walk& walk, const Bits& rows, uint32_t open, uint32_t from, uint32_t to,
                   F f) {
  for (uint32_t r = from; r < to; ++r) {
    if (r % 64 == 0 && rows[r / 64] == 0) {
      r += 63;
      continue;
    }
    if (!test(rows, r)) continue;
    f(r);
    if ((walk.constrained(r) & open) == 0) return true;
  }
  return false;
}

// The rows of one rule set inside the common list.
struct Side {
  uint32_t from = 0, to = 0;
  std::vector<PolicyOutcome> outcomes;  // by row - from

  // Bit o: outcome o is still possible.
  uint32_t possible(const Walk& walk, const Bits& rows, uint32_t open) const {
    uint32_t mask = 0;
    const bool certain = each_possible(walk, rows, open, from, to, [&](uint32_t r) {
      mask |= 1u << static_cast<uint32_t>(outcomes[r - from]);
    });
    return certain ? mask : mask | 1u << static_cast<uint32_t>(PolicyOutcome::deny);
  }
};

Side append_side(const RuleSet& rules, RowList& list) {
  Side side;
  side.from = static_cast<uint32_t>(list.rows.size());
  append_rows(rules, list);
  side.to = static_cast<uint32_t>(list.rows.size());
  for (const Rule& rule : rules.rules)
    side.outcomes.insert(side.outcomes.end(), rule.alternatives.size(), rule.outcome);
  return side;
}

// Numbers the patterns of both sets together; the same expression is the same pattern.
std::vector<Pattern> join_patterns(const RuleSet& before, RuleSet& after) {
  std::vector<Pattern> all = before.patterns;
  std::vector<uint32_t> place;
  for (const Pattern& p : after.patterns) {
    const auto same = std::find_if(all.begin(), all.end(), [&](const Pattern& q) {
      return q.expression == p.expression && q.flags == p.flags;
    });
    place.push_back(static_cast<uint32_t>(same - all.begin()));
    if (same == all.end()) all.push_back(p);
  }
  const auto moved = [&](uint32_t mask) {
    uint32_t out = 0;
    for (; mask; mask &= mask - 1) out |= 1u << (place[std::countr_zero(mask)] % 32);
    return out;
  };
  for (Rule& rule : after.rules)
    for (Condition& c : rule.alternatives)
      c.patterns = {moved(c.patterns.any), moved(c.patterns.all), moved(c.patterns.none)};
  return all;
}

struct Found {
  Walk::Region region;
  uint32_t before, after;
};

// Joins regions that differ in one dimension only, until none do.
void merge_regions(std::vector<Found>& found) {
  constexpr size_t kMergeMax = 2000;  // beyond: left as they are
  if (found.size() > kMergeMax) return;
  for (uint32_t d = 0; d < kWalkDims; ++d) {
    const auto rest = [d](const Found& f) {
      Walk::Region r = f.region;
      r[d].clear();
      return std::tuple(f.before, f.after, r);
    };
    std::stable_sort(found.begin(), found.end(),
                     [&](const Found& a, const Found& b) { return rest(a) < rest(b); });
    std::vector<Found> merged;
    for (Found& f : found) {
      if (merged.empty() || rest(merged.back()) != rest(f)) {
        merged.push_back(std::move(f));
        continue;
      }
      auto& classes = merged.back().region[d];
      classes.insert(classes.end(), f.region[d].begin(), f.region[d].end());
      std::sort(classes.begin(), classes.end());
    }
    found = std::move(merged);
  }
}

Diagnostic warning(const Rule& rule, std::string message) {
  return {false, rule.line, rule.column, std::move(message)};
}

std::vector<Diagnostic> unreached(const RuleSet& rules, const std::vector<bool>& reached) {
  std::vector<Diagnostic> warnings;
  size_t row = 0;
  for (const Rule& rule : rules.rules) {
    const size_t first = row;
    row += rule.alternatives.size();
    const auto hit = std::count(reached.begin() + static_cast<ptrdiff_t>(first),
                                reached.begin() + static_cast<ptrdiff_t>(row), true);
    if (hit == 0) {
      warnings.push_back(warning(
          rule, fmt::format("rule '{}' can never match: rules before it, or its own conditions, "
                            "leave nothing",
                            rule.id)));
      continue;
    }
    for (size_t r = first; r < row; ++r)
      if (!reached[r])
        warnings.push_back(warning(rule, fmt::format("rule '{}': alternative {} can never match",
                                                     rule.id, r - first + 1)));
  }
  return warnings;
}

}  // namespace

std::string to_text(const Conditions& conditions) {
  if (conditions.empty()) return "everything";
  std::string text;
  for (const auto& [name, value] : conditions)
    text += (text.empty() ? "" : ", ") + name + " " + value;
  return text;
}

bool Differences::contains(const Difference& d, const Inputs& inputs, OrgIndex org) const {
  const Inputs in = normalized(inputs);
  const auto at = [&](uint32_t dim, uint32_t value) {
    const auto& of_value = maps[dim].of_value;
    const uint32_t c = of_value[std::min<size_t>(value, of_value.size() - 1)];
    return std::find(d.classes[dim].begin(), d.classes[dim].end(), c) != d.classes[dim].end();
  };
  const uint32_t values[] = {in.clearance,  in.mfa_level,
                             in.severity,   in.comms_degraded,
                             in.intent,     _pext_u32(in.role_bits, role_mask),
                             in.risk_centi, org,
                             in.group,      _pext_u32(in.pattern_bits, pattern_mask)};
  for (uint32_t dim = 0; dim < kWalkDims; ++dim)
    if (!at(dim, values[dim])) return false;
  return true;
}

Result<Differences> differences(const RuleSet& before, const RuleSet& after,
                                const Vocabulary& vocabulary, const OrgIds& orgs, uint64_t steps) {
  RuleSet renumbered = after;
  const std::vector<Pattern> patterns = join_patterns(before, renumbered);
  RowList list;
  const Side a = append_side(before, list), b = append_side(renumbered, list);
  if (too_wide(list) || patterns.size() > kPatternsMax)
    return fail(ErrorCode::invalid, "the two versions together mention too many roles or patterns");
  const uint32_t pattern_mask = patterns_mentioned(list);
  Walk walk(list, orgs, pattern_mask);
  std::vector<Found> found;
  const bool complete = walk.run(
      steps,
      [&](const Bits& rows, uint32_t open) {
        const uint32_t pa = a.possible(walk, rows, open), pb = b.possible(walk, rows, open);
        return pa == pb && std::has_single_bit(pa);
      },
      [&](const Bits& rows, const Walk::Region& region) {
        found.push_back({region, a.possible(walk, rows, 0), b.possible(walk, rows, 0)});
      });
  if (!complete)
    return fail(ErrorCode::invalid, "the versions are too entangled to compare in {} steps", steps);
  merge_regions(found);
  Differences out;
  out.maps = walk.maps();
  out.role_mask = list.role_mask;
  out.pattern_mask = pattern_mask;
  out.patterns = patterns;
  const RegionText text(walk, vocabulary, orgs, list.role_mask, pattern_mask, patterns);
  for (Found& f : found)
    out.list.push_back(
        {text.conditions(f.region), static_cast<PolicyOutcome>(std::countr_zero(f.before)),
         static_cast<PolicyOutcome>(std::countr_zero(f.after)), std::move(f.region)});
  return out;
}

std::vector<Diagnostic> lint(const RuleSet& rules, const Vocabulary& vocabulary, const OrgIds& orgs,
                             size_t gaps_max, uint64_t steps) {
  RowList list;
  append_rows(rules, list);
  if (too_wide(list))
    return {{false, 0, 0, "too many roles or patterns to look for shadowed rules and gaps"}};
  const uint32_t pattern_mask = patterns_mentioned(list);
  Walk walk(list, orgs, pattern_mask);
  const uint32_t count = static_cast<uint32_t>(list.rows.size());
  std::vector<bool> reached(count);
  std::set<std::pair<uint32_t, Bits>> seen;  // states below which all was looked at
  const bool complete = walk.run(
      steps,
      [&](const Bits& rows, uint32_t open) {
        bool news = false;
        each_possible(walk, rows, open, 0, count, [&](uint32_t r) { news |= !reached[r]; });
        return !news || !seen.emplace(open, rows).second;
      },
      [&](const Bits& rows, const Walk::Region&) { reached[first_bit(rows)] = true; });
  std::vector<Diagnostic> warnings;
  if (complete)
    warnings = unreached(rules, reached);
  else
    warnings.push_back({false, 0, 0, "rules too entangled to look for shadowed ones"});

  std::vector<Found> gaps;
  const bool all_gaps = walk.run(
      steps,
      [&](const Bits& rows, uint32_t open) {
        return gaps.size() > gaps_max * 20 ||
               each_possible(walk, rows, open, 0, count, [](uint32_t) {});
      },
      [&](const Bits&, const Walk::Region& region) {
        gaps.push_back({region, 0, 0});
      });
  merge_regions(gaps);
  const RegionText text(walk, vocabulary, orgs, list.role_mask, pattern_mask, rules.patterns);
  for (size_t g = 0; g < std::min(gaps.size(), gaps_max); ++g)
    warnings.push_back(
        {false, 0, 0,
         "no rule covers: " + to_text(text.conditions(gaps[g].region)) + " (default deny)"});
  if (gaps.size() > gaps_max)
    warnings.push_back({false, 0, 0, "more inputs are covered by the default deny only"});
  if (!all_gaps) warnings.push_back({false, 0, 0, "rules too entangled to find every gap"});
  return warnings;
}

}  // namespace lf::policy
