// SPDX-License-Identifier: Apache-2.0
#include "dataplane/answer/answer.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "control/parse/table_builder.hpp"
#include "dataplane/net/turn.hpp"
#include "dataplane/parse/parse.hpp"
#include "tests/support/mbufs.hpp"
#include "tests/support/world.hpp"

namespace lf::answer {
namespace {

using test::build;
using test::Bytes;
using test::Packet;

struct Fixture {
  parse::Table table = parse::build_table(test::world(), test::world_ports()).value();
  test::TestBurst b;
  parse::Sorted sorted;
  Selection live;

  // A command that would be answered.
  Meta& add(const Packet& p, Verdict verdict, uint16_t room = 2048) {
    b.add(build(p), 0, room);
    parse::State state;
    parse::run(table, state, *b.burst, sorted, 0);
    Meta& m = b.burst->meta[b.burst->count - 1];
    m.authenticated = true;
    m.verdict = verdict;
    return m;
  }
  void run() {
    live = b.all();
    answer::build(*b.burst, live);
    finish(*b.burst, live);
  }
};

constexpr uint8_t kWants = lcp::kFlagWantsReply;

Packet reply_to(const Packet& p, const Bytes& body) {
  Packet r = p;
  std::swap(r.dst_mac, r.src_mac);
  std::swap(r.src, r.dst);
  std::swap(r.src_port, r.dst_port);
  r.ttl = net::kOwnTtl;
  r.tos = 0;
  r.ip_id = 0;
  r.flow_label = 0;
  r.udp_checksum.reset();
  r.lcp.type = 2;
  r.lcp.flags = 0;
  r.lcp.payload = body;
  return r;
}

TEST(Answer, CommandBecomesItsReply) {
  for (const bool v6 : {false, true})
    for (const size_t payload : {0, 5, 16, 300})
      for (const uint16_t vlan : {0, 5}) {
        Packet in{.ttl = 3, .tos = 8, .ip_id = 77, .udp_checksum = {}};
        if (v6) in.src = test::kClient6, in.dst = test::kOwn6, in.flow_label = 5;
        if (vlan) in.vlan = vlan;
        in.lcp.flags = kWants;
        in.lcp.attempt = 3;
        in.lcp.payload = Bytes(payload, 0x77);
        Fixture f;
        Meta& m = f.add(in, Verdict::quota_rejected);
        m.quota_remaining = 1;
        m.reset_seconds = 2;
        m.throttle_ms = 3;
        f.run();
        ASSERT_EQ(f.live.count, 1);
        const Bytes body = test::reply_body(lcp::Status::throttled, 76, 1, 1, 2, 3);
        const Bytes want = build(reply_to(in, body));
        EXPECT_EQ(f.b.frame(0), want) << test::hex_diff(f.b.frame(0), want);
        EXPECT_EQ(test::check_frame(f.b.frame(0)), "");
        EXPECT_EQ(m.payload_length, 16);
        EXPECT_EQ(m.verdict, Verdict::quota_rejected);
      }
}

TEST(Answer, NobodyElseIsAnswered) {
  Fixture f;
  f.add({.lcp = {.flags = kWants}}, Verdict::none);
  f.add({.lcp = {.flags = 0}}, Verdict::none);
  f.add({.lcp = {.type = 5, .flags = kWants}}, Verdict::none);
  f.add({.lcp = {.flags = kWants}}, Verdict::none);
  for (uint32_t i = 0; i < 4; ++i) {
    Meta& m = f.b.burst->meta[i];
    m.authenticated = i != 0;
    m.verdict = Verdict::policy_denied;
  }
  f.b.burst->meta[3].origin = Origin::intake;
  const Bytes before = f.b.frame(0);
  f.run();
  EXPECT_EQ(f.live.count, 0);
  EXPECT_EQ(f.b.frame(0), before);
}

TEST(Answer, NoRoomNoAnswer) {
  const Packet in{.lcp = {.flags = kWants}};
  Fixture f;
  f.add(in, Verdict::policy_denied, static_cast<uint16_t>(build(in).size() + 15));
  f.run();
  EXPECT_EQ(f.live.count, 0);
  Fixture g;
  g.add(in, Verdict::policy_denied, static_cast<uint16_t>(build(in).size() + 16));
  g.run();
  EXPECT_EQ(g.live.count, 1);
}

TEST(Answer, StatusIsTheStagesOrTheVerdicts) {
  struct {
    Verdict verdict;
    lcp::Status set, want;
  } const rows[] = {
      {Verdict::policy_denied, lcp::Status::ok, lcp::Status::denied},
      {Verdict::policy_denied, lcp::Status::busy, lcp::Status::busy},
      {Verdict::duplicate_answered, lcp::Status::ok, lcp::Status::ok},
      {Verdict::duplicate_answered, lcp::Status::failed, lcp::Status::failed},
      {Verdict::duplicate_in_flight, lcp::Status::ok, lcp::Status::duplicate},
      {Verdict::deadline_expired, lcp::Status::expired, lcp::Status::expired},
      {Verdict::held, lcp::Status::ok, lcp::Status::held},
      {Verdict::none, lcp::Status::ok, lcp::Status::delayed},
      {Verdict::unroutable, lcp::Status::ok, lcp::Status::unroutable},
      {Verdict::trial_taken, lcp::Status::ok, lcp::Status::unroutable},
      {Verdict::shed, lcp::Status::ok, lcp::Status::busy},
      {Verdict::quota_zero, lcp::Status::ok, lcp::Status::throttled},
      {Verdict::auth_bad_tag, lcp::Status::ok, lcp::Status::unauthenticated},
      {Verdict::lcp_body, lcp::Status::ok, lcp::Status::invalid},
  };
  for (const auto& row : rows) {
    Fixture f;
    f.add({.lcp = {.flags = kWants}}, row.verdict).reply_status = row.set;
    f.run();
    ASSERT_EQ(f.live.count, 1);
    const Bytes frame = f.b.frame(0);
    EXPECT_EQ(frame[14 + 28 + 80], static_cast<uint8_t>(row.want)) << info(row.verdict).name;
    EXPECT_EQ(frame[14 + 28 + 81], static_cast<uint8_t>(row.verdict));
  }
}

TEST(Answer, CopyLeavesTheCommandAlone) {
  Packet in{.vlan = 9, .lcp = {.flags = kWants, .payload = Bytes(40, 1)}};
  Fixture f;
  f.add(in, Verdict::none);
  auto extra = std::make_unique<Burst>();
  ASSERT_TRUE(copy(*f.b.burst, 0, *extra, f.b.make()));
  Selection live;
  live.add(0);
  answer::build(*extra, live);
  finish(*extra, live);
  ASSERT_EQ(live.count, 1);
  EXPECT_EQ(f.b.frame(0), build(in));
  const Bytes want = build(reply_to(in, test::reply_body(lcp::Status::delayed, 0, 1)));
  const Bytes got = test::TestBurst::bytes_of(extra->packets[0]);
  EXPECT_EQ(got, want) << test::hex_diff(got, want);
}

TEST(Answer, CopyNeedsRoom) {
  Fixture f;
  f.add({}, Verdict::none);
  auto full = std::make_unique<Burst>();
  full->count = kBurstMax;
  EXPECT_FALSE(copy(*f.b.burst, 0, *full, f.b.make()));
  full->count = 0;
  EXPECT_FALSE(copy(*f.b.burst, 0, *full, f.b.make(100)));
  EXPECT_EQ(full->count, 0);
}

}  // namespace
}  // namespace lf::answer
