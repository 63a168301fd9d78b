// SPDX-License-Identifier: Apache-2.0
// Times the whole pipeline, parse to rewrite, for commands or (--flows) for flows, on one core
// without NIC I/O: real mbufs from a pool larger than the L2 cache, real tables, every frame with
// an id of its own. What is timed is Pipeline::run alone; frames are made anew between passes.
// Prints one JSON object. perf/bench.py runs it beside dpdk-testpmd over the same frames (--pcap
// FILE writes them).
#include <fmt/core.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <sodium.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "control/admission/table_builder.hpp"
#include "control/authenticate/table_builder.hpp"
#include "control/base/clock.hpp"
#include "control/daemon/ledger_memory.hpp"
#include "control/flow/balancer.hpp"
#include "control/forward/table_builder.hpp"
#include "control/parse/table_builder.hpp"
#include "control/policy/engine.hpp"
#include "control/quota/quotas.hpp"
#include "dataplane/core/mbuf_note.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/pipeline/pipeline.hpp"
#include "dataplane/pipeline/state.hpp"

namespace {

using namespace lf;

struct Options {
  bool auth = true;
  bool audit = false;
  uint32_t orgs = 1;
  uint32_t duplicates = 0;  // percent
  uint64_t entries = 1u << 20;
  uint32_t burst = 32;
  uint32_t size = 128;    // bytes of a frame
  uint32_t frames = 32768;
  uint32_t passes = 40;
  uint32_t nodes = 3;
  bool no_huge = false;
  uint32_t flows = 0;  // 0: commands
  std::string mode = "nat";
  std::string pcap;
};

[[noreturn]] void die(const std::string& why) {
  fmt::print(stderr, "pipeline_bench: {}\n", why);
  exit(1);
}
template <typename T>
T must(Result<T> r) {
  if (!r) die(r.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*r);
}

const IpAddress kVip = net::from_ipv4(RTE_BE32(RTE_IPV4(10, 0, 0, 1)));

constexpr uint16_t kFlowPort = 5353;

// UDP, every flow known after the first passes.
config::Service flow_service(const Options& o) {
  config::Service s{.name = "flows", .kind = config::ServiceKind::flow, .address = kVip};
  s.protocol = config::Protocol::udp;
  s.port = kFlowPort;
  s.mode = o.mode == "nat"    ? forward::Mode::nat
           : o.mode == "ipip" ? forward::Mode::ipip
           : o.mode == "gue"  ? forward::Mode::gue
                              : forward::Mode::dsr_l2;
  for (uint32_t n = 1; n <= o.nodes; ++n) {
    s.nodes.push_back({.name = "f" + std::to_string(n),
                       .id = 10'000 + n,
                       .address = net::from_ipv4(rte_cpu_to_be_32(RTE_IPV4(10, 3, 0, 0) + n)),
                       .port = kFlowPort});
  }
  return s;
}

config::Config make_config(const Options& o) {
  config::Config c;
  c.path = "bench";
  c.policy.store = "";
  c.intents = {{.name = "status-refresh", .code = 1, .clearance = 1},
               {.name = "replay-window", .code = 2, .clearance = 2},
               {.name = "orbit-adjust", .code = 3, .clearance = 3}};
  config::Port port{.name = "lan", .device = "none"};
  port.addresses.push_back({.address = kVip, .length = 8, .ip_version = 4});
  c.ports.push_back(port);
  for (uint32_t i = 1; i <= o.orgs; ++i) {
    config::Organisation org{.name = "org" + std::to_string(i), .id = i};
    config::Key key{.id = 1};
    for (uint32_t b = 0; b < 16; ++b) key.bytes[b] = static_cast<uint8_t>(i * 31 + b);
    org.keys.push_back(key);
    org.quota.per_minute = 1'000'000'000;
    c.organisations.push_back(org);
  }
  c.operators.push_back({.id = 1, .name = "op", .roles = {"flight-director"}, .mfa_level = 2});
  config::Service s{.name = "bench", .address = kVip};
  s.authentication =
      o.auth ? config::Authentication::required : config::Authentication::off;
  for (uint32_t n = 1; n <= o.nodes; ++n) {
    s.nodes.push_back({.name = "n" + std::to_string(n),
                       .id = n,
                       .address = net::from_ipv4(rte_cpu_to_be_32(RTE_IPV4(10, 1, 0, 0) + n))});
  }
  c.services.push_back(s);
  if (o.flows != 0) {
    c.services.push_back(flow_service(o));
    c.flows.cache = c.flows.nat = 2 * o.flows;
  }
  return c;
}

// Everything around one pipeline, as the daemon has it.
struct World {
  config::Config config;
  SystemClock clock;
  forward::Slots slots;
  ports::PortInfo port;
  std::unique_ptr<daemon::LedgerMemory> ledger;
  std::unique_ptr<quota::Quotas> quotas;
  std::unique_ptr<policy::Engine> policy;
  std::unique_ptr<forward::NodeLive> live = std::make_unique<forward::NodeLive>();
  std::unique_ptr<audit::Ring> audit;
  flow::Nat nat;
  flow::Balancer balancer;
  WallClock wall;
  pipeline::Shared shared;
  Snapshot snapshot;
  WorkerStats stats;
  std::unique_ptr<NodeStats[]> nodes{new NodeStats[kNodesMax]};
  const NodeStats* all_nodes[1] = {nodes.get()};
  std::unique_ptr<pipeline::Pipeline> pipeline;
  rte_mempool* pool = nullptr;

