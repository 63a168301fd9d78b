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

template <typename Table>
auto find_row(const Table& table, uint32_t id) noexcept -> decltype(&table.lines[0].rows[0]) {
  const uint32_t mask = static_cast<uint32_t>(table.lines.size()) - 1;
  for (uint32_t n = 0, at = table.home(id); n <= mask; ++n, at = (at + 1) & mask) {
    for (const auto& row : table.lines[at].rows) {
      if (row.id == id && !is_free(row)) return &row;
      if (is_free(row)) return nullptr;
    }
  }
  return nullptr;
}

}  // namespace

const OperatorRow* find(const Operators& table, uint32_t id) noexcept {
  return find_row(table, id);
}

const TargetRow* find(const Targets& table, uint32_t id) noexcept {
  return find_row(table, id);
}

bool is_member(const Operators& table, const OperatorRow& row, OrgIndex org) noexcept {
  if (org == kNoOrg) return false;
  if (row.orgs == kEveryOrg) return true;
  if (!(row.orgs & kOrgList)) return row.orgs == org;
  const OrgIndex* list = &table.org_lists[row.orgs & ~kOrgList];
  return std::binary_search(list + 1, list + 1 + list[0], org);
}

namespace {

void set_operator(const Operators& table, Meta& m, uint32_t now_s) noexcept {
  m.clearance = 0;
  m.mfa_level = 0;
  m.role_bits = 0;
  const OperatorRow* row = find_row(table, m.operator_id);
  if (!row || !is_member(table, *row, m.org)) return;
  const bool valid = row->mfa_expires_s == 0 || now_s < row->mfa_expires_s;
  m.clearance = row->clearance();
  m.mfa_level = valid ? row->mfa_level() : 0;
  m.role_bits = row->role_bits();
}

void set_target(const Targets& table, Meta& m) noexcept {
  const TargetRow* row = find_row(table, m.target_id);
  m.risk_centi = row ? row->risk & ~TargetRow::kComms : 0;
  m.comms_degraded = row && (row->risk & TargetRow::kComms);
  m.target_group = row ? row->group : 0;
}

}  // namespace

void run(const Table& table, Burst& burst, const Selection& live, uint64_t now_us) noexcept {
  const Operators& operators = *table.operators;
  const Targets& targets = *table.targets;
  for (const uint8_t i : live) {
    __builtin_prefetch(&operators.lines[operators.home(burst.meta[i].operator_id)]);
    __builtin_prefetch(&targets.lines[targets.home(burst.meta[i].target_id)]);
  }
  const uint32_t now_s = static_cast<uint32_t>(now_us / 1'000'000);
  for (const uint8_t i : live) {
    set_operator(operators, burst.meta[i], now_s);
    set_target(targets, burst.meta[i]);
  }
}

}  // namespace lf::identity
