// SPDX-License-Identifier: Apache-2.0
// Admission control through the whole pipeline: what is shed when there is no more room, in which
// order, what its sender is told, and what makes room again.
#include "tests/packet/rows.hpp"

namespace lf::test {
namespace {

using V = Verdict;
using S = lcp::Status;

constexpr uint32_t kRetryAfterMs = 80;

void room_for(config::Config& c, uint64_t commands) {
  for (config::Service& s : c.services) s.authentication = config::Authentication::required;
  c.organisations[0].quota = {.per_minute = 100, .hard = false};
  c.admission.hard_limit = commands;
}
Rig::Change room_for(uint64_t commands) {
  return [commands](config::Config& c) { room_for(c, commands); };
}

Packet command(uint64_t id, uint8_t severity = 1) {
  Packet p;
  p.lcp.id = id;
  p.lcp.severity = severity;
  p.lcp.deadline_us = kNowUs + 3'600'000'000;
  p.lcp.flags = lcp::kFlagWantsReply;
  p.lcp.key = kAcmeKey;
  return p;
}
Packet answer_to(uint64_t id) {
  Packet p{.src_mac = kNodeMac, .src = kNode4, .dst = kOwn4, .src_port = lcp::kDefaultPort};
  p.lcp.type = 2;
  p.lcp.id = id;
  p.lcp.key = kAcmeKey;
  p.lcp.payload = reply_body(S::ok);
  return p;
}
void fill(Rig& rig, uint64_t commands) {
  for (uint64_t id = 1; id <= commands; ++id) expect_verdict(rig.run(command(id)), V::forwarded);
}

TEST(Admission, TheNextOneAboveTheLimitIsShedAndToldSo) {
  Rig rig(room_for(3));
  fill(rig, 3);
  Result r = rig.run(command(4));
  expect_verdict(r, V::shed);
  // 90 of 100 are admitted at most, 3 have been.
  expect_sent(r, {own_reply(command(4), S::busy, V::shed, 87, 0, kRetryAfterMs)});
  Packet quiet = command(5);
  quiet.lcp.flags = 0;
  r = rig.run(quiet);
  expect_verdict(r, V::shed);
  expect_sent(r, {});
}

TEST(Admission, WhatIsShedHasLeftNoTrace) {
  Rig rig(room_for(1));
  fill(rig, 1);
  expect_verdict(rig.run(command(2)), V::shed);
  expect_verdict(rig.run(answer_to(1)), V::replied);
  expect_verdict(rig.run(command(2)), V::forwarded);
}

TEST(Admission, AnswersAndTimeoutsMakeRoom) {
  Rig rig(room_for(2));
  fill(rig, 2);
  expect_verdict(rig.run(command(3)), V::shed);
  expect_verdict(rig.run(answer_to(1)), V::replied);
  expect_verdict(rig.run(command(3)), V::forwarded);
  expect_verdict(rig.run(command(4)), V::shed);
  rig.advance_ms(60'000);
  expect_verdict(rig.run(answer_to(2)), V::replied);  // late: it had made room before
  expect_verdict(rig.run(command(5)), V::forwarded);
  expect_verdict(rig.run(command(6)), V::forwarded);
  expect_verdict(rig.run(command(7)), V::shed);
}

TEST(Admission, FullTransmitQueueMakesRoomAgain) {
  Rig rig(room_for(1));
  rig.port_is_full = true;
  for (uint64_t id = 1; id <= 3; ++id) expect_verdict(rig.run(command(id)), V::tx_full);
  rig.port_is_full = false;
  expect_verdict(rig.run(command(4)), V::forwarded);
  expect_verdict(rig.run(command(5)), V::shed);
}

TEST(Admission, DuplicatesGoFirstThenTheLowestSeverity) {
  Rig rig(room_for(3));
  fill(rig, 1);
  const Result r = rig.run_burst({command(1, 5), command(2, 1), command(3, 4), command(4, 2)});
  EXPECT_EQ(r.verdicts, (std::vector<V>{V::shed, V::shed, V::forwarded, V::forwarded}));
}

TEST(Admission, DuplicatesAreAnsweredAsSuchWhileThereIsRoom) {
  Rig rig(room_for(2));
  fill(rig, 1);
  expect_verdict(rig.run(command(1)), V::duplicate_in_flight);
}

TEST(Admission, ForgedCommandsAreRefusedForThatAndTakeNoRoom) {
  Rig rig(room_for(2));
  fill(rig, 1);
  Packet forged = command(2, 5);
  forged.lcp.key = kGlobexKey;
  const Result r = rig.run_burst({forged, command(3)});
  EXPECT_EQ(r.verdicts, (std::vector<V>{V::auth_bad_tag, V::forwarded}));
}

TEST(Admission, ApprovalsReportsRepliesAndReleasedCommandsAlwaysPass) {
  Rig rig([](config::Config& c) {
    room_for(c, 1);
    c.targets.push_back({.id = 5, .risk = 80});
  });
  fill(rig, 1);
  expect_verdict(rig.run(command(2)), V::shed);
  Packet report{.src_mac = kNodeMac, .src = kNode4, .dst = kOwn4};
  report.lcp.type = 4;
  report.lcp.operator_id = 0;
  report.lcp.key = kAcmeKey;
  report.lcp.payload = report_body(1, 10, 1);
  expect_verdict(rig.run(report), V::report_taken);
  Packet approval = command(9);
  approval.lcp.type = 3;
  approval.lcp.flags = 0;
  expect_verdict(rig.run(approval), V::approval_taken);
  Packet released = command(3);
  released.lcp.target = 5;
  expect_verdict(rig.inject(released, Origin::released), V::forwarded);
  expect_verdict(rig.run(answer_to(1)), V::replied);
}

TEST(Admission, CountsWhatWaitsAndWhatOtherWorkersHave) {
  Rig rig(room_for(10));
  rig.shared().others_busy[0].store(9);
  expect_verdict(rig.run(command(1)), V::forwarded);
  expect_verdict(rig.run(command(2)), V::shed);
  rig.shared().others_busy[0].store(-5);  // they ended what this worker began
  expect_verdict(rig.run(command(3)), V::forwarded);
  rig.pipeline().set_backlog(10);
  expect_verdict(rig.run(command(4)), V::shed);
}

TEST(Admission, DelayedCommandsTakeRoom) {
  Rig rig([](config::Config& c) {
    room_for(c, 8);
    c.organisations[0].quota.per_minute = 10;
  });
  fill(rig, 6);
  for (uint64_t id = 1; id <= 6; ++id) expect_verdict(rig.run(answer_to(id)), V::replied);
  for (uint64_t id = 7; id <= 9; ++id) expect_verdict(rig.run(command(id)), V::none);
  rig.pipeline().set_backlog(5);
  expect_verdict(rig.run(command(10)), V::shed);
}

TEST(Admission, OffMeansOff) {
  Rig rig([](config::Config& c) {
    room_for(c, 1);
    c.admission.enabled = false;
  });
  fill(rig, 20);
}

}  // namespace
}  // namespace lf::test