  explicit World(const Options& o) : config(make_config(o)), nat(config.flows.nat) {
    config.ledger.entries = o.entries;
    const uint64_t hz = rte_get_tsc_hz();
    must(slots.sync(config));
    port.name = "lan";
    port.id = 0;
    port.mac = {{2, 0, 0, 0, 0, 1}};
    ledger = must(daemon::LedgerMemory::create(config.ledger, {rte_rdtsc(), clock.unix_us(), hz}, 0));
    quotas = must(quota::Quotas::create(config, slots, 1, hz, rte_rdtsc()));
    policy = must(policy::Engine::create(config, clock, 1));
    wall.set(rte_rdtsc(), static_cast<uint64_t>(clock.unix_us()), hz);
    shared.ledger = &ledger->ledger();
    shared.live = live.get();
    shared.windows = &quotas->windows();
    shared.nat = &nat;
    shared.wall = &wall;
    shared.tsc_hz = hz;
    std::vector<forward::NextHop> hops(kNodesMax);
    for (auto& hop : hops) {
      hop.mac = {{2, 0, 0, 0, 1, 1}};
      hop.source_mac = port.mac;
      hop.source = kVip;
      hop.resolved = true;
    }
    const auto plans = forward::fixed_plans(config, slots);
    snapshot.generation = 1;
    snapshot.parse = std::make_shared<const parse::Table>(
        must(parse::build_table(config, slots, std::span(&port, 1))));
    snapshot.authenticate = must(authenticate::build_table(config, slots));
    snapshot.policy = must(policy->table());
    snapshot.quota = quotas->table();
    // Commands are never answered here, so there must be room for all of them.
    config.admission.hard_limit = 1u << 30;
    snapshot.admission = admission::build_table(config);
    snapshot.forward = must(forward::build_table({.config = config,
                                                  .slots = slots,
                                                  .next_hops = hops,
                                                  .pool_plans = plans,
                                                  .tsc_hz = hz}));
    snapshot.flow = balancer.build({.config = config,
                                    .slots = slots,
                                    .pool_plans = plans,
                                    .forward = *snapshot.forward,
                                    .alive = {},
                                    .tsc_hz = hz});
    pool = rte_pktmbuf_pool_create("bench", o.frames + 1024, 256, kMbufPrivateSize,
                                   RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    if (pool == nullptr) die("no memory for mbufs");
    if (o.audit) audit = std::make_unique<audit::Ring>(1u << 16);
    pipeline = std::make_unique<pipeline::Pipeline>(
        pipeline::Pipeline::Setup{.worker = 0,
                                  .workers = 1,
                                  .shared = &shared,
                                  .stats = &stats,
                                  .node_stats = nodes.get(),
                                  .all_node_stats = all_nodes,
                                  .pool = pool,
                                  .audit = audit.get(),
                                  .delay_packets = 4096,
                                  .replay_packets = 0,
                                  .flow_entries = config.flows.cache,
                                  .seed = 1});
  }
};

// Fills a frame anew: Ethernet, IPv4, UDP, LCP, payload; tag and UDP checksum come afterwards.
void make_frame(rte_mbuf* m, const Options& o, uint64_t id, uint32_t org, uint64_t deadline_us) {
  rte_pktmbuf_reset(m);
  m->port = 0;
  auto* eth = reinterpret_cast<rte_ether_hdr*>(
      rte_pktmbuf_append(m, static_cast<uint16_t>(o.size)));
  std::memset(static_cast<void*>(eth), 0, o.size);
  eth->dst_addr = {{2, 0, 0, 0, 0, 1}};
  eth->src_addr = {{2, 0, 0, 0, 0, 2}};
  eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
  auto* ip = reinterpret_cast<rte_ipv4_hdr*>(eth + 1);
  const auto ip_length = static_cast<uint16_t>(o.size - sizeof *eth);
  ip->version_ihl = RTE_IPV4_VHL_DEF;
  ip->total_length = rte_cpu_to_be_16(ip_length);
  ip->time_to_live = 64;
  ip->next_proto_id = 17;
  ip->src_addr = rte_cpu_to_be_32(RTE_IPV4(10, 2, 0, 0) + static_cast<uint32_t>(id % 4096) + 1);
  ip->dst_addr = RTE_BE32(RTE_IPV4(10, 0, 0, 1));
  ip->hdr_checksum = rte_ipv4_cksum(ip);
  auto* udp = reinterpret_cast<rte_udp_hdr*>(ip + 1);
  udp->src_port = rte_cpu_to_be_16(static_cast<uint16_t>(20000 + id % 20000));
  udp->dst_port = RTE_BE16(lcp::kDefaultPort);
  udp->dgram_len = rte_cpu_to_be_16(static_cast<uint16_t>(ip_length - sizeof *ip));
  auto* h = reinterpret_cast<lcp::Header*>(udp + 1);
  h->magic = lcp::be16(lcp::kMagic);
  h->version = lcp::kVersion;
  h->type = static_cast<uint8_t>(lcp::Type::command);
  h->intent = static_cast<uint8_t>(1 + id % 3);
  h->severity = 1;
  h->org_id = lcp::be32(org);
  h->operator_id = lcp::be32(1);
  std::memcpy(h->command_id, &id, sizeof id);
  std::memcpy(h->command_id + 8, &org, sizeof org);
  h->deadline_us = lcp::be64(deadline_us);
  h->payload_length =
      lcp::be16(static_cast<uint16_t>(ip_length - sizeof *ip - sizeof *udp - sizeof *h));
  h->key_id = lcp::be16(1);
}

// A datagram of one of the flows, in no order that a cache could profit from.
void make_flow_frame(rte_mbuf* m, const Options& o, uint64_t number) {
  rte_pktmbuf_reset(m);
  m->port = 0;
  const auto flow = static_cast<uint32_t>(number * 2654435761u % o.flows);
  auto* eth =
      reinterpret_cast<rte_ether_hdr*>(rte_pktmbuf_append(m, static_cast<uint16_t>(o.size)));
  std::memset(static_cast<void*>(eth), 0, o.size);
  eth->dst_addr = {{2, 0, 0, 0, 0, 1}};
  eth->src_addr = {{2, 0, 0, 0, 0, 2}};
  eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
  auto* ip = reinterpret_cast<rte_ipv4_hdr*>(eth + 1);
  const auto ip_length = static_cast<uint16_t>(o.size - sizeof *eth);
  ip->version_ihl = RTE_IPV4_VHL_DEF;
  ip->total_length = rte_cpu_to_be_16(ip_length);
  ip->time_to_live = 64;
  ip->next_proto_id = 17;
  ip->src_addr = rte_cpu_to_be_32(RTE_IPV4(10, 2, 0, 0) + flow / 32768 * 256 + 1);
  ip->dst_addr = RTE_BE32(RTE_IPV4(10, 0, 0, 1));
  ip->hdr_checksum = rte_ipv4_cksum(ip);
  auto* udp = reinterpret_cast<rte_udp_hdr*>(ip + 1);
  udp->src_port = rte_cpu_to_be_16(static_cast<uint16_t>(20000 + flow % 32768));
  udp->dst_port = RTE_BE16(kFlowPort);
  udp->dgram_len = rte_cpu_to_be_16(static_cast<uint16_t>(ip_length - sizeof *ip));
  udp->dgram_cksum = rte_ipv4_udptcp_cksum(ip, udp);
}

class Bench {
 public:
  Bench(const Options& o, World& world) : o_(o), world_(world), frames_(o.frames) {
    for (auto& m : frames_) m = rte_pktmbuf_alloc(world.pool);
    if (frames_.back() == nullptr) die("no mbufs");
  }

