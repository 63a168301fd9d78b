// SPDX-License-Identifier: Apache-2.0
#include "dataplane/identity/identity.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <unordered_map>

#include "control/identity/build.hpp"

namespace lf::identity {
namespace {

constexpr uint64_t kNowUs = 1'767'225'600'000'000;
constexpr uint32_t kNowS = 1'767'225'600;

struct Stage {
  Table table{build_operators({}, {}), build_targets({})};
  std::unique_ptr<Burst> burst = std::make_unique<Burst>();

  const Meta& look_up(uint32_t operator_id, OrgIndex org, uint32_t target_id = 0) {
    Meta& m = burst->meta[0];
    m.operator_id = operator_id;
    m.org = org;
    m.target_id = target_id;
    m.levels = 0xfd;  // must not survive
    Selection live;
    live.add(0);
    run(table, *burst, live, kNowUs);
    return m;
  }
};

OperatorEntry entry(uint32_t id, std::vector<uint32_t> orgs) {
  return {id, 0b1010, 4, 2, 0, orgs.empty(), std::move(orgs)};
}

TEST(Identity, UnknownOperatorHasNothing) {
  Stage s;
  const Meta& m = s.look_up(7, 0);
  EXPECT_EQ(m.clearance(), 0);
  EXPECT_EQ(m.mfa_level(), 0);
  EXPECT_EQ(m.role_bits, 0u);
}

TEST(Identity, OperatorCountsOnlyInItsOrganisations) {
  Stage s;
  s.table.operators =
      build_operators({entry(1, {10}), entry(2, {10, 30}), entry(3, {}), entry(4, {99})},
                      {{10, 0}, {20, 1}, {30, 2}});
  EXPECT_EQ(s.look_up(1, 0).clearance(), 4);
  EXPECT_EQ(s.look_up(1, 0).role_bits, 0b1010u);
  EXPECT_EQ(s.look_up(1, 1).clearance(), 0);
  EXPECT_EQ(s.look_up(2, 0).clearance(), 4);
  EXPECT_EQ(s.look_up(2, 1).clearance(), 0);
  EXPECT_EQ(s.look_up(2, 2).clearance(), 4);
  EXPECT_EQ(s.look_up(3, 1).clearance(), 4);
  EXPECT_EQ(s.look_up(3, kNoOrg).clearance(), 0);  // nobody is a member of no organisation
  EXPECT_EQ(s.look_up(4, 0).clearance(), 0);       // its organisation is not configured
}

TEST(Identity, MfaExpires) {
  Stage s;
  OperatorEntry until_now = entry(1, {}), a_second_more = entry(2, {});
  until_now.mfa_expires_s = kNowS;
  a_second_more.mfa_expires_s = kNowS + 1;
  s.table.operators = build_operators({until_now, a_second_more}, {});
  EXPECT_EQ(s.look_up(1, 0).mfa_level(), 0);
  EXPECT_EQ(s.look_up(1, 0).clearance(), 4);
  EXPECT_EQ(s.look_up(2, 0).mfa_level(), 2);
}

TEST(Identity, TargetsBringRiskGroupAndComms) {
  Stage s;
  s.table.targets = build_targets({{5, 6500, 3, false}, {6, 10'000, 0, true}});
  const Meta m = s.look_up(0, 0, 5);
  EXPECT_EQ(m.risk_centi, 6500);
  EXPECT_EQ(m.target_group, 3);
  EXPECT_FALSE(m.comms_degraded);
  EXPECT_EQ(s.look_up(0, 0, 6).risk_centi, 10'000);
  EXPECT_TRUE(s.look_up(0, 0, 6).comms_degraded);
  EXPECT_EQ(s.look_up(0, 0, 7).risk_centi, 0);
  EXPECT_FALSE(s.look_up(0, 0, 7).comms_degraded);
}

// Inserts and replacements, in copies as operator.set makes them, against a map.
TEST(Identity, TablesAgreeWithAMap) {
  std::mt19937 random(1);
  std::unordered_map<uint32_t, OperatorEntry> model;
  std::shared_ptr<Operators> table = build_operators({}, {});
  for (uint32_t n = 0; n < 3000; ++n) {
    OperatorEntry e = entry(static_cast<uint32_t>(random() % 2000), {});
    e.clearance = static_cast<uint8_t>(random() % 6);
    e.role_bits = static_cast<uint32_t>(random()) & 0xffffff;
    model[e.id] = e;
    if (auto next = with_operators(*table, {e}, {})) {
      table = std::move(next);
    } else {
      std::vector<OperatorEntry> all;
      for (const auto& [id, known] : model) all.push_back(known);
      table = build_operators(all, {});
    }
  }
  EXPECT_EQ(table->count, model.size());
  for (uint32_t id = 0; id < 4000; ++id) {
    const OperatorRow* row = find(*table, id);
    const auto known = model.find(id);
    ASSERT_EQ(row != nullptr, known != model.end()) << id;
    if (!row) continue;
    EXPECT_EQ(row->clearance(), known->second.clearance);
    EXPECT_EQ(row->role_bits(), known->second.role_bits);
  }
}

TEST(Identity, AMillionOperatorsAreFound) {
  std::vector<OperatorEntry> entries;
  for (uint32_t i = 0; i < 1'000'000; ++i) {
    entries.push_back(entry(i * 7 + 1, {}));
    entries.back().role_bits = i & 0xffffff;
  }
  const auto table = build_operators(entries, {});
  uint32_t wrong = 0;
  for (uint32_t i = 0; i < 1'000'000; ++i) {
    const OperatorRow* row = find(*table, i * 7 + 1);
    wrong += !row || row->role_bits() != (i & 0xffffff);
    wrong += find(*table, i * 7 + 2) != nullptr;
  }
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace lf::identity
