// SPDX-License-Identifier: Apache-2.0
#include "dataplane/identity/identity.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "dataplane/core/metas.hpp"

namespace lf::identity {
namespace {

// The row of an id, or null.
template <typename Row>
const Row* find_row(const Rows<Row>& table, uint32_t id) noexcept {
  const uint64_t mask = table.rows.size() - 1;
  for (uint64_t at = table.home(id);; at = (at + 1) & mask) {
    const Row& row = table.rows[at];
    if (row.is_free()) return nullptr;
    if (row.id == id) return &row;
  }
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

// Neighbours of Meta that are written together.
static_assert(offsetof(Meta, target_group) == offsetof(Meta, risk_centi) + 2 &&
              offsetof(TargetRow, risk) == 4 && offsetof(TargetRow, group) == 6 &&
              offsetof(Meta, comms_degraded) == offsetof(Meta, levels) + 1);

// In OperatorRow::packed.
constexpr uint32_t kRoles = (1u << kRoleBits) - 1, kMfaLevel = 0xf000'0000;

// An operator of several organisations, one whose MFA level has expired, or nobody, and whoever is
// not in the row of its home. As OperatorRow::packed.
[[gnu::noinline]] uint32_t find_operator(const Operators& table, const Meta& m,
                                         uint32_t now_s) noexcept {
  const OperatorRow* row = find(table, m.operator_id);
  if (row == nullptr || !is_member(table, *row, m.org)) return 0;
  return now_s <= row->mfa_last_s ? row->packed : row->packed & ~kMfaLevel;
}

// A row whole: id below, risk and group above.
uint64_t whole(const TargetRow& row) noexcept {
  uint64_t all;
  std::memcpy(&all, &row, sizeof all);
  return all;
}

[[gnu::noinline]] uint32_t find_target(const Targets& table, uint32_t id) noexcept {
  const TargetRow* row = find(table, id);
  return row != nullptr ? static_cast<uint32_t>(whole(*row) >> 32) : 0;
}

// What the table says about a target: risk below, group above.
uint32_t said_of(const Targets& table, const TargetRow& home, uint32_t id) noexcept {
  const uint64_t row = whole(home);
  const auto said = static_cast<uint32_t>(row >> 32);  // 0: a free row, so nobody has this home
  return static_cast<uint32_t>(row) == id || said == 0 ? said : find_target(table, id);
}

// `packed`: of the operator; `said`: of the target.
[[gnu::always_inline]] inline void set(Meta& m, uint32_t packed, uint32_t said) noexcept {
  m.role_bits = packed & kRoles;
  static_assert(TargetRow::kComms == 0x8000);
  const auto levels_and_degraded =
      static_cast<uint16_t>(packed >> kRoleBits | (said >> 15 & 1) << 8);
  std::memcpy(&m.levels, &levels_and_degraded, sizeof levels_and_degraded);
  const uint32_t risk_and_group = said & ~uint32_t{TargetRow::kUsed | TargetRow::kComms};
  std::memcpy(&m.risk_centi, &risk_and_group, sizeof risk_and_group);
}

// kTargets: there are some. Where there are none, as where targets are not told apart, nothing is
// looked up.
template <bool kTargets>
void run_with(const Table& table, Burst& burst, const Selection& live, uint32_t now_s) noexcept {
  const Operators& operators = *table.operators;
  const Targets& targets = *table.targets;
  const OperatorRow* const operator_rows = operators.rows.data();
  const TargetRow* const target_rows = targets.rows.data();
  const uint32_t operators_shift = operators.shift, targets_shift = targets.shift;
  for_each(burst, live, [&](Meta& m) __attribute__((always_inline)) {
    const OperatorRow& home = operator_rows[home_of(m.operator_id, operators_shift)];
    uint32_t packed = home.packed;
    // No row says that it is for kNoOrg, and a free one not that it is for some.
    if (home.id != m.operator_id || now_s > home.mfa_last_s ||
        (home.orgs != m.org && (home.orgs != kEveryOrg || m.org == kNoOrg))) [[unlikely]]
      packed = find_operator(operators, m, now_s);
    uint32_t said = 0;
    if (kTargets)
      said = said_of(targets, target_rows[home_of(m.target_id, targets_shift)], m.target_id);
    set(m, packed, said);
  });
}

}  // namespace

void run(const Table& table, Burst& burst, const Selection& live, uint64_t now_us) noexcept {
  const uint32_t now_s = static_cast<uint32_t>(now_us / 1'000'000);
  if (table.targets->count != 0)
    run_with<true>(table, burst, live, now_s);
  else
    run_with<false>(table, burst, live, now_s);
}

}  // namespace lf::identity
