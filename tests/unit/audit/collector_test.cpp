// SPDX-License-Identifier: Apache-2.0
// Rings to segments and back: everything is found again, gaps and events are kept, write errors
// become gaps, and a thread may do it while workers write.
#include "control/audit/collector.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "control/audit/query.hpp"
#include "dataplane/audit/audit.hpp"

namespace lf::audit {
namespace {

// A worker's side: numbered commands, one burst at a time.
struct Worker {
  std::unique_ptr<Ring> ring;
  State state;
  std::unique_ptr<Burst> burst = std::make_unique<Burst>();
  std::vector<lcp::Header> headers{kBurstMax};
  uint32_t next = 0;

  Worker(uint8_t number, uint32_t records) : ring(std::make_unique<Ring>(records)) {
    state.ring = ring.get();
    state.worker = number;
  }
  void decide(uint32_t count, uint64_t now_us) {
    Selection all;
    for (uint32_t i = 0; i < count; ++i) {
      Meta& m = burst->meta[i];
      m = Meta{};
      m.lcp = &headers[i];
      const uint32_t serial = next++;
      std::memcpy(headers[i].trace_id, &serial, 4);
      headers[i].trace_id[15] = state.worker;
      std::memcpy(headers[i].command_id, &serial, 4);
      headers[i].command_id[8] = 1;
      m.org = 0;
      m.org_id = 1 + serial % 3;
      m.operator_id = serial % 7;
      m.policy_version = 1;
      m.rule = static_cast<uint16_t>(serial % 5);
      m.outcome = static_cast<PolicyOutcome>(serial % 3);
      all.add(i);
    }
    audit::append(state, *burst, all, now_us);
  }
};

std::array<uint8_t, 16> trace_of(uint32_t serial, uint8_t worker) {
  std::array<uint8_t, 16> id{};
  std::memcpy(id.data(), &serial, 4);
  id[15] = worker;
  return id;
}

struct CollectorTest : testing::Test {
  std::string dir = testing::TempDir() + "lf_collector_" + std::to_string(getpid());
  ManualClock clock;
  std::vector<std::unique_ptr<Worker>> workers;
  std::unique_ptr<Collector> collector;

