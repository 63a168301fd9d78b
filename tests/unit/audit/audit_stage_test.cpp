// SPDX-License-Identifier: Apache-2.0
// The worker's side of the audit: records, overflow, gaps, refusal when recording is a must.
#include "dataplane/audit/audit.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace lf::audit {
namespace {

struct Worker {
  Ring ring{8};
  State state;
  std::unique_ptr<Burst> burst = std::make_unique<Burst>();
  lcp::Header header{};
  uint32_t command = 0;

  Worker() {
    state.ring = &ring;
    state.worker = 3;
  }
  Selection packets(uint32_t count) {
    Selection all;
    for (uint32_t i = 0; i < count; ++i) {
      burst->meta[i] = Meta{};
      burst->meta[i].lcp = &header;
      burst->meta[i].outcome = PolicyOutcome::allow;
      burst->meta[i].target_id = command++;
      all.add(i);
    }
    burst->count = static_cast<uint16_t>(count);
    return all;
  }
  void append(uint32_t count, uint64_t now_us = 1000) {
    audit::append(state, *burst, packets(count), now_us);
  }
  std::vector<Record> take(uint32_t at_most = 100) {
    std::vector<Record> out;
    uint64_t tail = ring.tail();
    for (; tail < ring.published() && out.size() < at_most; ++tail) out.push_back(ring.at(tail));
    ring.done(tail);
    return out;
  }
};

TEST(AuditStage, RecordHoldsWhatDecided) {
  Worker w;
  Selection one = w.packets(1);
  Meta& m = w.burst->meta[0];
  w.header.trace_id[0] = 0xaa;
  w.header.command_id[15] = 0xbb;
  m.org = 4;
  m.org_id = 70;
  m.operator_id = 71;
  m.target_id = 72;
  m.policy_version = 9;
  m.role_bits = 5;
  m.pattern_bits = 6;
  m.rule = 7;
  m.risk_centi = 6500;
  m.target_group = 8;
  m.node = 11;
  m.intent = 5;
  m.severity = 2;
  m.levels = 4 | 2 << 4;
  m.authenticated = m.comms_degraded = true;
  m.outcome = PolicyOutcome::hold;
  m.verdict = Verdict::held;
  audit::append(w.state, *w.burst, one, 123'456);
  const Record r = w.take().at(0);
  EXPECT_EQ(r.kind, RecordKind::decision);
  EXPECT_EQ(r.worker, 3);
  EXPECT_EQ(r.time_us, 123'456u);
  EXPECT_EQ(r.trace_id[0], 0xaa);
  EXPECT_EQ(r.command_id[15], 0xbb);
  EXPECT_EQ(r.org_id, 70u);
  EXPECT_EQ(r.operator_id, 71u);
  EXPECT_EQ(r.target_id, 72u);
  EXPECT_EQ(r.policy_version, 9u);
  EXPECT_EQ(r.role_bits, 5u);
  EXPECT_EQ(r.pattern_bits, 6u);
  EXPECT_EQ(r.rule, 7);
  EXPECT_EQ(r.risk_centi, 6500);
  EXPECT_EQ(r.group, 8);
  EXPECT_EQ(r.node, 11);
  EXPECT_EQ(r.intent, 5);
  EXPECT_EQ(r.severity, 2);
  EXPECT_EQ(r.clearance_mfa, 4 | 2 << 4);
  EXPECT_EQ(r.outcome, static_cast<uint8_t>(PolicyOutcome::hold));
  EXPECT_EQ(r.verdict, static_cast<uint8_t>(Verdict::held));
  EXPECT_EQ(r.flags, Record::kAuthenticated | Record::kCommsDegraded | Record::kEvaluated |
                         Record::kOrgKnown);
}

// Flags that few commands have are made apart; those of the others in the burst are as ever. Also
// where records go around the ring's end, and where some of the burst are left out.
TEST(AuditStage, ARareFlagIsThatOfItsCommandAlone) {
  struct Rare {
    void (*make)(Meta&);
    uint8_t set, clear;
  };
  const Rare rare[] = {
      {[](Meta&) {}, 0, 0},
      {[](Meta& m) { m.is_retry = true; }, Record::kRetry, 0},
      {[](Meta& m) { m.origin = Origin::released; }, Record::kReleased, Record::kEvaluated},
      {[](Meta& m) { m.origin = Origin::intake; }, Record::kFromIntake, 0},
      {[](Meta& m) { m.policy_version = 0; }, 0, Record::kEvaluated},
      {[](Meta& m) { m.org = kNoOrg; }, 0, Record::kOrgKnown},
      {[](Meta& m) { m.replayable = m.unkept = true; }, Record::kUnkept, 0},
      {[](Meta& m) { m.replayable = true; }, 0, 0},
      {[](Meta& m) { m.unkept = true; }, 0, 0},
  };
  for (uint32_t start = 0; start < 8; ++start)
    for (const Rare& r : rare)
      for (uint32_t at = 0; at < 5; ++at)
        for (const bool gap : {false, true}) {
          Worker w;
          w.append(start);
          w.take();
          Selection some{};
          for (const uint8_t i : w.packets(5)) {
            Meta& m = w.burst->meta[i];
            m.org = kOrgsMax - 1 - i;
            m.policy_version = 1 + i;
            m.authenticated = i % 2 == 1;
            m.comms_degraded = i >= 2;
            m.levels = 0xff;
            m.verdict = Verdict::forwarded;
            if (!gap || i != 3) some.add(i);
          }
          r.make(w.burst->meta[at]);
          audit::append(w.state, *w.burst, some, 1);
          const auto records = w.take();
          ASSERT_EQ(records.size(), some.count);
          for (uint32_t k = 0; k < some.count; ++k) {
            const uint32_t i = some.index[k];
            uint32_t want = Record::kEvaluated | Record::kOrgKnown;
            if (i % 2 == 1) want |= Record::kAuthenticated;
            if (i >= 2) want |= Record::kCommsDegraded;
            if (i == at) want = (want | r.set) & ~uint32_t{r.clear};
            EXPECT_EQ(records[k].flags, want) << start << at << i;
            EXPECT_EQ(records[k].verdict, static_cast<uint8_t>(Verdict::forwarded));
            EXPECT_EQ(records[k].clearance_mfa, 0xff);
          }
        }
}

TEST(AuditStage, OnlySentCommandsAreUnkept) {
  Worker w;
  const Selection two = w.packets(2);
  for (const uint32_t i : {0, 1}) w.burst->meta[i].replayable = w.burst->meta[i].unkept = true;
  w.burst->meta[0].verdict = Verdict::forwarded;
  w.burst->meta[1].verdict = Verdict::unroutable;
  audit::append(w.state, *w.burst, two, 1);
  const auto records = w.take();
  EXPECT_EQ(records.at(0).flags & Record::kUnkept, Record::kUnkept);
  EXPECT_EQ(records.at(1).flags & Record::kUnkept, 0);
}

TEST(AuditStage, AnExpiredCommandIsARecordOrInAGap) {
  Worker w;
  w.packets(1);
  w.burst->meta[0].node = 7;
  for (uint32_t i = 0; i < 10; ++i) append_end(w.state, w.burst->meta[0], Verdict::none, 5);
  EXPECT_EQ(w.state.recorded.read(), 7u);  // of eight places one is kept for the gap
  EXPECT_EQ(w.state.lost.read(), 3u);
  auto records = w.take();
  for (const Record& r : records) {
    EXPECT_EQ(r.verdict, static_cast<uint8_t>(Verdict::none));
    EXPECT_EQ(r.flags & Record::kUnkept, Record::kUnkept);
    EXPECT_EQ(r.node, 7);
  }
  append_end(w.state, w.burst->meta[0], Verdict::none, 6);
  records = w.take();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].kind, RecordKind::gap);
  EXPECT_EQ(gap_of(records[0]).first, 7u);
  EXPECT_EQ(gap_of(records[0]).last, 9u);
  EXPECT_EQ(w.state.sequence, 11u);
}

TEST(AuditStage, AnEndThatIsARefusalHasItsVerdict) {
  Worker w;
  w.packets(1);
  append_end(w.state, w.burst->meta[0], Verdict::replay_uncopied, 5);
  const auto records = w.take();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].verdict, static_cast<uint8_t>(Verdict::replay_uncopied));
  EXPECT_EQ(records[0].flags & Record::kUnkept, 0);
}

