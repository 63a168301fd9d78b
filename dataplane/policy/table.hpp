// SPDX-License-Identifier: Apache-2.0
// A compiled rule set and the policy stage's Table. Built by control/policy/compile.cpp, immutable
// once published. How it decides (docs/policy.md has the picture):
//   every dimension of a decision (clearance, risk, organisation, …) maps a packet's value to a
//   class: values that no rule tells apart share one. A class is a bitmap with one bit for each row
//   (a rule's alternative, in order of evaluation). The AND of a packet's bitmaps holds the rows
//   that match; the lowest bit wins. Dimensions with few classes are merged at compile time into
//   one (a table from class numbers to a class number), so mostly one to four bitmaps are left.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/core/burst.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/identity/table.hpp"

struct hs_database;
struct hs_scratch;

namespace lf::policy {

struct Sums;  // dataplane/policy/sums.hpp

enum class Dim : uint8_t { clearance, mfa, severity, comms, intent, role, risk, org, group };
inline constexpr uint32_t kDims = 9;

inline constexpr uint32_t kSlotsMax = 2 * kDims;  // values of a packet: leaves and merges
inline constexpr uint32_t kNoRow = 0xffffffff;
inline constexpr uint32_t kLineRows = 512;  // rows in one cache line of a bitmap

struct alignas(kCacheLine) BitLine {
  uint64_t words[8] = {};
};

// A dimension's value -> what it adds to its slot. Dimensions that are a byte have all 256 values.
struct Leaf {
  Dim dim = Dim::clearance;
  uint8_t slot = 0;
  std::vector<uint16_t> table;
};

// slot[to] = table[slot[a] * width + slot[b]]; b may be kNoSlot: table[slot[a]].
struct Merge {
  static constexpr uint8_t kNoSlot = 0xff;
  uint8_t to = 0, a = 0, b = kNoSlot;
  uint32_t width = 1;
  std::vector<uint16_t> table;
};

// Bitmaps of one of the slots that are left at the end.
struct Final {
  uint8_t slot = 0;
  std::vector<BitLine> lines;     // class c: lines [c * lines_per_row, …)
  std::vector<uint64_t> summary;  // class c: bit l is set when line l is not empty
};

struct PatternTest {  // see BitTest in control/policy/rules.hpp
  uint32_t any = 0, all = 0, none = 0;
  bool test(uint32_t bits) const noexcept {
    return (any == 0 || (bits & any) != 0) && (bits & all) == all && (bits & none) == 0;
  }
};

struct Row {
  static constexpr uint8_t kHasPattern = 0x80;  // in flags
  uint16_t rule = 0;    // number of the rule, from 1
  uint8_t outcome = 0;  // PolicyOutcome
  uint8_t flags = 0;
  uint32_t pattern = 0;  // into Program::pattern_tests

  // The first half, which says what is decided: the rule below. Nothing above: it is allowed, with
  // no more ado.
  uint32_t decision() const noexcept { return rule | uint32_t{outcome} << 16 | uint32_t{flags} << 24; }
};
inline constexpr Row kDefaultDeny{.outcome = static_cast<uint8_t>(PolicyOutcome::deny)};
static_assert(PolicyOutcome::allow == PolicyOutcome{0});

struct Program {
  uint32_t version = 0;
  uint32_t rows_count = 0;
  uint32_t lines_per_row = 0;
  uint32_t role_mask = 0;   // roles that rules speak of; the role dimension's value is their subset
  uint32_t org_values = 0;  // org table's size; the last value stands for every other organisation
  std::vector<Leaf> leaves;
  std::vector<Merge> merges;
  std::vector<Final> finals;
  std::vector<uint32_t> first_row;  // with one final: its class -> first row, or kNoRow
  std::shared_ptr<const Sums> sums;  // null: not for these rules
  std::vector<uint32_t> row_of_sum;  // or kNoRow
  std::vector<uint32_t> decision_of_sum;  // Row::decision() of it
  std::vector<Row> rows;
  std::vector<PatternTest> pattern_tests;
  std::shared_ptr<const hs_database> patterns;       // null: no patterns
  std::vector<std::shared_ptr<hs_scratch>> scratch;  // by worker; used by that worker alone
  uint64_t bytes = 0;                                // memory of all of the above
};

struct Table {
  identity::Table identity;
  // Two versions at most are live at once: [1] is the candidate of a gradual activation.
  std::shared_ptr<const Program> programs[2];
  std::vector<uint8_t> org_program;  // by OrgIndex; beyond its end: 0
};

}  // namespace lf::policy
