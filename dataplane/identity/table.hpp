// SPDX-License-Identifier: Apache-2.0
// Who operators are and how risky targets are: two immutable hash tables that control builds
// (control/identity) and workers look up in bulk. Open addressing over cache lines, at most half
// full, so a lookup nearly always touches one line. Nothing in a packet can raise what they say.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/core/types.hpp"

namespace lf::identity {

inline constexpr uint32_t kRoleBits = 24;

// Where an operator is a member: an OrgIndex, every organisation, or a list (kOrgList | place).
inline constexpr uint32_t kEveryOrg = 0xffffffff;
inline constexpr uint32_t kFreeRow = 0xfffffffe;
inline constexpr uint32_t kOrgList = 0x80000000;

struct OperatorRow {
  uint32_t id = 0;
  uint32_t orgs = kFreeRow;
  uint32_t mfa_expires_s = 0;  // Unix time; 0: never
  uint32_t packed = 0;         // role bits (24), clearance (4), MFA level (4)

  uint32_t role_bits() const noexcept { return packed & ((1u << kRoleBits) - 1); }
  uint8_t clearance() const noexcept { return packed >> kRoleBits & 15; }
  uint8_t mfa_level() const noexcept { return static_cast<uint8_t>(packed >> 28); }
};

struct TargetRow {
  static constexpr uint16_t kFree = 0xffff, kComms = 0x8000;
  uint32_t id = 0;
  uint16_t group = kFree;
  uint16_t risk = 0;  // hundredths; top bit: communications degraded
};

template <typename Row>
struct alignas(kCacheLine) RowLine {
  static constexpr uint32_t kRows = kCacheLine / sizeof(Row);
  Row rows[kRows];
};

inline uint32_t id_hash(uint32_t id) noexcept {
  uint64_t h = (id ^ 0x5bd1e995ull) * 0x9e3779b97f4a7c15ull;
  h ^= h >> 32;
  return static_cast<uint32_t>(h * 0xff51afd7ed558ccdull >> 32);
}

struct Operators {
  std::vector<RowLine<OperatorRow>> lines;  // a power of two; at least one row in all is free
  std::vector<OrgIndex> org_lists;          // [count, org, org, …], ascending
  uint32_t count = 0;

  uint32_t home(uint32_t id) const noexcept {
    return id_hash(id) & (static_cast<uint32_t>(lines.size()) - 1);
  }
};

struct Targets {
  std::vector<RowLine<TargetRow>> lines;
  uint32_t count = 0;

  uint32_t home(uint32_t id) const noexcept {
    return id_hash(id) & (static_cast<uint32_t>(lines.size()) - 1);
  }
};

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
