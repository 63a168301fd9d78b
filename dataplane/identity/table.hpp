// SPDX-License-Identifier: Apache-2.0
// Who operators are and how risky targets are: two immutable hash tables that control builds
// (control/identity) and workers look up in bulk. Open addressing, at most half full, so that most
// ids are in the row that is their home. Nothing in a packet can raise what they say.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/core/types.hpp"

namespace lf::identity {

inline constexpr uint32_t kRoleBits = 24;

// Where an operator is a member: an OrgIndex, every organisation, or a list (kOrgList | place).
inline constexpr uint32_t kEveryOrg = 0xfffffffd;
inline constexpr uint32_t kFreeRow = 0xfffffffe;
inline constexpr uint32_t kOrgList = 0x80000000;

struct alignas(16) OperatorRow {
  uint32_t id = 0;
  uint32_t orgs = kFreeRow;
  uint32_t mfa_last_s = 0;  // last second of the MFA level, Unix time
  uint32_t packed = 0;      // role bits (24), clearance (4), MFA level (4)

  bool is_free() const noexcept { return orgs == kFreeRow; }
  uint32_t role_bits() const noexcept { return packed & ((1u << kRoleBits) - 1); }
  uint8_t levels() const noexcept { return packed >> kRoleBits; }  // as Meta::levels
  uint8_t clearance() const noexcept { return levels() & 15; }
  uint8_t mfa_level() const noexcept { return levels() >> 4; }
};

struct alignas(8) TargetRow {
  static constexpr uint16_t kUsed = 0x4000, kComms = 0x8000;
  uint32_t id = 0;
  uint16_t risk = 0;  // hundredths; kUsed, and kComms: communications degraded
  uint16_t group = 0;

  bool is_free() const noexcept { return (risk & kUsed) == 0; }
};

// By the top bits of a product, which all bits of an id have gone into.
inline uint64_t home_of(uint32_t id, uint32_t shift) noexcept {
  return (id * 0x9e3779b97f4a7c15ull) >> shift;
}

// Both have at least one free row.
template <typename Row>
struct Rows {
  std::vector<Row> rows = std::vector<Row>(2);  // a power of two
  uint32_t shift = 63;                          // 64 less that power
  uint32_t count = 0;

  uint64_t home(uint32_t id) const noexcept { return home_of(id, shift); }
};

struct Operators : Rows<OperatorRow> {
  std::vector<OrgIndex> org_lists;  // [count, org, org, …], ascending
};
using Targets = Rows<TargetRow>;

// What the identity stage reads. Both tables are always there, if empty.
struct Table {
  std::shared_ptr<const Operators> operators;
  std::shared_ptr<const Targets> targets;
};

// The operator's row, or null.
const OperatorRow* find(const Operators& table, uint32_t id) noexcept;
const TargetRow* find(const Targets& table, uint32_t id) noexcept;
bool is_member(const Operators& table, const OperatorRow& row, OrgIndex org) noexcept;

}  // namespace lf::identity
