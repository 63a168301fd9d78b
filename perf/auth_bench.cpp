// SPDX-License-Identifier: Apache-2.0
// What authentication costs a packet: the stage by number of organisations, the lanes by
// instruction set and payload, and libcrypto beside them. Counters: ns and TSC cycles a packet.
#include <benchmark/benchmark.h>
#include <rte_cycles.h>

#include <chrono>
#include <memory>
#include <random>
#include <vector>

#include "control/authenticate/table_builder.hpp"
#include "dataplane/authenticate/authenticate.hpp"
#include "dataplane/lcp/codec.hpp"
#include "dataplane/lcp/tag.hpp"

namespace lf {
namespace {

constexpr uint32_t kBurst = 32;

// Every organisation has the same key bytes, in a place of its own: so the few datagrams here are
// right for all of them, and stay in the cache as they do after parse, while keys and map places
// are spread over memory as they would be.
const lcp::KeyBytes kKey{1, 2, 3};

config::Config with_organisations(uint32_t count) {
  config::Config c;
  for (uint32_t i = 0; i < count; ++i)
    c.organisations.push_back({.id = i + 1, .keys = {{1, kKey}}});
  c.services.resize(1);
  return c;
}

std::vector<std::vector<uint8_t>> make_datagrams(uint32_t payload) {
  std::vector<std::vector<uint8_t>> all(kBurst);
  const std::vector<uint8_t> body(payload, 0x5a);
  const lcp::Signer signer(kKey);
  uint32_t number = 0;
  for (auto& d : all) {
    d.resize(sizeof(lcp::Header) + payload);
    lcp::encode(d, {.operator_id = number++, .key_id = 1}, body);
    signer.sign(d);
  }
  return all;
}

double tsc_hz() {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const uint64_t tsc = rte_rdtsc();
  while (Clock::now() - start < std::chrono::milliseconds(20)) {
  }
  const uint64_t ticks = rte_rdtsc() - tsc;
  return static_cast<double>(ticks) / std::chrono::duration<double>(Clock::now() - start).count();
}

// Costs a packet, from the CPU time that the thread got.
template <typename Fn>
void measure(benchmark::State& bench, Fn burst) {
  using benchmark::Counter;
  static const double hz = tsc_hz();
  for (auto _ : bench) burst();
  const double packets = static_cast<double>(bench.iterations()) * kBurst;
  const auto per_packet = Counter::kIsRate | Counter::kInvert;
  bench.counters["time_per_packet"] = Counter(packets, per_packet);
  bench.counters["tsc_per_packet"] = Counter(packets / hz, per_packet);
}

// args: organisations, payload bytes
void stage(benchmark::State& bench) {
  const auto orgs = static_cast<uint32_t>(bench.range(0));
  const auto payload = static_cast<uint32_t>(bench.range(1));
  const auto table = *authenticate::build_table(with_organisations(orgs));
  auto datagrams = make_datagrams(payload);
  std::vector<uint32_t> senders(1u << 16);
  std::mt19937 random(7);
  for (uint32_t& s : senders) s = static_cast<uint32_t>(random()) % orgs + 1;
  const auto state = std::make_unique<authenticate::State>();
  const auto burst = std::make_unique<Burst>();
  for (uint32_t i = 0; i < kBurst; ++i) {
    Meta& m = burst->meta[i];
    m.lcp = reinterpret_cast<lcp::Header*>(datagrams[i].data());
    m.key_id = 1;
    m.flags = m.lcp->flags;
    m.payload_length = static_cast<uint16_t>(payload);
    m.kind = Kind::command;
    m.service = 0;
  }
  size_t next = 0;
  measure(bench, [&] {
    Selection live;
    for (uint32_t i = 0; i < kBurst; ++i) {
      burst->meta[i].org_id = senders[next + i];
      live.add(i);
    }
    next = (next + kBurst) % senders.size();
    authenticate::run(*table, *state, *burst, live, 0);
    if (live.count != kBurst) bench.SkipWithError("a packet was refused");
  });
}
BENCHMARK(stage)
    ->ArgNames({"orgs", "payload"})
    ->Args({1, 0})
    ->Args({64, 0})
    ->Args({1000, 0})
    ->Args({100'000, 0})
    ->Args({64, 6})
    ->Args({64, 256})
    ->Args({64, 1400});

// args: crypto::CmacPath, payload bytes; -1: libcrypto
void lanes(benchmark::State& bench) {
  const auto payload = static_cast<uint32_t>(bench.range(1));
  const auto datagrams = make_datagrams(payload);
  std::vector<crypto::CmacKey> keys(kBurst, crypto::expand_cmac_key(kKey));
  const lcp::Signer signer(kKey);
  crypto::CmacBatch batch;
  for (uint32_t i = 0; i < kBurst; ++i) batch.set(i, &keys[i], datagrams[i].data(), payload);
  if (bench.range(0) < 0) {
    measure(bench, [&] {
      for (uint32_t i = 0; i < kBurst; ++i) {
        const lcp::Bytes d(datagrams[i]);
        const lcp::Tag tag = signer.cmac(d.first(64), d.subspan(80));
        std::memcpy(batch.tag[i].bytes, tag.data(), tag.size());
      }
      benchmark::DoNotOptimize(batch);
    });
    return;
  }
  const auto path = static_cast<crypto::CmacPath>(bench.range(0));
  if (!crypto::supported(path)) return bench.SkipWithError("not on this CPU");
  measure(bench, [&] {
    crypto::cmac_lanes(path, batch, kBurst);
    benchmark::DoNotOptimize(batch);
  });
}
BENCHMARK(lanes)
    ->ArgNames({"path", "payload"})
    ->ArgsProduct({{static_cast<int>(crypto::CmacPath::aesni),
                    static_cast<int>(crypto::CmacPath::vaes512),
                    static_cast<int>(crypto::CmacPath::vaes256), -1},
                   {0, 6, 64, 256, 1400}});

// args: crypto::CmacPath, longest payload; each datagram's is of any length up to it
void mixed_lanes(benchmark::State& bench) {
  const auto path = static_cast<crypto::CmacPath>(bench.range(0));
  if (!crypto::supported(path)) return bench.SkipWithError("not on this CPU");
  const auto longest = static_cast<uint32_t>(bench.range(1));
  const auto datagrams = make_datagrams(longest);
  std::vector<crypto::CmacKey> keys(kBurst, crypto::expand_cmac_key(kKey));
  std::vector<uint32_t> lengths(1u << 12);
  std::mt19937 random(7);
  for (uint32_t& l : lengths) l = static_cast<uint32_t>(random()) % (longest + 1);
  crypto::CmacBatch batch;
  size_t next = 0;
  measure(bench, [&] {
    for (uint32_t i = 0; i < kBurst; ++i)
      batch.set(i, &keys[i], datagrams[i].data(), lengths[next + i]);
    next = (next + kBurst) % lengths.size();
    crypto::cmac_lanes(path, batch, kBurst);
    benchmark::DoNotOptimize(batch);
  });
}
BENCHMARK(mixed_lanes)
    ->ArgNames({"path", "longest"})
    ->ArgsProduct({{static_cast<int>(crypto::CmacPath::aesni),
                    static_cast<int>(crypto::CmacPath::vaes256),
                    static_cast<int>(crypto::CmacPath::vaes512)},
                   {127, 1400}});

}  // namespace
}  // namespace lf

BENCHMARK_MAIN();
