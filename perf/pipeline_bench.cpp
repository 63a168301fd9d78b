// SPDX-License-Identifier: Apache-2.0
// Times the whole pipeline, parse to rewrite, for commands or (--flows) for flows, on one core
// without NIC I/O: real mbufs from a pool larger than the L2 cache, real tables, every frame with
// an id of its own. What is timed is Pipeline::run alone, and Pipeline::due by itself
// (due_ns_per_packet): the time-outs of earlier commands. Frames are made anew between passes.
// Prints one JSON object. perf/bench.py runs it beside dpdk-testpmd over the same frames (--pcap
// FILE writes them).
#include <fmt/core.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <sodium.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <barrier>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "perf/pipeline_frames.hpp"
#include "perf/pipeline_world.hpp"

namespace {

using namespace lf;
using namespace lf::bench;

class Bench {
 public:
  // `together`: all workers wait there, so that they measure at the same time.
  Bench(const Options& o, World& world, uint32_t number, std::barrier<>& together)
      : o_(o),
        world_(world),
        worker_(*world.workers[number]),
        together_(together),
        frames_(o.frames),
        next_id_(uint64_t{number} << 40),
        sets_wall_(number == 0) {
    for (auto& m : frames_) m = rte_pktmbuf_alloc(worker_.pool);
    if (frames_.back() == nullptr) die("no mbufs");
  }

  // All passes; ns holds the time of a packet in each.
  void run() {
    // The first packet of a flow or an organisation costs more, once: not what is to be measured.
    const uint32_t warm = 2 + std::max(o_.flows + o_.frames - 1, o_.orgs - 1) / o_.frames;
    for (uint32_t p = 0; p < o_.passes + warm; ++p) {
      const double ticks = pass();
      if (p >= warm) ns.push_back(ticks * 1e9 / static_cast<double>(world_.shared.tsc_hz));
    }
    const double packets = static_cast<double>(frames_.size()) * (o_.passes + warm);
    due_ns = static_cast<double>(due_) * 1e9 / static_cast<double>(world_.shared.tsc_hz) / packets;
  }
  std::vector<double> ns;
  double due_ns = 0;  // a packet, over all passes

  // All frames as if just received; a share of them repeats ids of the frame before.
  void refill() {
    const uint64_t deadline = static_cast<uint64_t>(world_.clock.unix_us()) + 3'600'000'000;
    if (sets_wall_) {
      world_.wall.set(rte_rdtsc(), static_cast<uint64_t>(world_.clock.unix_us()),
                      world_.shared.tsc_hz);
    }
    if (o_.flows != 0) {
      for (rte_mbuf* m : frames_) make_flow_frame(m, o_, next_id_++);
      return;
    }
    for (size_t f = 0; f < frames_.size(); ++f) {
      if (f % 100 >= o_.duplicates || f == 0) ++next_id_;
      make_frame(frames_[f], o_, next_id_, 1 + static_cast<uint32_t>(next_id_ % o_.orgs), deadline);
    }
    finish();
  }

  // One pass over all frames; ticks a packet.
  double pass() {
    refill();
    if (o_.replies) {
      run_all([](const Burst&) {});
      for (rte_mbuf* m : frames_) make_reply(m, o_);
      finish();
    }
    together_.arrive_and_wait();
    const Tsc spent = run_all([&](const Burst& burst) {
      for (uint32_t i = 0; i < burst.count; ++i)
        ++verdicts_[static_cast<uint8_t>(burst.meta[i].verdict)];
    });
    return static_cast<double>(spent) / static_cast<double>(frames_.size());
  }

  void write_pcap(const std::string& path) {
    refill();
    bench::write_pcap(frames_, path);
  }

  void add_verdicts(nlohmann::json& all) const {
    for (const auto& v : kVerdictList) {
      if (verdicts_[static_cast<uint8_t>(v.verdict)] != 0)
        all[std::string(v.name)] = all.value(std::string(v.name), uint64_t{0}) +
                                   verdicts_[static_cast<uint8_t>(v.verdict)];
    }
  }