  // All frames as if just received; a share of them repeats ids of the frame before.
  void refill() {
    const uint64_t deadline = static_cast<uint64_t>(world_.clock.unix_us()) + 3'600'000'000;
    world_.wall.set(rte_rdtsc(), static_cast<uint64_t>(world_.clock.unix_us()),
                    world_.shared.tsc_hz);
    if (o_.flows != 0) {
      for (rte_mbuf* m : frames_) make_flow_frame(m, o_, next_id_++);
      return;
    }
    lcp::Header* headers[kBurstMax];
    uint32_t n = 0;
    for (size_t f = 0; f < frames_.size(); ++f) {
      if (f % 100 >= o_.duplicates || f == 0) ++next_id_;
      make_frame(frames_[f], o_, next_id_, 1 + static_cast<uint32_t>(next_id_ % o_.orgs), deadline);
      headers[n++] = rte_pktmbuf_mtod_offset(frames_[f], lcp::Header*, 42);
      if (n < kBurstMax && f + 1 < frames_.size()) continue;
      if (o_.auth) authenticate::sign(*world_.snapshot.authenticate, sign_, headers, n);
      n = 0;
    }
    for (rte_mbuf* m : frames_) {
      auto* ip = rte_pktmbuf_mtod_offset(m, rte_ipv4_hdr*, 14);
      auto* udp = reinterpret_cast<rte_udp_hdr*>(ip + 1);
      udp->dgram_cksum = 0;
      udp->dgram_cksum = rte_ipv4_udptcp_cksum(ip, udp);
    }
  }