TEST(AuditStage, OverflowBecomesAGapWithItsNumbers) {
  Worker w;           // 7 places and one for the gap record
  w.append(5, 1000);  // 0..4
  w.append(4, 2000);  // 5, 6 fit; 7, 8 don't
  w.append(2, 3000);  // 9, 10 don't
  EXPECT_EQ(w.state.lost.read(), 4u);
  EXPECT_EQ(w.take().size(), 7u);
  w.append(1, 4000);  // 11, behind the gap
  const auto records = w.take();
  ASSERT_EQ(records.size(), 2u);
  ASSERT_EQ(records[0].kind, RecordKind::gap);
  const GapInfo gap = gap_of(records[0]);
  EXPECT_EQ(gap.first, 7u);
  EXPECT_EQ(gap.last, 10u);
  EXPECT_EQ(gap.time_us, 2000u);
  EXPECT_EQ(gap.end_time_us, 3000u);
  EXPECT_EQ(gap.by_outcome[static_cast<uint32_t>(PolicyOutcome::allow)], 4u);
  EXPECT_EQ(records[1].target_id, 11u);
  EXPECT_EQ(w.state.sequence, 12u);
}

TEST(AuditStage, EveryDecisionIsARecordOrInAGap) {
  Worker w;
  uint64_t next = 0;
  uint32_t seed = 7;
  for (int round = 0; round < 2000; ++round) {
    seed = seed * 1664525 + 1013904223;
    w.append(1 + (seed >> 24) % 6);
    for (const Record& r : w.take((seed >> 16) % 5)) {
      if (r.kind == RecordKind::gap) {
        ASSERT_EQ(gap_of(r).first, next);
        next = gap_of(r).last + 1;
      } else {
        ASSERT_EQ(r.target_id, next);
        ++next;
      }
    }
  }
  EXPECT_GT(w.state.lost.read(), 100u);
  EXPECT_GT(w.state.recorded.read(), 100u);
  EXPECT_EQ(w.state.sequence, w.state.lost.read() + w.state.recorded.read());
}