 private:
  // Tags, checksums, and what the port says of these.
  void finish() {
    lcp::Header* headers[kBurstMax];
    uint32_t n = 0;
    for (size_t f = 0; f < frames_.size(); ++f) {
      headers[n++] = rte_pktmbuf_mtod_offset(frames_[f], lcp::Header*, lcp_of(o_));
      if (n < kBurstMax && f + 1 < frames_.size()) continue;
      if (o_.auth) authenticate::sign(*world_.snapshot.authenticate, sign_, headers, n);
      n = 0;
    }
    for (size_t f = 0; f < frames_.size(); ++f) {
      auto* udp = rte_pktmbuf_mtod_offset(frames_[f], rte_udp_hdr*, l4_of(o_));
      if (o_.offloaded)
        frames_[f]->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
      if (o_.unsummed) continue;
      set_checksum(*udp, o_);
      if (o_.wrong != 0 && f % o_.wrong == 0) udp->dgram_cksum ^= 0x5555;
    }
  }

  // All frames, a burst at a time; returns the ticks. `done` is called behind each burst.
  template <typename Done>
  Tsc run_all(Done&& done) {
    Tsc spent = 0;
    for (size_t f = 0; f < frames_.size(); f += o_.burst) {
      const auto n = static_cast<uint16_t>(std::min<size_t>(o_.burst, frames_.size() - f));
      std::copy_n(&frames_[f], n, burst_.packets);
      burst_.count = n;
      out_.clear();
      const Tsc before = rte_rdtsc();
      worker_.pipeline->run(world_.snapshot, burst_, before, out_);
      spent += rte_rdtsc() - before;
      done(burst_);
      burst_.count = 0;
      const Tsc until = rte_rdtsc();
      worker_.pipeline->due(world_.snapshot, burst_, before, idle_);
      due_ += rte_rdtsc() - until;
      if (worker_.audit) worker_.audit->done(worker_.audit->published());
    }
    return spent;
  }

