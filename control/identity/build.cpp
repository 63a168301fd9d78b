// SPDX-License-Identifier: Apache-2.0
#include "control/identity/build.hpp"

#include <algorithm>
#include <bit>

namespace lf::identity {
namespace {

bool is_free(const OperatorRow& row) {
  return row.orgs == kFreeRow;
}
bool is_free(const TargetRow& row) {
  return row.group == TargetRow::kFree;
}

template <typename Table>
constexpr uint32_t rows_in_line() {
  return std::remove_reference_t<decltype(std::declval<Table>().lines[0])>::kRows;
}

// Lines for this many entries at most half full.
template <typename Table>
size_t lines_for(size_t entries) {
  return std::bit_ceil(
      std::max<size_t>(1, (2 * entries + rows_in_line<Table>() - 1) / rows_in_line<Table>()));
}

template <typename Table, typename Row>
void put(Table& table, const Row& row) {
  const size_t mask = table.lines.size() - 1;
  for (size_t at = table.home(row.id);; at = (at + 1) & mask)
    for (Row& place : table.lines[at].rows) {
      if (!is_free(place) && place.id != row.id) continue;
      table.count += is_free(place);
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
  row.mfa_expires_s = e.mfa_expires_s;
  row.packed = (e.role_bits & ((1u << kRoleBits) - 1)) |
               uint32_t{std::min<uint8_t>(e.clearance, 15)} << kRoleBits |
               uint32_t{std::min<uint8_t>(e.mfa_level, 15)} << 28;
  put(table, row);
}

void put_entry(Targets& table, const TargetEntry& e) {
  TargetRow row;
  row.id = e.id;
  row.group = e.group;
  row.risk = static_cast<uint16_t>(e.risk_centi | (e.comms_degraded ? TargetRow::kComms : 0));
  put(table, row);
}

template <typename Table>
bool has_room(const Table& table, size_t more) {
  return lines_for<Table>(table.count + more) <= table.lines.size();
}

}  // namespace

std::shared_ptr<Operators> build_operators(const std::vector<OperatorEntry>& entries,
                                           const OrgIndexes& orgs) {
  auto table = std::make_shared<Operators>();
  table->lines.resize(lines_for<Operators>(entries.size()));
  for (const OperatorEntry& e : entries) put_entry(*table, e, orgs);
  return table;
}

std::shared_ptr<Targets> build_targets(const std::vector<TargetEntry>& entries) {
  auto table = std::make_shared<Targets>();
  table->lines.resize(lines_for<Targets>(entries.size()));
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