  // One pass over all frames; ticks a packet.
  double pass() {
    refill();
    Tsc spent = 0;
    for (size_t f = 0; f < frames_.size(); f += o_.burst) {
      const auto n = static_cast<uint16_t>(std::min<size_t>(o_.burst, frames_.size() - f));
      std::copy_n(&frames_[f], n, burst_.packets);
      burst_.count = n;
      out_.clear();
      const Tsc before = rte_rdtsc();
      world_.pipeline->run(world_.snapshot, burst_, before, out_);
      spent += rte_rdtsc() - before;
      for (uint32_t i = 0; i < n; ++i) ++verdicts_[static_cast<uint8_t>(burst_.meta[i].verdict)];
      burst_.count = 0;
      world_.pipeline->due(world_.snapshot, burst_, before, idle_);
      if (world_.audit) world_.audit->done(world_.audit->published());
    }
    return static_cast<double>(spent) / static_cast<double>(frames_.size());
  }

  void write_pcap(const std::string& path) {
    refill();
    std::ofstream file(path, std::ios::binary);
    const auto put = [&](auto value) { file.write(reinterpret_cast<char*>(&value), sizeof value); };
    put(uint32_t{0xa1b2c3d4});
    put(uint16_t{2});
    put(uint16_t{4});
    put(uint64_t{0});
    put(uint32_t{65535});
    put(uint32_t{1});
    // net_pcap with infinite_rx keeps every frame in memory: as many as its default pool holds.
    for (size_t f = 0; f < std::min<size_t>(frames_.size(), 1024); ++f) {
      put(uint64_t{0});
      put(o_.size);
      put(o_.size);
      file.write(rte_pktmbuf_mtod(frames_[f], const char*), o_.size);
    }
  }

