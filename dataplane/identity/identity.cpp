// SPDX-License-Identifier: Apache-2.0
#include "dataplane/identity/identity.hpp"

#include <algorithm>

namespace lf::identity {
namespace {

bool is_free(const OperatorRow& row) noexcept {
  return row.orgs == kFreeRow;
}
bool is_free(const TargetRow& row) noexcept {
  return row.group == TargetRow::kFree;
}

// The row of an id whose home is line `at`, or null.
template <typename Table>
[[gnu::always_inline]] inline auto find_row(const Table& table, uint32_t id, uint32_t at) noexcept
    -> decltype(&table.lines[0].rows[0]) {
  const auto& home = table.lines[at].rows[0];
  if (home.id == id && !is_free(home)) [[likely]]
    return &home;
  const uint32_t mask = static_cast<uint32_t>(table.lines.size()) - 1;
  for (uint32_t n = 0; n <= mask; ++n, at = (at + 1) & mask) {
    for (const auto& row : table.lines[at].rows) {
      if (row.id == id && !is_free(row)) return &row;
      if (is_free(row)) return nullptr;
    }
  }
  return nullptr;
}

}  // namespace

const OperatorRow* find(const Operators& table, uint32_t id) noexcept {
  return find_row(table, id, table.home(id));
}

const TargetRow* find(const Targets& table, uint32_t id) noexcept {
  return find_row(table, id, table.home(id));
}

bool is_member(const Operators& table, const OperatorRow& row, OrgIndex org) noexcept {
  if (org == kNoOrg) return false;
  if (row.orgs == kEveryOrg) return true;
  if (!(row.orgs & kOrgList)) return row.orgs == org;
  const OrgIndex* list = &table.org_lists[row.orgs & ~kOrgList];
  return std::binary_search(list + 1, list + 1 + list[0], org);
}

namespace {

bool belongs(const Operators& table, const OperatorRow& row, OrgIndex org) noexcept {
  const bool here = row.orgs == kEveryOrg || row.orgs == org;
  if (here && org != kNoOrg) [[likely]]
    return true;
  return is_member(table, row, org);
}

void set_operator(const Operators& table, Meta& m, uint32_t home, uint32_t now_s) noexcept {
  const OperatorRow* row = find_row(table, m.operator_id, home);
  if (!row || !belongs(table, *row, m.org)) {
    m.clearance = 0;
    m.mfa_level = 0;
    m.role_bits = 0;
    return;
  }
  const bool valid = row->mfa_expires_s == 0 || now_s < row->mfa_expires_s;
  m.clearance = row->clearance();
  m.mfa_level = valid ? row->mfa_level() : 0;
  m.role_bits = row->role_bits();
}

void set_target(const Targets& table, Meta& m, uint32_t home) noexcept {
  const TargetRow* row = find_row(table, m.target_id, home);
  m.risk_centi = row ? row->risk & ~TargetRow::kComms : 0;
  m.comms_degraded = row && (row->risk & TargetRow::kComms);
  m.target_group = row ? row->group : 0;
}

}  // namespace

void run(const Table& table, Burst& burst, const Selection& live, uint64_t now_us) noexcept {
  const Operators& operators = *table.operators;
  const Targets& targets = *table.targets;
  const auto* const operator_lines = operators.lines.data();
  const auto* const target_lines = targets.lines.data();
  const auto operators_mask = static_cast<uint32_t>(operators.lines.size()) - 1;
  const auto targets_mask = static_cast<uint32_t>(targets.lines.size()) - 1;
  uint32_t operator_homes[kBurstMax], target_homes[kBurstMax];
  for (uint32_t k = 0; k < live.count; ++k) {
    const Meta& m = burst.meta[live.index[k]];
    operator_homes[k] = id_hash(m.operator_id) & operators_mask;
    target_homes[k] = id_hash(m.target_id) & targets_mask;
    __builtin_prefetch(&operator_lines[operator_homes[k]]);
    __builtin_prefetch(&target_lines[target_homes[k]]);
  }
  const uint32_t now_s = static_cast<uint32_t>(now_us / 1'000'000);
  for (uint32_t k = 0; k < live.count; ++k) {
    Meta& m = burst.meta[live.index[k]];
    set_operator(operators, m, operator_homes[k], now_s);
    set_target(targets, m, target_homes[k]);
  }
}

}  // namespace lf::identity