TEST(AuditStage, WhenRecordingIsAMustABurstThatDoesNotFitIsRefused) {
  Worker w;
  w.state.drop_outcomes = 0x7;
  Selection live = w.packets(5);
  Selection judged = live;
  admit(w.state, *w.burst, judged, live, 5);
  EXPECT_EQ(live.count, 5);
  audit::append(w.state, *w.burst, live, 1);
  live = judged = w.packets(5);
  admit(w.state, *w.burst, judged, live, 5);
  EXPECT_EQ(live.count, 0);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(w.burst->meta[i].verdict, Verdict::audit_full);
}

TEST(AuditStage, RecordingIsAMustForTheOutcomesThatAreNamed) {
  Worker w;
  w.state.drop_outcomes = 1u << static_cast<uint32_t>(PolicyOutcome::hold);
  audit::append(w.state, *w.burst, w.packets(5), 1);
  const Selection judged = w.packets(3);
  Selection live{};
  w.burst->meta[0].outcome = PolicyOutcome::allow;
  live.add(0);
  w.burst->meta[1].outcome = PolicyOutcome::deny;
  w.burst->decide(1, Verdict::policy_denied);
  w.burst->meta[2].outcome = PolicyOutcome::hold;
  w.burst->decide(2, Verdict::held);
  admit(w.state, *w.burst, judged, live, 5);
  EXPECT_EQ(live.count, 1);
  EXPECT_EQ(w.burst->meta[0].verdict, Verdict::none);
  EXPECT_EQ(w.burst->meta[1].verdict, Verdict::policy_denied);
  EXPECT_EQ(w.burst->meta[2].verdict, Verdict::audit_full);
}

TEST(AuditStage, CountLossLetsPacketsPass) {
  Worker w;
  for (int n = 0; n < 4; ++n) {
    Selection live = w.packets(5);
    const Selection judged = live;
    admit(w.state, *w.burst, judged, live, 5);
    EXPECT_EQ(live.count, 5);
    audit::append(w.state, *w.burst, live, 1);
  }
  EXPECT_GT(w.state.lost.read(), 0u);
}

TEST(AuditStage, SwitchedOffItDoesNothing) {
  Worker w;
  w.ring.set_enabled(false);
  w.append(5);
  EXPECT_EQ(w.ring.published(), 0u);
  EXPECT_EQ(w.state.sequence, 0u);
}

}  // namespace
}  // namespace lf::audit
