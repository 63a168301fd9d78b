// SPDX-License-Identifier: Apache-2.0
// What the packet stages cost, per packet, on mbufs of a DPDK pool: bursts of 32 over 512 frames
// of 128 bytes, so that the frames come out of the second-level cache as they do behind a NIC.
#include <benchmark/benchmark.h>
#include <rte_eal.h>
#include <rte_mbuf.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "control/parse/table_builder.hpp"
#include "dataplane/answer/answer.hpp"
#include "dataplane/core/mbuf_note.hpp"
#include "dataplane/net/checksum.hpp"
#include "dataplane/parse/parse.hpp"
#include "dataplane/rewrite/rewrite.hpp"
#include "tests/support/world.hpp"

namespace lf {
namespace {

constexpr uint32_t kFrames = 512;
constexpr uint16_t kBurst = 32;
constexpr size_t kFrameSize = 128;

using test::Bytes;
using test::Packet;

rte_mempool* pool() {
  static rte_mempool* p = rte_pktmbuf_pool_create("bench", 2 * kFrames, 0, kMbufPrivateSize,
                                                  RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  return p;
}

// Bursts of the same packet with different ids.
class Frames {
 public:
  explicit Frames(Packet packet, size_t frame_size = kFrameSize) {
    packet.lcp.payload.resize(frame_size - test::build(packet).size(), 0x5a);
    for (uint32_t i = 0; i < kFrames; ++i) {
      packet.lcp.id = i;
      const Bytes frame = test::build(packet);
      rte_mbuf* m = rte_pktmbuf_alloc(pool());
      if (!m) std::abort();
      m->port = 0;
      std::memcpy(rte_pktmbuf_append(m, static_cast<uint16_t>(frame.size())), frame.data(),
                  frame.size());
      mbufs_.push_back(m);
    }
  }
  ~Frames() { rte_pktmbuf_free_bulk(mbufs_.data(), kFrames); }
  Frames(const Frames&) = delete;
  Frames& operator=(const Frames&) = delete;

  // The next burst's mbufs.
  void fill(Burst& burst) {
    burst.count = kBurst;
    std::memcpy(burst.packets, &mbufs_[next_], sizeof(rte_mbuf*) * kBurst);
    next_ = (next_ + kBurst) % kFrames;
  }
  const std::vector<rte_mbuf*>& all() const { return mbufs_; }

 private:
  std::vector<rte_mbuf*> mbufs_;
  uint32_t next_ = 0;
};

Packet command(bool v6) {
  Packet p;
  if (v6) p.src = test::kClient6, p.dst = test::kOwn6;
  return p;
}

parse::Table table() {
  return parse::build_table(test::world(), test::world_ports()).value();
}

void count(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * kBurst);
  state.counters["time_per_packet"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kBurst,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void run_parse(benchmark::State& state, const parse::Table& t, Frames& frames) {
  auto burst = std::make_unique<Burst>();
  parse::State parse_state;
  parse::Sorted sorted;
  for (auto _ : state) {
    frames.fill(*burst);
    parse::run(t, parse_state, *burst, sorted, 0);
    benchmark::DoNotOptimize(sorted.commands.count);
  }
  if (sorted.commands.count != kBurst) state.SkipWithError("packets were refused");
  count(state);
}

void parse_software_checksums(benchmark::State& state) {
  Frames frames(command(state.range(0) == 6), static_cast<size_t>(state.range(1)));
  run_parse(state, table(), frames);
}
BENCHMARK(parse_software_checksums)
    ->Args({4, 128})
    ->Args({6, 148})
    ->Args({4, 512})
    ->Args({4, 1500});

void parse_tagged(benchmark::State& state) {
  const bool v6 = state.range(0) == 6;
  Packet p = command(v6);
  p.vlan = 5;
  Frames frames(p, v6 ? 152 : 132);
  run_parse(state, table(), frames);
}
BENCHMARK(parse_tagged)->Arg(4)->Arg(6);

void parse_offloaded_checksums(benchmark::State& state) {
  Frames frames(command(state.range(0) == 6));
  for (rte_mbuf* m : frames.all())
    m->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
  parse::Table t = table();
  t.ports[0].rx_ip_checksum = t.ports[0].rx_udp_checksum = true;
  run_parse(state, t, frames);
}
BENCHMARK(parse_offloaded_checksums)->Arg(4);

forward::Table nodes(bool v6, uint32_t count) {
  forward::Table t;
  for (uint32_t i = 0; i < count; ++i) {
    forward::Node n;
    n.address = test::ip((v6 ? "fd00::1:" : "10.0.1.") + std::to_string(i + 1));
    n.source = test::ip(v6 ? test::kOwn6 : test::kOwn4);
    n.port = n.source_port = lcp::be16(lcp::kDefaultPort);
    n.mac = test::mac(test::kNodeMac);
    n.source_mac = test::mac(test::kPortMac);
    n.ip_version = v6 ? 6 : 4;
    t.nodes.push_back(n);
  }
  forward::make_images(t);
  return t;
}

// Frames and metadata are in the first-level cache, as the stages before leave them. Each round
// sends the frames to other nodes; that their TTLs wrap does no harm here.
void rewrite_to_nodes(benchmark::State& state) {
  const bool v6 = state.range(0) == 6;
  Frames frames(command(v6), v6 ? 148 : kFrameSize);
  const parse::Table t = table();
  const choose::Some some{.all_usual = true,
                          .layout = {.ip_version = static_cast<uint8_t>(v6 ? 6 : 4)}};
  const forward::Table forward = nodes(v6, 64);
  auto burst = std::make_unique<Burst>();
  parse::State parse_state;
  parse::Sorted sorted;
  frames.fill(*burst);
  parse::run(t, parse_state, *burst, sorted, 0);
  Selection too_big;
  uint32_t round = 0;
  for (auto _ : state) {
    ++round;
    for (uint32_t i = 0; i < kBurst; ++i)
      burst->meta[i].node = static_cast<NodeSlot>((i * 5 + round) % 64);
    rewrite::fit(forward, *burst, 1500, sorted.commands, too_big);
    rewrite::to_nodes(forward, t.ports, *burst, sorted.commands, some);
    benchmark::DoNotOptimize(burst->packets[0]);
  }
  count(state);
}
BENCHMARK(rewrite_to_nodes)->Arg(4)->Arg(6);

void rewrite_to_clients(benchmark::State& state) {
  Frames frames(command(false));
  const parse::Table t = table();
  auto burst = std::make_unique<Burst>();
  parse::State parse_state;
  parse::Sorted sorted;
  frames.fill(*burst);
  parse::run(t, parse_state, *burst, sorted, 0);
  rewrite::Client clients[kBurst];
  for (uint32_t i = 0; i < kBurst; ++i)
    clients[i] = rewrite::client_of(burst->packets[i], burst->meta[i]);
  Selection too_big;
  for (auto _ : state) {
    rewrite::to_clients(t.ports, clients, *burst, sorted.commands, too_big);
    benchmark::DoNotOptimize(burst->packets[0]);
  }
  count(state);
}
BENCHMARK(rewrite_to_clients);

void answer_without_signing(benchmark::State& state) {
  Packet p = command(false);
  p.lcp.flags = lcp::kFlagWantsReply;
  Frames frames(p);
  const parse::Table t = table();
  auto burst = std::make_unique<Burst>();
  parse::State parse_state;
  parse::Sorted sorted;
  frames.fill(*burst);
  parse::run(t, parse_state, *burst, sorted, 0);
  for (uint32_t i = 0; i < kBurst; ++i) {
    burst->meta[i].authenticated = true;
    burst->meta[i].verdict = Verdict::quota_rejected;
  }
  for (auto _ : state) {
    Selection live = sorted.commands;
    answer::build(*burst, live);
    answer::finish(*burst, live);
    benchmark::DoNotOptimize(live.count);
  }
  count(state);
}
BENCHMARK(answer_without_signing);

void checksum(benchmark::State& state) {
  const Bytes bytes(2048, 0x5a);
  const auto size = static_cast<size_t>(state.range(0));
  uint32_t at = 0;
  for (auto _ : state) {
    at = (at + 2) & 63;
    benchmark::DoNotOptimize(net::fold(net::sum_bytes(bytes.data() + at, size)));
  }
}
BENCHMARK(checksum)->Arg(20)->Arg(94)->Arg(478)->Arg(1466);

}  // namespace
}  // namespace lf

int main(int argc, char** argv) {
  char program[] = "stage_bench", no_huge[] = "--no-huge", no_pci[] = "--no-pci",
       no_telemetry[] = "--no-telemetry", no_shconf[] = "--no-shconf", memory[] = "-m",
       megabytes[] = "64", cores[] = "-l", core[] = "0", quiet[] = "--log-level=error";
  char* eal[] = {program, no_huge,   no_pci, no_telemetry, no_shconf,
                 memory,  megabytes, cores,  core,         quiet};
  if (rte_eal_init(static_cast<int>(std::size(eal)), eal) < 0) {
    std::fputs("stage_bench: DPDK's EAL did not start\n", stderr);
    return 1;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
