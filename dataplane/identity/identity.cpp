// SPDX-License-Identifier: Apache-2.0
#include "dataplane/identity/identity.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "dataplane/core/metas.hpp"

namespace lf::identity {
namespace {

bool is_free(const OperatorRow& row) noexcept {
  return row.orgs == kFreeRow;
}
bool is_free(const TargetRow& row) noexcept {
  return row.group == TargetRow::kFree;
}

// The row of an id, or null.
template <typename Table>
auto find_row(const Table& table, uint32_t id) noexcept -> decltype(&table.lines[0].rows[0]) {
  const uint32_t mask = static_cast<uint32_t>(table.lines.size()) - 1;
  uint32_t at = table.home(id);
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
static_assert(offsetof(Meta, mfa_level) == offsetof(Meta, clearance) + 1 &&
              offsetof(Meta, target_group) == offsetof(Meta, risk_centi) + 2 &&
              offsetof(TargetRow, group) == 4 && offsetof(TargetRow, risk) == 6);

void set_operator(Meta& m, uint32_t packed, uint32_t mfa_expires_s, uint32_t now_s) noexcept {
  const bool valid = mfa_expires_s - 1 >= now_s;  // 0: never
  const uint32_t levels = packed >> kRoleBits;    // clearance in the low four bits
  const auto bytes = static_cast<uint16_t>((levels << 4 | levels) & (valid ? 0x0f0f : 0x000f));
  std::memcpy(&m.clearance, &bytes, sizeof bytes);
  m.role_bits = packed & ((1u << kRoleBits) - 1);
}

[[gnu::noinline]] void find_operator(const Operators& table, Meta& m, uint32_t now_s) noexcept {
  const OperatorRow* row = find(table, m.operator_id);
  if (row != nullptr && is_member(table, *row, m.org))
    set_operator(m, row->packed, row->mfa_expires_s, now_s);
  else
    set_operator(m, 0, 0, now_s);
}

// What a target's row says behind its id: group and risk.
uint32_t said_by(const TargetRow& row) noexcept {
  uint32_t both;
  std::memcpy(&both, &row.group, sizeof both);
  return both;
}
constexpr uint32_t kFreeTarget = TargetRow::kFree;  // and no risk

[[gnu::noinline]] uint32_t find_target(const Targets& table, uint32_t id) noexcept {
  const TargetRow* row = find(table, id);
  return row != nullptr ? said_by(*row) : 0;
}

void set_target(const Targets& table, const TargetRow& home, Meta& m) noexcept {
  uint32_t said = said_by(home);
  if (said == kFreeTarget)
    said = 0;  // nobody has this home
  else if (home.id != m.target_id) [[unlikely]]
    said = find_target(table, m.target_id);
  constexpr uint32_t kComms = uint32_t{TargetRow::kComms} << 16;
  const uint32_t risk_and_group = std::rotl(said & ~kComms, 16);
  std::memcpy(&m.risk_centi, &risk_and_group, sizeof risk_and_group);
  m.comms_degraded = (said & kComms) != 0;
}

}  // namespace

void run(const Table& table, Burst& burst, const Selection& live, uint64_t now_us) noexcept {
  const Operators& operators = *table.operators;
  const Targets& targets = *table.targets;
  const auto* const operator_lines = operators.lines.data();
  const auto* const target_lines = targets.lines.data();
  const auto operators_mask = static_cast<uint32_t>(operators.lines.size()) - 1;
  const auto targets_mask = static_cast<uint32_t>(targets.lines.size()) - 1;
  const uint32_t count = live.count;
  Meta* const meta = metas(burst);
  Meta* packets[kBurstMax];
  const OperatorRow* operator_homes[kBurstMax];
  const TargetRow* target_homes[kBurstMax];
  for (uint32_t k = 0; k < count; ++k) {
    Meta& m = meta[live.index[k]];
    packets[k] = &m;
    operator_homes[k] = operator_lines[id_hash(m.operator_id) & operators_mask].rows;
    target_homes[k] = target_lines[id_hash(m.target_id) & targets_mask].rows;
    __builtin_prefetch(operator_homes[k]);
    __builtin_prefetch(target_homes[k]);
  }
  const uint32_t now_s = static_cast<uint32_t>(now_us / 1'000'000);
  for (uint32_t k = 0; k < count; ++k) {
    Meta& m = *packets[k];
    const OperatorRow& home = *operator_homes[k];
    // A row of this organisation alone is not free; an operator of all is left to find_operator()
    // when the packet has no organisation.
    if (home.id == m.operator_id && (home.orgs == m.org || home.orgs == kEveryOrg) &&
        m.org != kNoOrg) [[likely]]
      set_operator(m, home.packed, home.mfa_expires_s, now_s);
    else
      find_operator(operators, m, now_s);
    set_target(targets, *target_homes[k], m);
  }
}

}  // namespace lf::identity