  const Options& o_;
  World& world_;
  Worker& worker_;
  std::barrier<>& together_;
  std::vector<rte_mbuf*> frames_;
  uint64_t next_id_;
  bool sets_wall_;
  authenticate::State sign_;
  Burst burst_;
  pipeline::Outbox out_, idle_;
  uint64_t verdicts_[kVerdictCodes] = {};
  Tsc due_ = 0;
};

// Of 2 MiB; without them every packet pays for TLB misses that a real daemon does not have.
uint32_t huge_pages_free() {
  std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
  uint32_t free = 0;
  file >> free;
  return free;
}

int run_on_lcore(void* bench) {
  static_cast<Bench*>(bench)->run();
  return 0;
}

int run(const Options& o) {
  auto world = std::make_unique<World>(o);
  std::barrier<> together(o.workers);
  std::vector<std::unique_ptr<Bench>> benches;
  for (uint32_t w = 0; w < o.workers; ++w)
    benches.push_back(std::make_unique<Bench>(o, *world, w, together));
  if (!o.pcap.empty()) benches.front()->write_pcap(o.pcap);
  uint32_t next = 1, lcore;
  RTE_LCORE_FOREACH_WORKER(lcore) {
    if (next < o.workers) rte_eal_remote_launch(run_on_lcore, benches[next++].get(), lcore);
  }
  benches.front()->run();
  rte_eal_mp_wait_lcore();
  // A pass of all workers: as many times the frames, at the sum of their rates.
  std::vector<double> ns;
  for (uint32_t p = 0; p < o.passes; ++p) {
    double rate = 0;
    for (const auto& bench : benches) rate += 1 / bench->ns[p];
    ns.push_back(1 / rate);
  }
  nlohmann::json verdicts = nlohmann::json::object();
  for (const auto& bench : benches) bench->add_verdicts(verdicts);
  std::vector<double> sorted = ns;
  std::sort(sorted.begin(), sorted.end());
  nlohmann::json result = {{"ns_per_packet", sorted[sorted.size() / 2]},
                                 {"ns_min", sorted.front()},
                                 {"ns_max", sorted.back()},
                                 {"samples", ns},
                                 {"due_ns_per_packet", benches.front()->due_ns},
                                 {"verdicts", verdicts}};
  if (o.stages) result["stages"] = world->stages();
  fmt::print("{}\n", result.dump());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app{"Times the command pipeline on one core"};
  app.add_option("--auth", o.auth, "verify tags (1) or not (0)");
  app.add_option("--audit", o.audit, "record decisions (1) or not (0)");
  app.add_option("--orgs", o.orgs, "organisations")->check(CLI::Range(1u, 100'000u));
  app.add_option("--operators", o.operators, "operators")->check(CLI::Range(1u, 4'000'000u));
  app.add_option("--duplicates", o.duplicates, "percent of frames that repeat an id");
  app.add_option("--wrong", o.wrong, "one in so many commands has a wrong UDP checksum");
  app.add_flag("--unsummed", o.unsummed, "commands have no UDP checksum, as Pktgen's");
  app.add_flag("--offloaded", o.offloaded, "the port has checked the checksums, as most NICs do");
  app.add_option("--vlan", o.vlan, "frames have this VLAN tag")->check(CLI::Range(1, 4094));
  app.add_flag("--ipv6", o.ipv6, "over IPv6");
  app.add_flag("--replies", o.replies, "measure the replies to all commands instead");
  app.add_option("--timeout-ms", o.timeout_ms, "of commands")->check(CLI::Range(1u, 60'000u));
  app.add_option("--entries", o.entries, "entries of the ledger");
  app.add_option("--ledger", o.ledger, "what the ledger holds before: ids of others, or flooded: full, "
                 "and organisation 1 has its share")
      ->check(CLI::IsMember({"empty", "half", "full", "flooded"}));
  app.add_option("--burst", o.burst, "packets a burst")->check(CLI::Range(1u, kBurstMax));
  app.add_option("--size", o.size, "bytes of a frame")->check(CLI::Range(60u, 1514u));
  app.add_option("--frames", o.frames, "frames in the pool");
  app.add_option("--passes", o.passes, "passes over all frames");
  app.add_option("--nodes", o.nodes, "nodes of the service")->check(CLI::Range(1u, 1000u));
  app.add_option("--flows", o.flows, "measure that many UDP flows instead of commands")
      ->check(CLI::Range(1u, 4'000'000u));
  app.add_option("--nat", o.nat, "places for translated flows, to measure a full table")
      ->check(CLI::Range(1024u, 1u << 26));
  app.add_option("--mode", o.mode, "of the flow service")
      ->check(CLI::IsMember({"nat", "dsr-l2", "ipip", "gue"}));
  app.add_option("--workers", o.workers, "workers at the same time, a CPU each; times are of all")
      ->check(CLI::Range(1u, 32u));
  app.add_option("--idle", o.idle, "workers beside them that get nothing: what one of several takes");
  app.add_option("--policy", o.policy, "file of rules; default: those that ship");
  app.add_option("--pcap", o.pcap, "write the frames there, for testpmd");
  app.add_flag("--stages", o.stages, "time each stage too, of every burst: adds a look at the TSC a stage");
  app.add_flag("--no-huge", o.no_huge, "small pages even if huge ones are free (for valgrind)");
  CLI11_PARSE(app, argc, argv);
  if (o.flows != 0 && app.count("--size") == 0) o.size = 60;
  const uint32_t least = lcp_of(o) + static_cast<uint32_t>(sizeof(lcp::Header));
  if (o.flows == 0 && o.size < least) die(fmt::format("a command needs {} bytes", least));
  if (o.ipv6 && o.unsummed) die("over IPv6 a checksum is a must");
  if (sodium_init() < 0) return 1;
  std::vector<std::string> eal = {"pipeline_bench", "--no-pci", "--no-telemetry", "-m", "256",
                                  "-l", "0-" + std::to_string(o.workers - 1), "--log-level", "lib.eal:error"};
  if (!o.no_huge && huge_pages_free() >= 384) {
    eal.insert(eal.end(), {"--in-memory", "--file-prefix", "lfbench"});
  } else {
    eal.insert(eal.end(), {"--no-huge", "--no-shconf"});
  }
  std::vector<char*> eal_argv;
  for (auto& a : eal) eal_argv.push_back(a.data());
  if (rte_eal_init(static_cast<int>(eal_argv.size()), eal_argv.data()) < 0) die("EAL");
  return run(o);
}
