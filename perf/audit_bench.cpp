// SPDX-License-Identifier: Apache-2.0
// What recording a decision costs the worker. audit.append: bursts of 32 into a ring that is
// emptied between measurements, so that no second core takes part; the ring has the default size,
// so records go to memory, not to cache. audit.collect: what the collector's thread manages.
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <random>

#include "control/audit/collector.hpp"
#include "dataplane/audit/audit.hpp"

namespace lf::audit {
namespace {

constexpr uint32_t kBurst = 32;
constexpr uint32_t kRing = 65536;

// Bursts whose packets lie apart, as mbufs do.
struct Packets {
  struct alignas(2048) Buffer {
    lcp::Header header;
  };
  std::unique_ptr<Buffer[]> buffers{new Buffer[8 * kBurst]};
  std::unique_ptr<Burst[]> bursts{new Burst[8]};
  Selection all;

  Packets() {
    std::mt19937_64 random(3);
    for (uint32_t b = 0; b < 8; ++b)
      for (uint32_t i = 0; i < kBurst; ++i) {
        lcp::Header& h = buffers[b * kBurst + i].header;
        for (uint8_t& byte : h.trace_id) byte = static_cast<uint8_t>(random());
        for (uint8_t& byte : h.command_id) byte = static_cast<uint8_t>(random());
        Meta& m = bursts[b].meta[i];
        m.lcp = &h;
        m.org = m.org_id = static_cast<uint32_t>(random() % 100);
        m.operator_id = static_cast<uint32_t>(random() % 10'000);
        m.target_id = static_cast<uint32_t>(random() % 1000);
        m.policy_version = 3;
        m.rule = static_cast<uint16_t>(random() % 8);
        m.outcome = PolicyOutcome::allow;
        m.verdict = Verdict::forwarded;
        m.node = static_cast<NodeSlot>(random() % 16);
        m.intent = static_cast<uint8_t>(1 + random() % 5);
      }
    for (uint32_t i = 0; i < kBurst; ++i) all.add(i);
  }
};

void append(benchmark::State& state) {
  Packets packets;
  Ring ring(kRing);
  State audit;
  audit.ring = &ring;
  uint64_t now = 1, n = 0;
  for (auto _ : state) {
    audit::append(audit, packets.bursts[n++ % 8], packets.all, now++);
    ring.done(ring.published());
  }
  state.counters["time_per_packet"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kBurst,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// Ring to segment files: copy, columns, zstd, SHA-256, write.
void collect(benchmark::State& state) {
  const std::string dir = std::filesystem::temp_directory_path() / "lf_audit_bench";
  std::filesystem::remove_all(dir);
  Packets packets;
  Ring ring(kRing);
  State audit;
  audit.ring = &ring;
  SystemClock clock;
  Collector::Options options;
  options.directory = dir;
  options.limits = {64u << 20, 256u << 20};
  auto collector = Collector::create(options, {&ring}, clock);
  if (!collector) return state.SkipWithError(collector.error().message.c_str());
  uint64_t now = 1, records = 0;
  for (auto _ : state) {
    state.PauseTiming();
    for (uint32_t n = 0; n < 1024; ++n) append(audit, packets.bursts[n % 8], packets.all, now++);
    state.ResumeTiming();
    (*collector)->poll();
    records += 1024 * kBurst;
  }
  (*collector)->flush();
  state.counters["records_per_s"] =
      benchmark::Counter(static_cast<double>(records), benchmark::Counter::kIsRate);
  state.counters["bytes_per_record"] = static_cast<double>((*collector)->stats().bytes) /
                                       static_cast<double>(std::max<uint64_t>(records, 1));
  collector->reset();
  std::filesystem::remove_all(dir);
}

BENCHMARK(append)->Name("audit.append");
BENCHMARK(collect)->Name("audit.collect")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace lf::audit

BENCHMARK_MAIN();
