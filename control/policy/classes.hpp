// SPDX-License-Identifier: Apache-2.0
// Equivalence classes: for each dimension of a decision, which values no rule tells apart, and
// which rows (alternatives of rules) each class can match. The base of the compiler, of the search
// for shadowed rules and gaps, and of `policy diff`. Pure; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "control/policy/rules.hpp"
#include "dataplane/policy/table.hpp"

namespace lf::policy {

using Bits = std::vector<uint64_t>;  // bit r: row r

inline bool test(const Bits& bits, uint32_t r) {
  return bits[r / 64] >> (r % 64) & 1;
}
inline void set(Bits& bits, uint32_t r) {
  bits[r / 64] |= uint64_t{1} << (r % 64);
}
inline void flip(Bits& bits, uint32_t r) {
  bits[r / 64] ^= uint64_t{1} << (r % 64);
}
Bits operator&(const Bits& a, const Bits& b);
uint32_t first_bit(const Bits& bits);  // kNoRow: none

// Gives equal bitmaps the same number.
class BitmapSet {
 public:
  uint32_t intern(Bits&& bits);
  std::vector<Bits> take() { return std::move(bits_); }
  const std::vector<Bits>& all() const { return bits_; }

 private:
  std::vector<Bits> bits_;
  std::unordered_multimap<uint64_t, uint32_t> by_hash_;
};

// Which organisation an OrgIndex is; kNoOrgId for an index that is free.
inline constexpr uint32_t kNoOrgId = 0xffffffff;
using OrgIds = std::vector<uint32_t>;

// One dimension. Value v is in class of_value[v]; rows[c] says which rows class c can match.
struct ClassMap {
  Dim dim = Dim::clearance;
  std::vector<uint32_t> of_value;
  std::vector<Bits> rows;
};

struct RowList {
  std::vector<const Condition*> rows;
  uint32_t role_mask = 0;  // roles that they mention
  uint32_t words() const { return static_cast<uint32_t>((rows.size() + 63) / 64); }
};

// Appends the alternatives of all rules, in order of evaluation.
void append_rows(const RuleSet& rules, RowList& list);

// Most roles that the rules of one set may mention: the role dimension has 2^this values.
inline constexpr int kRolesMentionedMax = 16;

// All dimensions, in the order of Dim. The org dimension's value is an index into orgs; the value
// after the last stands for every other organisation. Same for groups.
std::vector<ClassMap> build_classes(const RowList& list, const OrgIds& orgs);

// Bits of the dimensions that a row's condition constrains; bit kDims: it asks for patterns.
uint32_t constrained_dims(const Condition& condition);

}  // namespace lf::policy
