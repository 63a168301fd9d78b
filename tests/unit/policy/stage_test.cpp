// SPDX-License-Identifier: Apache-2.0
// The policy stage on bursts: verdicts, what it leaves in Meta, two versions at once, patterns.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "control/policy/compile.hpp"
#include "control/policy/default_rules.hpp"
#include "control/policy/parse.hpp"
#include "dataplane/core/hold_end.hpp"
#include "dataplane/policy/policy.hpp"
#include "dataplane/policy/sums.hpp"

namespace lf::policy {
namespace {

struct Stage {
  Table table;
  State state;
  std::unique_ptr<Burst> burst = std::make_unique<Burst>();
  Selection live;

  void load(uint32_t which, uint32_t version, const std::string& text) {
    Vocabulary v;
    v.orgs = {{"acme", 1}, {"globex", 2}};
    auto rules = load_rules(text, "t", v, NameCheck::strict);
    ASSERT_TRUE(rules) << rules.error().message;
    rules->version = version;
    auto program = compile(*rules, {1, 2}, 1);
    ASSERT_TRUE(program) << program.error().message;
    table.programs[which] = *program;
  }
  Meta& add() {
    const uint32_t i = burst->count++;
    live.add(i);
    burst->meta[i] = Meta{};
    burst->meta[i].org = 0;
    return burst->meta[i];
  }
  void run() { policy::run(table, state, *burst, live); }
};

const char* kByClearance = R"(
rules:
  - {id: no, outcome: deny, when: {clearance: "< 2"}}
  - {id: wait, outcome: hold, when: {clearance: 2}}
  - {id: yes, outcome: allow}
)";

TEST(PolicyStage, DecidesAndSaysWhy) {
  Stage s;
  s.load(0, 41, kByClearance);
  s.add().levels = 1;
  s.add().levels = 2;
  s.add().levels = 3;
  s.run();
  ASSERT_EQ(s.live.count, 1);
  EXPECT_EQ(s.live.index[0], 2);
  const Meta* m = s.burst->meta;
  EXPECT_EQ(m[0].verdict, Verdict::policy_denied);
  EXPECT_EQ(m[0].reply_status, lcp::Status::denied);
  EXPECT_EQ(m[0].rule, 1);
  EXPECT_EQ(m[1].verdict, Verdict::held);
  EXPECT_EQ(m[1].reply_status, lcp::Status::held);
  EXPECT_EQ(m[1].rule, 2);
  EXPECT_EQ(m[2].verdict, Verdict::none);
  EXPECT_EQ(m[2].rule, 3);
  EXPECT_EQ(m[2].policy_version, 41u);
}

TEST(PolicyStage, NoRuleMeansDeny) {
  Stage s;
  s.load(0, 1, "rules: [{id: r, outcome: allow, when: {org: globex}}]");
  s.add();
  s.run();
  EXPECT_EQ(s.burst->meta[0].verdict, Verdict::policy_denied);
  EXPECT_EQ(s.burst->meta[0].rule, 0);
}

TEST(PolicyStage, EveryOrganisationHasItsVersion) {
  Stage s;
  s.load(0, 1, "rules: [{id: r, outcome: allow}]");
  s.load(1, 2, "rules: [{id: r, outcome: deny}]");
  s.table.org_program = {0, 1};
  s.add().org = 1;
  s.add().org = 0;
  s.add().org = kNoOrg;
  s.run();
  EXPECT_EQ(s.burst->meta[0].verdict, Verdict::policy_denied);
  EXPECT_EQ(s.burst->meta[0].policy_version, 2u);
  EXPECT_EQ(s.burst->meta[1].verdict, Verdict::none);
  EXPECT_EQ(s.burst->meta[1].policy_version, 1u);
  EXPECT_EQ(s.burst->meta[2].policy_version, 1u);
}

TEST(PolicyStage, ReleasedCommandsPass) {
  Stage s;
  s.load(0, 1, "rules: [{id: r, outcome: deny}]");
  s.add().origin = Origin::released;
  s.add();
  s.run();
  EXPECT_EQ(s.live.count, 1);
  EXPECT_EQ(s.burst->meta[0].outcome, PolicyOutcome::allow);
  EXPECT_EQ(s.burst->meta[0].rule, kRuleReleased);
  EXPECT_EQ(s.burst->meta[0].policy_version, 0u) << "nobody is asked";
  EXPECT_EQ(s.burst->meta[1].verdict, Verdict::policy_denied);
  EXPECT_EQ(s.burst->meta[1].policy_version, 1u);
}

TEST(PolicyStage, HeldCommandsThatEndAreRefusedUnderTheirOwnNames) {
  Stage s;
  s.load(0, 1, "rules: [{id: r, outcome: allow}]");
  s.add().origin = kHoldRefused;
  s.add().origin = kHoldExpired;
  s.add().origin = kHoldFull;
  s.run();
  EXPECT_EQ(s.live.count, 0);
  const Meta* m = s.burst->meta;
  EXPECT_EQ(m[0].verdict, Verdict::held_refused);
  EXPECT_EQ(m[0].reply_status, lcp::Status::denied);
  EXPECT_EQ(m[1].verdict, Verdict::held_expired);
  EXPECT_EQ(m[1].reply_status, lcp::Status::expired);
  EXPECT_EQ(m[2].verdict, Verdict::hold_full);
  EXPECT_EQ(m[2].reply_status, lcp::Status::busy);
}

// What small dimensions add up to, against the way of all rule sets.
void expect_same_rows(const Program& p) {
  ASSERT_TRUE(p.sums);
  const auto classes = std::make_unique<Classes>();
  const uint8_t first = 0;
  uint32_t matched = 0;
  for (uint32_t n = 0; n < 200'000; ++n) {
    Meta m;
    m.levels = static_cast<uint8_t>(n % 7 | n / 7 % 5 << 4);
    m.severity = n / 35 % 7;
    m.comms_degraded = n / 245 % 2;
    m.intent = static_cast<uint8_t>(n / 490 % 9 + (n % 11 == 0 ? 240 : 0));
    m.risk_centi = static_cast<uint16_t>(n * 2654435761u >> 16) % 10'051;
    classify(p, &m, &first, 1, *classes);
    uint32_t row;
    first_matches(p, *classes, 1, &row);
    const uint32_t sum = p.sums->of(m);
    ASSERT_EQ(p.row_of_sum[sum], row) << n;
    ASSERT_EQ(p.decision_of_sum[sum], (row == kNoRow ? kDefaultDeny : p.rows[row]).decision()) << n;
    matched += row != kNoRow;
  }
  EXPECT_GT(matched, 0u);
}

TEST(PolicyStage, SumsLeadToTheSameRows) {
  const std::string texts[] = {
      std::string(kDefaultRules), kByClearance, "rules: [{id: r, outcome: allow}]",
      "rules: [{id: r, outcome: allow, when: {risk: \"> 0.3\"}}]",
      "rules: [{id: r, outcome: hold, when: {severity: 2, mfa: 1}},"
      " {id: s, outcome: allow, when: {comms_degraded: true}}]"};
  for (const std::string& text : texts) {
    SCOPED_TRACE(text);
    Stage s;
    s.load(0, 1, text);
    if (HasFatalFailure()) return;
    expect_same_rows(*s.table.programs[0]);
  }
}

TEST(PolicyStage, SumsAreNotForOrganisations) {
  Stage s;
  s.load(0, 1, "rules: [{id: r, outcome: allow, when: {org: globex}}]");
  EXPECT_FALSE(s.table.programs[0]->sums);
}

struct Packet {
  lcp::Header header{};
  char payload[64] = {};
};

TEST(PolicyStage, PatternsDenyOnlyMatchingPayloads) {
  Stage s;
  s.load(0, 1, R"(
patterns: {wipe: {regex: wipe, caseless: true}, token: "tok-[0-9]+"}
rules:
  - {id: early, outcome: allow, when: {clearance: 5}}
  - {id: wipe, outcome: deny, when: {payload: wipe}}
  - {id: no-token, outcome: hold, when: {payload: {not: token}}}
  - {id: rest, outcome: allow}
)");
  Packet packets[4];
  std::strcpy(packets[0].payload, "please WIPE it, tok-1");
  std::strcpy(packets[1].payload, "tok-77");
  std::strcpy(packets[2].payload, "nothing");
  std::strcpy(packets[3].payload, "wipe");
  for (Packet& p : packets) {
    Meta& m = s.add();
    m.lcp = &p.header;
    m.payload_length = static_cast<uint16_t>(std::strlen(p.payload));
  }
  s.burst->meta[3].levels = 5;
  s.run();
  const Meta* m = s.burst->meta;
  EXPECT_EQ(m[0].rule, 2);
  EXPECT_EQ(m[0].pattern_bits, 3u);
  EXPECT_EQ(m[1].rule, 4);
  EXPECT_EQ(m[2].rule, 3);
  EXPECT_EQ(m[3].rule, 1);              // decided before any pattern is asked for
  EXPECT_EQ(s.state.scans.read(), 3u);  // so its payload was not scanned
}

TEST(PolicyStage, WhatCannotBeScannedIsDenied) {
  Stage s;
  s.load(0, 1, R"(
patterns: {wipe: wipe}
rules: [{id: a, outcome: allow, when: {payload: {not: wipe}}}, {id: b, outcome: allow}]
)");
  s.state.worker = 9;  // has no scratch
  s.add();
  s.run();
  EXPECT_EQ(s.burst->meta[0].verdict, Verdict::policy_denied);
  EXPECT_EQ(s.burst->meta[0].rule, 0);
}

}  // namespace
}  // namespace lf::policy