  void SetUp() override { std::filesystem::remove_all(dir); }
  void TearDown() override {
    collector.reset();
    std::filesystem::remove_all(dir);
  }
  void start(uint32_t count, uint32_t ring_records, Collector::Options options = {}) {
    std::vector<Ring*> rings;
    for (uint32_t w = 0; w < count; ++w) {
      workers.push_back(std::make_unique<Worker>(static_cast<uint8_t>(w), ring_records));
      rings.push_back(workers.back()->ring.get());
    }
    options.directory = dir;
    auto c = Collector::create(options, rings, clock);
    ASSERT_TRUE(c) << c.error().message;
    collector = std::move(*c);
  }
  uint64_t now() { return static_cast<uint64_t>(clock.unix_us()); }
  std::vector<FoundRecord> find(const Filter& filter) {
    std::vector<FoundRecord> found;
    const auto done = query(dir, filter, [&](const FoundRecord& r) { found.push_back(r); });
    EXPECT_TRUE(done) << done.error().message;
    return found;
  }
};

TEST_F(CollectorTest, EveryDecisionIsFoundAgain) {
  start(2, 1024);
  for (int round = 0; round < 400; ++round) {
    for (auto& w : workers) w->decide(1 + static_cast<uint32_t>(round) % 32, now());
    collector->poll();
    clock.advance_ms(7);
  }
  collector->flush();
  Filter all;
  all.limit = 1'000'000;
  EXPECT_EQ(find(all).size(), workers[0]->next + workers[1]->next);
  for (uint32_t serial = 0; serial < workers[0]->next; serial += 97) {
    Filter one;
    one.trace_id = trace_of(serial, 1);
    const auto found = find(one);
    ASSERT_EQ(found.size(), 1u) << serial;
    EXPECT_EQ(found[0].sequence, serial);
    EXPECT_EQ(found[0].record.rule, serial % 5);
  }
  const VerifyReport report = verify(dir);
  EXPECT_TRUE(report.intact) << report.fault;
  EXPECT_EQ(report.decisions, workers[0]->next + workers[1]->next);
}

TEST_F(CollectorTest, FiltersNarrow) {
  start(1, 1024);
  for (int n = 0; n < 10; ++n) {
    workers[0]->decide(21, now());
    collector->poll();
    clock.advance_ms(1000);
  }
  collector->flush();
  Filter f;
  f.org_id = 2;
  f.operator_id = 3;
  for (const FoundRecord& r : find(f)) {
    EXPECT_EQ(r.record.org_id, 2u);
    EXPECT_EQ(r.record.operator_id, 3u);
  }
  EXPECT_EQ(find(f).size(), 10u);
  Filter times;
  times.from_us = now() - 2'000'000;
  EXPECT_EQ(find(times).size(), 42u);
  Filter rule;
  rule.rule = 4;
  rule.outcome = 1;
  EXPECT_EQ(find(rule).size(), 14u);
  Filter few;
  few.limit = 5;
  EXPECT_EQ(find(few).size(), 5u);
  Filter none;
  none.org_id = 77;
  EXPECT_TRUE(find(none).empty());
}

TEST(AuditFilter, EventsHaveNoOutcome) {
  Record event{};
  event.kind = RecordKind::event;
  event.outcome = static_cast<uint8_t>(PolicyOutcome::allow);
  event.verdict = static_cast<uint8_t>(EventCode::activate);
  Filter f;
  EXPECT_TRUE(f.matches(event));
  f.outcome = event.outcome;
  EXPECT_FALSE(f.matches(event));
  f = {};
  f.verdict = event.verdict;
  EXPECT_FALSE(f.matches(event));
  f = {};
  f.rule = event.rule;
  EXPECT_FALSE(f.matches(event));
}

TEST(AuditFilter, ReplayOutcomesAreByVerdictAndFlag) {
  Record sent{}, unkept{}, late{}, uncopied{}, expired{}, event{};
  for (Record* r : {&sent, &unkept, &late, &uncopied, &expired}) r->kind = RecordKind::decision;
  uncopied.verdict = static_cast<uint8_t>(Verdict::replay_uncopied);
  sent.verdict = unkept.verdict = static_cast<uint8_t>(Verdict::forwarded);
  unkept.flags = expired.flags = Record::kUnkept;
  late.verdict = event.verdict = static_cast<uint8_t>(Verdict::replay_late);
  event.kind = RecordKind::event;
  const auto matching = [&](ReplayOutcome outcome) {
    Filter f;
    f.replay = outcome;
    std::vector<const Record*> out;
    for (const Record* r : {&sent, &unkept, &late, &uncopied, &expired, &event})
      if (f.matches(*r)) out.push_back(r);
    return out;
  };
  EXPECT_EQ(matching(ReplayOutcome::refused), (std::vector<const Record*>{&late, &uncopied}));
  EXPECT_EQ(matching(ReplayOutcome::unkept), std::vector<const Record*>{&unkept});
  EXPECT_EQ(matching(ReplayOutcome::expired), std::vector<const Record*>{&expired});
}

TEST_F(CollectorTest, GapsAreRecordsAndTheChainKnowsThem) {
  start(1, 64);
  for (int n = 0; n < 10; ++n) workers[0]->decide(32, now());
  collector->poll();
  workers[0]->decide(1, now());
  collector->poll();
  collector->flush();
  const VerifyReport report = verify(dir);
  EXPECT_TRUE(report.intact) << report.fault;
  EXPECT_EQ(report.gaps, 1u);
  EXPECT_EQ(report.lost, workers[0]->state.lost.read());
  EXPECT_EQ(report.decisions + report.lost, 321u);
  Filter gaps;
  gaps.kind = RecordKind::gap;
  ASSERT_EQ(find(gaps).size(), 1u);
  EXPECT_EQ(gap_of(find(gaps)[0].record).first, 63u);
  EXPECT_EQ(collector->stats().lost, report.lost);
}

TEST_F(CollectorTest, OldBlocksAreClosed) {
  start(1, 64);
  workers[0]->decide(1, now());
  collector->poll();
  EXPECT_EQ(verify(dir).decisions, 0u);
  clock.advance_ms(100);
  collector->poll();
  EXPECT_EQ(verify(dir).decisions, 1u);
}

TEST_F(CollectorTest, EventsAreKept) {
  start(1, 64);
  Record event{};
  event.kind = RecordKind::event;
  event.verdict = static_cast<uint8_t>(EventCode::activate);
  event.policy_version = 12;
  collector->add_event(event);
  collector->flush();
  Filter f;
  f.kind = RecordKind::event;
  const auto found = find(f);
  ASSERT_EQ(found.size(), 1u);
  const auto j =
      to_json(found[0], policy::Vocabulary{}, [](uint32_t, uint16_t) { return std::string("r"); });
  EXPECT_EQ(j["event"], "activate");
  EXPECT_EQ(j["version"], 12);
}

TEST_F(CollectorTest, ATapSeesEverythingAndNothingNeedsToBeStored) {
  workers.push_back(std::make_unique<Worker>(uint8_t{0}, 64u));
  auto c = Collector::create({}, {workers[0]->ring.get()}, clock);
  ASSERT_TRUE(c);
  size_t seen = 0;
  (*c)->set_tap([&](std::span<const Record> records) { seen += records.size(); });
  workers[0]->decide(20, now());
  (*c)->poll();
  EXPECT_EQ(seen, 20u);
}

TEST_F(CollectorTest, AFullDiskBecomesAGap) {
  start(1, 64);
  workers[0]->decide(5, now());
  collector->poll();
  collector->flush();
  const std::string segment = list_segments(dir).back().path;
  const auto size = std::filesystem::file_size(segment);
  // Files may not grow any more, as on a full disk.
  struct rlimit old {
  }, tight{};
  getrlimit(RLIMIT_FSIZE, &old);
  tight = {size, old.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &tight);
  workers[0]->decide(6, now());
  collector->poll();
  collector->flush();
  setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_EQ(collector->stats().write_errors, 1u);
  workers[0]->decide(7, now());
  collector->poll();
  collector->flush();
  const VerifyReport report = verify(dir);
  EXPECT_TRUE(report.intact) << report.fault;
  EXPECT_EQ(report.decisions, 12u);
  EXPECT_EQ(report.lost, 6u);
}

TEST_F(CollectorTest, WorkersAndTheThreadRunTogether) {
  start(2, 256);
  collector->start();
  std::vector<std::thread> threads;
  for (auto& w : workers)
    threads.emplace_back([raw = w.get()] {
      for (uint64_t n = 0; n < 3000; ++n) raw->decide(1 + n % 32, 1'767'225'600'000'000 + n);
    });
  for (std::thread& t : threads) t.join();
  // A last decision behind whatever was lost, when there is room again.
  for (auto& w : workers)
    while (w->state.gap_open) w->decide(1, 1'767'225'600'900'000);
  collector->stop();
  collector->flush();
  const VerifyReport report = verify(dir);
  EXPECT_TRUE(report.intact) << report.fault;
  EXPECT_EQ(report.decisions + report.lost, uint64_t{workers[0]->next} + workers[1]->next);
  EXPECT_EQ(report.lost, workers[0]->state.lost.read() + workers[1]->state.lost.read());
}

TEST(AuditId, HexWithAndWithoutDashes) {
  EXPECT_TRUE(parse_id("00112233-4455-6677-8899-aabbccddeeff"));
  EXPECT_EQ((*parse_id("00112233445566778899AABBCCDDEEFF"))[15], 0xff);
  EXPECT_FALSE(parse_id("0011"));
  EXPECT_FALSE(parse_id("0011223344556677889zaabbccddeeff"));
  EXPECT_FALSE(parse_id("00112233445566778899aabbccddeeff00"));
}

}  // namespace
}  // namespace lf::audit
