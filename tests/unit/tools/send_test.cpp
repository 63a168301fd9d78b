// SPDX-License-Identifier: Apache-2.0
// lf-send's parts without sockets: pace, commands, what became of them.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <vector>

#include "tools/lf_send/command_source.hpp"
#include "tools/lf_send/pacer.hpp"
#include "tools/lf_send/tracker.hpp"

namespace lf::send {
namespace {

constexpr int64_t kMs = 1'000'000;

TEST(Pacer, SendsExactlyWhatIsDue) {
  Pacer p(1000, 0, 0, 50);
  EXPECT_EQ(p.due(49), 0u);
  EXPECT_EQ(p.due(50), 1u);
  p.sent(1);
  EXPECT_EQ(p.due(50 + kMs - 1), 0u);
  EXPECT_EQ(p.next_ns(), 50 + kMs);
  EXPECT_EQ(p.due(50 + kMs), 1u);
  EXPECT_EQ(p.due(50 + 10 * kMs), 10u);  // late: catches up
}

TEST(Pacer, CountAndDurationEndIt) {
  Pacer by_count(1e6, 5, 0, 0);
  EXPECT_EQ(by_count.due(1'000'000'000), 5u);
  by_count.sent(5);
  EXPECT_TRUE(by_count.over(0));
  EXPECT_EQ(by_count.due(2'000'000'000), 0u);

  Pacer by_time(10, 0, 1000 * kMs, 0);
  EXPECT_FALSE(by_time.over(999 * kMs));
  EXPECT_TRUE(by_time.over(1000 * kMs));
  EXPECT_EQ(by_time.due(1000 * kMs), 0u);
}

TEST(Pacer, RateZeroIsAlwaysDue) {
  Pacer p(0, 0, 0, 0);
  EXPECT_GT(p.due(0), 1'000'000u);
  p.sent(1'000'000);
  EXPECT_GT(p.due(0), 1'000'000u);
  EXPECT_LE(p.next_ns(), 0);
}

// However irregular the wake-ups, the rate over the whole run is exact.
RC_GTEST_PROP(Pacer, KeepsTheRate, ()) {
  const double rate = *rc::gen::inRange(1, 100'000);
  const auto naps =
      *rc::gen::container<std::vector<int64_t>>(rc::gen::inRange<int64_t>(1, 50 * kMs));
  Pacer p(rate, 0, 0, 0);
  int64_t now = 0;
  for (const int64_t nap : naps) {
    now += nap;
    p.sent(p.due(now));
    const double right = static_cast<double>(now) / 1e9 * rate + 1;
    RC_ASSERT(static_cast<double>(p.total_sent()) <= right + 1e-3);
    RC_ASSERT(static_cast<double>(p.total_sent()) >= right - 1 - 1e-3);
  }
}

Options with_key() {
  Options o;
  o.targets.push_back(*tools::parse_endpoint("127.0.0.1", 1));
  o.key = lcp::KeyBytes{1, 2, 3};
  return o;
}

std::vector<uint8_t> datagram(const CommandSource& s, uint64_t n, uint8_t attempt = 0) {
  std::vector<uint8_t> d(s.size_of(n));
  s.write(n, attempt, 123456789, d);
  return d;
}

TEST(CommandSource, IdsAreUniqueAndLeadBack) {
  const Options o = with_key();
  const CommandSource a(o, 77, 0), b(o, 77, 1), other_run(o, 78, 0);
  std::set<lcp::Id> ids;
  for (uint64_t n = 0; n < 1000; ++n) {
    for (const auto* s : {&a, &b, &other_run}) ids.insert(s->id_of(n));
    EXPECT_EQ(a.number_of(a.id_of(n)), n);
    EXPECT_EQ(a.number_of(b.id_of(n)), CommandSource::kNotOurs);
    EXPECT_EQ(a.number_of(other_run.id_of(n)), CommandSource::kNotOurs);
  }
  EXPECT_EQ(ids.size(), 3000u);
}

TEST(CommandSource, RoundRobinCoversAllCombinations) {
  Options o = with_key();
  o.orgs = {1, 2};
  o.intents = {1, 2, 3, 4};
  o.severities = {1, 5};
  const CommandSource s(o, 1, 0);
  std::set<std::tuple<uint32_t, uint8_t, uint8_t>> seen;
  for (uint64_t n = 0; n < 16; ++n) {
    lcp::Message m;
    ASSERT_EQ(lcp::decode(datagram(s, n), m), Verdict::none);
    seen.emplace(m.fields.org_id, m.fields.intent, m.fields.severity);
  }
  EXPECT_EQ(seen.size(), 16u);
}

TEST(CommandSource, RetryIsTheSameCommand) {
  Options o = with_key();
  o.random = true;
  o.orgs = {1, 2, 3};
  o.intents = {1, 2, 3};
  o.payload = {9, 9, 9};
  const CommandSource s(o, 1, 0);
  for (uint64_t n = 0; n < 50; ++n) {
    const auto first_bytes = datagram(s, n), again_bytes = datagram(s, n, 2);
    lcp::Message first, again;
    ASSERT_EQ(lcp::decode(first_bytes, first), Verdict::none);
    ASSERT_EQ(lcp::decode(again_bytes, again), Verdict::none);
    EXPECT_EQ(again.fields.attempt, 2);
    again.fields.attempt = 0;
    EXPECT_EQ(first.fields, again.fields);
    EXPECT_TRUE(lcp::Signer(*o.key).verify(again_bytes));
  }
}

TEST(CommandSource, EachFaultIsThatFault) {
  const std::pair<const char*, Verdict> rows[] = {{"magic", Verdict::lcp_magic},
                                                  {"version", Verdict::lcp_version},
                                                  {"type", Verdict::lcp_type},
                                                  {"flags", Verdict::lcp_flags},
                                                  {"length", Verdict::lcp_length},
                                                  {"severity", Verdict::lcp_severity},
                                                  {"truncated", Verdict::lcp_truncated},
                                                  {"tag", Verdict::none},
                                                  {"payload", Verdict::none},
                                                  {"untagged", Verdict::none},
                                                  {"key", Verdict::none},
                                                  {"org", Verdict::none},
                                                  {"deadline", Verdict::none}};
  for (const auto& [name, verdict] : rows) {
    Options o = with_key();
    o.payload = {1, 2, 3, 4};
    o.faults = {{*parse_fault(name), 100}};
    const CommandSource s(o, 1, 0);
    const auto d = datagram(s, 0);
    lcp::Message m;
    EXPECT_EQ(info(lcp::decode(d, m)).name, info(verdict).name) << name;
    if (verdict != Verdict::none) continue;
    const std::string_view fault = name;
    const bool rightly_signed = fault == "key" || fault == "org" || fault == "deadline";
    EXPECT_EQ(lcp::Signer(*o.key).verify(d), rightly_signed) << name;
    EXPECT_EQ(m.fields.key_id != 1, fault == "key");
    EXPECT_EQ(m.fields.deadline_us == 1, fault == "deadline");
    EXPECT_EQ(m.fields.org_id != 1, fault == "org");
  }
  EXPECT_FALSE(parse_fault("none"));
  EXPECT_FALSE(parse_fault("nonsense"));
}

TEST(CommandSource, SharesAreAbout) {
  Options o = with_key();
  o.duplicates = 30;
  o.faults = {{Fault::tag, 10}, {Fault::magic, 5}};
  const CommandSource s(o, 1, 0);
  int duplicated = 0, tag = 0, magic = 0;
  for (uint64_t n = 0; n < 20'000; ++n) {
    duplicated += s.is_duplicated(n);
    tag += s.fault_of(n) == Fault::tag;
    magic += s.fault_of(n) == Fault::magic;
  }
  EXPECT_NEAR(duplicated, 6000, 300);
  EXPECT_NEAR(tag, 2000, 200);
  EXPECT_NEAR(magic, 1000, 150);
}

TEST(CommandSource, RefusesAnAnswerWithAWrongTag) {
  const Options o = with_key();
  const CommandSource s(o, 1, 0);
  std::vector<uint8_t> d(96);
  lcp::encode_reply(d, {.org_id = 1, .key_id = 1}, {});
  lcp::Message m;
  ASSERT_EQ(lcp::decode(d, m), Verdict::none);
  EXPECT_TRUE(s.plausible(d, m));  // untagged
  s.sign(d, 1);
  lcp::decode(d, m);
  EXPECT_TRUE(s.plausible(d, m));
  d[70] ^= 1;
  EXPECT_FALSE(s.plausible(d, m));
}

lcp::Reply reply(lcp::Status status, bool from_data_plane = false, uint32_t throttle_ms = 0) {
  return {.status = status, .from_data_plane = from_data_plane, .throttle_ms = throttle_ms};
}

TEST(Tracker, AnsweredOnce) {
  Tracker t({});
  t.sent(0);
  EXPECT_EQ(t.waiting(), 1u);
  EXPECT_EQ(t.answered(0, reply(lcp::Status::ok), 5), Taken::final);
  EXPECT_EQ(t.waiting(), 0u);
  EXPECT_EQ(t.answered(0, reply(lcp::Status::ok), 6), Taken::second);
  EXPECT_EQ(t.answered(1, reply(lcp::Status::ok), 6), Taken::unexpected);
  EXPECT_FALSE(t.next_retry(INT64_MAX - 1));
}

TEST(Tracker, RetriesThenGivesUp) {
  Tracker t({.timeout_ns = 10 * kMs, .retries = 2});
  t.sent(0);
  EXPECT_EQ(t.next_timer_ns(), 10 * kMs);
  EXPECT_FALSE(t.next_retry(10 * kMs - 1));
  for (uint8_t attempt = 1; attempt <= 2; ++attempt) {
    const auto r = t.next_retry(attempt * 10 * kMs);
    ASSERT_TRUE(r);
    EXPECT_EQ(r->number, 0u);
    EXPECT_EQ(r->attempt, attempt);
    EXPECT_FALSE(t.next_retry(attempt * 10 * kMs));
  }
  EXPECT_FALSE(t.next_retry(30 * kMs));
  EXPECT_EQ(t.commands()[0].state, Tracker::State::lost);
  EXPECT_EQ(t.waiting(), 0u);
  EXPECT_EQ(t.next_timer_ns(), INT64_MAX);
  // Late is better than never.
  EXPECT_EQ(t.answered(0, reply(lcp::Status::ok), 40 * kMs), Taken::final);
  EXPECT_EQ(t.commands()[0].state, Tracker::State::answered);
  EXPECT_EQ(t.waiting(), 0u);
}

TEST(Tracker, DuplicateNoticeDecidesNothing) {
  Tracker t({});
  t.sent(0);
  EXPECT_EQ(t.answered(0, reply(lcp::Status::duplicate, true), 1), Taken::duplicate_notice);
  EXPECT_EQ(t.waiting(), 1u);
}

TEST(Tracker, SpoiledCommandsExpectNothing) {
  Tracker t({});
  t.sent_spoiled(0);
  EXPECT_EQ(t.waiting(), 0u);
  EXPECT_EQ(t.answered(0, reply(lcp::Status::expired, true), 1), Taken::unexpected);
}

TEST(Tracker, HeldWaitsLongerAndKeepsItsStatus) {
  Tracker t({.timeout_ns = 10 * kMs, .retries = 5, .hold_ns = 100 * kMs});
  t.sent(0);
  EXPECT_EQ(t.answered(0, reply(lcp::Status::held, true), 5 * kMs), Taken::interim);
  EXPECT_FALSE(t.next_retry(104 * kMs));  // no retry while it is held
  EXPECT_EQ(t.next_timer_ns(), 105 * kMs);
  EXPECT_EQ(t.answered(0, reply(lcp::Status::ok), 104 * kMs), Taken::final);
  EXPECT_EQ(t.commands()[0].status, lcp::Status::ok);

  t.sent(200 * kMs);
  t.answered(1, reply(lcp::Status::held, true), 200 * kMs);
  t.finish();
  EXPECT_EQ(t.commands()[1].state, Tracker::State::answered);
  EXPECT_EQ(t.commands()[1].status, lcp::Status::held);
}

TEST(Tracker, DelayedWaitsForTheDelay) {
  Tracker t({.timeout_ns = 10 * kMs, .retries = 1});
  t.sent(0);
  EXPECT_EQ(t.answered(0, reply(lcp::Status::delayed, true, 80), 1 * kMs), Taken::interim);
  EXPECT_FALSE(t.next_retry(90 * kMs));
  const auto r = t.next_retry(91 * kMs);  // 80 ms delay and a time-out after that
  ASSERT_TRUE(r);
  EXPECT_EQ(r->attempt, 1);
}

TEST(Tracker, RefusalIsRetriedWhenAsked) {
  Tracker t({.timeout_ns = 10 * kMs, .retries = 1, .retry_refused = true});
  t.sent(0);
  EXPECT_EQ(t.answered(0, reply(lcp::Status::throttled, true, 30), 1 * kMs), Taken::interim);
  EXPECT_FALSE(t.next_retry(30 * kMs));
  EXPECT_TRUE(t.next_retry(31 * kMs));
  // The last attempt's refusal is final.
  EXPECT_EQ(t.answered(0, reply(lcp::Status::throttled, true), 32 * kMs), Taken::final);
  // A node's own "busy" is recorded by the data plane: trying again brings nothing.
  t.sent(100 * kMs);
  EXPECT_EQ(t.answered(1, reply(lcp::Status::busy), 101 * kMs), Taken::final);
}

// Whatever comes in whatever order: each command ends once, and nothing waits for ever.
RC_GTEST_PROP(Tracker, Settles, ()) {
  const TrackerLimits limits{.timeout_ns = 10 * kMs,
                             .retries = *rc::gen::inRange(0u, 4u),
                             .retry_refused = *rc::gen::arbitrary<bool>(),
                             .hold_ns = 40 * kMs};
  Tracker t(limits);
  int64_t now = 0;
  uint64_t finals = 0;
  const int steps = *rc::gen::inRange(1, 80);
  for (int i = 0; i < steps; ++i) {
    now += *rc::gen::inRange<int64_t>(0, 8 * kMs);
    if (*rc::gen::arbitrary<bool>()) t.sent(now);
    if (!t.commands().empty() && *rc::gen::arbitrary<bool>()) {
      const auto n = *rc::gen::inRange<uint64_t>(0, t.commands().size());
      const auto status = static_cast<lcp::Status>(*rc::gen::inRange(0, 12));
      finals += t.answered(n, reply(status, *rc::gen::arbitrary<bool>(), 5), now) == Taken::final;
    }
    while (const auto r = t.next_retry(now)) RC_ASSERT(r->attempt <= limits.retries);
  }
  for (int guard = 0; t.waiting() > 0; ++guard) {
    RC_ASSERT(guard < 100'000);
    RC_ASSERT(t.next_timer_ns() != INT64_MAX);
    now = std::max(now, t.next_timer_ns());
    while (t.next_retry(now)) {
    }
  }
  uint64_t answered = 0;
  for (const auto& c : t.commands()) {
    RC_ASSERT(c.state != Tracker::State::waiting);
    answered += c.state == Tracker::State::answered;
  }
  RC_ASSERT(answered >= finals);
}

}  // namespace
}  // namespace lf::send