  nlohmann::json verdicts() const {
    nlohmann::json all = nlohmann::json::object();
    for (const auto& v : kVerdictList) {
      if (verdicts_[static_cast<uint8_t>(v.verdict)] != 0)
        all[std::string(v.name)] = verdicts_[static_cast<uint8_t>(v.verdict)];
    }
    return all;
  }

 private:
  const Options& o_;
  World& world_;
  std::vector<rte_mbuf*> frames_;
  uint64_t next_id_ = 0;
  authenticate::State sign_;
  Burst burst_;
  pipeline::Outbox out_, idle_;
  uint64_t verdicts_[kVerdictCodes] = {};
};

// Of 2 MiB; without them every packet pays for TLB misses that a real daemon does not have.
uint32_t huge_pages_free() {
  std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
  uint32_t free = 0;
  file >> free;
  return free;
}

int run(const Options& o) {
  auto world = std::make_unique<World>(o);
  auto bench = std::make_unique<Bench>(o, *world);
  if (!o.pcap.empty()) bench->write_pcap(o.pcap);
  std::vector<double> ns;
  const uint32_t warm = 2 + (o.flows + o.frames - 1) / o.frames;
  for (uint32_t p = 0; p < o.passes + warm; ++p) {
    const double ticks = bench->pass();
    if (p >= warm) ns.push_back(ticks * 1e9 / static_cast<double>(world->shared.tsc_hz));
  }
  std::vector<double> sorted = ns;
  std::sort(sorted.begin(), sorted.end());
  const nlohmann::json result = {{"ns_per_packet", sorted[sorted.size() / 2]},
                                 {"ns_min", sorted.front()},
                                 {"ns_max", sorted.back()},
                                 {"samples", ns},
                                 {"verdicts", bench->verdicts()}};
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
  app.add_option("--duplicates", o.duplicates, "percent of frames that repeat an id");
  app.add_option("--entries", o.entries, "entries of the ledger");
  app.add_option("--burst", o.burst, "packets a burst")->check(CLI::Range(1u, kBurstMax));
  app.add_option("--size", o.size, "bytes of a frame")->check(CLI::Range(60u, 1514u));
  app.add_option("--frames", o.frames, "frames in the pool");
  app.add_option("--passes", o.passes, "passes over all frames");
  app.add_option("--nodes", o.nodes, "nodes of the service")->check(CLI::Range(1u, 1000u));
  app.add_option("--flows", o.flows, "measure that many UDP flows instead of commands")
      ->check(CLI::Range(1u, 4'000'000u));
  app.add_option("--mode", o.mode, "of the flow service")
      ->check(CLI::IsMember({"nat", "dsr-l2", "ipip", "gue"}));
  app.add_option("--pcap", o.pcap, "write the frames there, for testpmd");
  app.add_flag("--no-huge", o.no_huge, "small pages even if huge ones are free (for valgrind)");
  CLI11_PARSE(app, argc, argv);
  if (o.flows != 0 && app.count("--size") == 0) o.size = 60;
  if (o.flows == 0 && o.size < 122) die("a command needs 122 bytes");
  if (sodium_init() < 0) return 1;
  std::vector<std::string> eal = {"pipeline_bench", "--no-pci", "--no-telemetry", "-m", "256",
                                  "-l", "0", "--log-level", "lib.eal:error"};
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
