// SPDX-License-Identifier: Apache-2.0
// Compiles a rule set into the Program that workers run. Takes microseconds for the shipped rules
// and tens of milliseconds for ten thousand: the engine calls it on a helper thread when a set is
// large. Pure; any thread.
#pragma once

#include <memory>

#include "control/base/result.hpp"
#include "control/policy/classes.hpp"
#include "control/policy/rules.hpp"

namespace lf::policy {

struct CompileLimits {
  uint32_t group_entries = 1u << 14;  // values of the small dimensions taken together
  uint32_t merge_entries = 1u << 17;  // entries of one merge table
  uint64_t merge_bytes = 16u << 20;   // bitmaps that one merge may make
  uint64_t total_bytes = 256u << 20;  // of the whole program; more: refused
};

// workers: how many get a Hyperscan scratch of their own.
Result<std::shared_ptr<const Program>> compile(const RuleSet& rules, const OrgIds& orgs,
                                               uint32_t workers, const CompileLimits& limits = {});

}  // namespace lf::policy
