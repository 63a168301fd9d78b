// SPDX-License-Identifier: Apache-2.0
#include "control/identity/build.hpp"

#include <algorithm>
#include <bit>

namespace lf::identity {
namespace {

// Rows for this many entries, at most half of them used.
size_t rows_for(size_t entries) {
  return std::bit_ceil(std::max<size_t>(2, 2 * entries));
}

template <typename Row>
void make_room(Rows<Row>& table, size_t entries) {
  table.rows.resize(rows_for(entries));
  table.shift = 64 - static_cast<uint32_t>(std::countr_zero(table.rows.size()));
}

template <typename Row>
void put(Rows<Row>& table, const Row& row) {
  const size_t mask = table.rows.size() - 1;
  for (size_t at = table.home(row.id);; at = (at + 1) & mask) {
    Row& place = table.rows[at];
    if (!place.is_free() && place.id != row.id) continue;
    table.count += place.is_free();
    place = row;
    return;
  }
}

uint32_t membership(Operators& table, const OperatorEntry& e, const OrgIndexes& orgs) {
  if (e.every_org) return kEveryOrg;
  std::vector<OrgIndex> indexes;
  for (const uint32_t id : e.org_ids)
    if (const auto it = orgs.find(id); it != orgs.end()) indexes.push_back(it->second);
  if (indexes.size() == 1) return indexes[0];
  std::sort(indexes.begin(), indexes.end());
  const uint32_t at = static_cast<uint32_t>(table.org_lists.size());
  table.org_lists.push_back(static_cast<OrgIndex>(indexes.size()));
  table.org_lists.insert(table.org_lists.end(), indexes.begin(), indexes.end());
  return kOrgList | at;
}

void put_entry(Operators& table, const OperatorEntry& e, const OrgIndexes& orgs) {
  OperatorRow row;
  row.id = e.id;
  row.orgs = membership(table, e, orgs);
  row.mfa_last_s = e.mfa_expires_s - 1;  // 0: never, so that no second is behind it
  row.packed = (e.role_bits & ((1u << kRoleBits) - 1)) |
               uint32_t{std::min<uint8_t>(e.clearance, 15)} << kRoleBits |
               uint32_t{std::min<uint8_t>(e.mfa_level, 15)} << 28;
  put(table, row);
}

void put_entry(Targets& table, const TargetEntry& e) {
  TargetRow row;
  row.id = e.id;
  row.group = e.group;
  row.risk = static_cast<uint16_t>(e.risk_centi | TargetRow::kUsed |
                                   (e.comms_degraded ? TargetRow::kComms : 0));
  put(table, row);
}

template <typename Row>
bool has_room(const Rows<Row>& table, size_t more) {
  return rows_for(table.count + more) <= table.rows.size();
}

}  // namespace

std::shared_ptr<Operators> build_operators(const std::vector<OperatorEntry>& entries,
                                           const OrgIndexes& orgs) {
  auto table = std::make_shared<Operators>();
  make_room(*table, entries.size());
  for (const OperatorEntry& e : entries) put_entry(*table, e, orgs);
  return table;
}

std::shared_ptr<Targets> build_targets(const std::vector<TargetEntry>& entries) {
  auto table = std::make_shared<Targets>();
  make_room(*table, entries.size());
  for (const TargetEntry& e : entries) put_entry(*table, e);
  return table;
}

std::shared_ptr<Operators> with_operators(const Operators& table,
                                          const std::vector<OperatorEntry>& entries,
                                          const OrgIndexes& orgs) {
  // Replaced lists of organisations stay behind as waste until the next build.
  if (!has_room(table, entries.size()) || table.org_lists.size() > 4 * table.count + 1024)
    return nullptr;
  auto copy = std::make_shared<Operators>(table);
  for (const OperatorEntry& e : entries) put_entry(*copy, e, orgs);
  return copy;
}

std::shared_ptr<Targets> with_targets(const Targets& table,
                                      const std::vector<TargetEntry>& entries) {
  if (!has_room(table, entries.size())) return nullptr;
  auto copy = std::make_shared<Targets>(table);
  for (const TargetEntry& e : entries) put_entry(*copy, e);
  return copy;
}

}  // namespace lf::identity
