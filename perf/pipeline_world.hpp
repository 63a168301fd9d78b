// SPDX-License-Identifier: Apache-2.0
// Everything around the pipelines of pipeline_bench: a configuration, its tables and what each
// worker has, made as the daemon makes them.
#pragma once

#include <fmt/core.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
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
#include "perf/ledger_fill.hpp"
#include "perf/pipeline_frames.hpp"

namespace lf::bench {

[[noreturn]] inline void die(const std::string& why) {
  fmt::print(stderr, "pipeline_bench: {}\n", why);
  exit(1);
}
template <typename T>
T must(Result<T> r) {
  if (!r) die(r.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*r);
}

// UDP, every flow known after the first passes.
inline config::Service flow_service(const Options& o) {
  config::Service s{.name = "flows", .kind = config::ServiceKind::flow, .address = vip(o)};
  s.ip_version = ip_version(o);
  s.protocol = config::Protocol::udp;
  s.port = kFlowPort;
  s.mode = o.mode == "nat"    ? forward::Mode::nat
           : o.mode == "ipip" ? forward::Mode::ipip
           : o.mode == "gue"  ? forward::Mode::gue
                              : forward::Mode::dsr_l2;
  for (uint32_t n = 1; n <= o.nodes; ++n) {
    s.nodes.push_back({.name = "f" + std::to_string(n),
                       .id = 10'000 + n,
                       .address = address(o, 3, n),
                       .ip_version = s.ip_version,
                       .port = kFlowPort});
  }
  return s;
}

inline config::Config make_config(const Options& o) {
  config::Config c;
  c.path = "bench";
  c.policy.store = "";
  c.policy.file = o.policy;
  c.intents = {{.name = "status-refresh", .code = 1, .clearance = 1},
               {.name = "replay-window", .code = 2, .clearance = 2},
               {.name = "orbit-adjust", .code = 3, .clearance = 3}};
  config::Port port{.name = "lan", .device = "none"};
  port.vlan = o.vlan;
  port.addresses.push_back({.address = vip(o), .length = 8, .ip_version = ip_version(o)});
  c.ports.push_back(port);
  for (uint32_t i = 1; i <= o.orgs; ++i) {
    config::Organisation org{.name = "org" + std::to_string(i), .id = i};
    config::Key key{.id = 1};
    for (uint32_t b = 0; b < 16; ++b) key.bytes[b] = static_cast<uint8_t>(i * 31 + b);
    org.keys.push_back(key);
    org.quota.per_minute = 1'000'000'000;
    c.organisations.push_back(org);
  }
  for (uint32_t i = 1; i <= o.operators; ++i)
    c.operators.push_back({.id = i, .roles = {"flight-director"}, .mfa_level = 2});
  config::Service s{.name = "bench", .address = vip(o)};
  s.ip_version = ip_version(o);
  s.timeout_ms = o.timeout_ms;
  s.authentication =
      o.auth ? config::Authentication::required : config::Authentication::off;
  for (uint32_t n = 1; n <= o.nodes; ++n) {
    s.nodes.push_back({.name = "n" + std::to_string(n),
                       .id = n,
                       .address = address(o, 1, n),
                       .ip_version = s.ip_version});
  }
  c.services.push_back(s);
  if (o.flows != 0) {
    c.services.push_back(flow_service(o));
    c.flows.cache = c.flows.nat = 2 * o.flows;
    // Then most flows find no place: they are what is measured, and need no cache either.
    if (o.nat != 0) c.flows.cache = c.flows.nat = o.nat;
  }
  return c;
}

// What a worker has of its own.
struct Worker {
  WorkerStats stats;
  std::unique_ptr<NodeStats[]> nodes{new NodeStats[kNodesMax]};
  std::unique_ptr<audit::Ring> audit;
  rte_mempool* pool = nullptr;
  std::unique_ptr<pipeline::Pipeline> pipeline;
};

// Everything around the pipelines, as the daemon has it.
struct World {
  config::Config config;
  SystemClock clock;
  forward::Slots slots;
  ports::PortInfo port;
  std::unique_ptr<daemon::LedgerMemory> ledger;
  std::unique_ptr<quota::Quotas> quotas;
  std::unique_ptr<policy::Engine> policy;
  std::unique_ptr<forward::NodeLive> live = std::make_unique<forward::NodeLive>();
  flow::Nat nat;
  flow::Balancer balancer;
  WallClock wall;
  pipeline::Shared shared;
  Snapshot snapshot;
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<const NodeStats*> all_nodes;

  explicit World(const Options& o) : config(make_config(o)), nat(config.flows.nat) {
    const uint32_t all = o.workers + o.idle;
    config.ledger.entries = o.entries;
    const uint64_t hz = rte_get_tsc_hz();
    must(slots.sync(config));
    port.name = "lan";
    port.id = 0;
    port.mac = {{2, 0, 0, 0, 0, 1}};
    port.rx_checksum = o.offloaded;
    ledger = must(daemon::LedgerMemory::create(config.ledger, {rte_rdtsc(), clock.unix_us(), hz}, all));
    quotas = must(quota::Quotas::create(config, slots, all, hz, rte_rdtsc()));
    policy = must(policy::Engine::create(config, clock, all));
    wall.set(rte_rdtsc(), static_cast<uint64_t>(clock.unix_us()), hz);
    fill_ledger(ledger->ledger(), o.ledger);
    shared.ledger = &ledger->ledger();
    shared.live = live.get();
    shared.windows = &quotas->windows();
    shared.nat = &nat;
    shared.wall = &wall;
    shared.tsc_hz = hz;
    shared.sample_bursts.store(o.stages ? 1 : 0);
    std::vector<forward::NextHop> hops(kNodesMax);
    for (auto& hop : hops) {
      hop.mac = {{2, 0, 0, 0, 1, 1}};
      hop.source_mac = port.mac;
      hop.source = vip(o);
      hop.vlan_tci = o.vlan;
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
    for (uint32_t w = 0; w < all; ++w) {
      workers.push_back(std::make_unique<Worker>());
      all_nodes.push_back(workers.back()->nodes.get());
    }
    for (uint32_t w = 0; w < all; ++w) start(o, *workers[w], static_cast<uint8_t>(w));
  }

  // Nanoseconds a packet by stage, over all bursts of all workers.
  nlohmann::json stages() const {
    nlohmann::json all = nlohmann::json::object();
    for (uint32_t stage = 0; stage < kStages; ++stage) {
      uint64_t packets = 0, ticks = 0;
      for (const auto& worker : workers) {
        const auto& times = worker->pipeline->state().times.stage[stage];
        packets += times.packets.read();
        ticks += times.ticks.read();
      }
      if (packets != 0)
        all[kStageNames[stage]] = static_cast<double>(ticks) * 1e9 /
                             static_cast<double>(shared.tsc_hz) / static_cast<double>(packets);
    }
    return all;
  }

  void start(const Options& o, Worker& worker, uint8_t number) {
    worker.pool = rte_pktmbuf_pool_create(("bench" + std::to_string(number)).c_str(),
                                          o.frames + 1024, 256, kMbufPrivateSize,
                                          RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    if (worker.pool == nullptr) die("no memory for mbufs");
    if (o.audit) worker.audit = std::make_unique<audit::Ring>(1u << 16);
    worker.pipeline = std::make_unique<pipeline::Pipeline>(
        pipeline::Pipeline::Setup{.worker = number,
                                  .workers = o.workers + o.idle,
                                  .shared = &shared,
                                  .stats = &worker.stats,
                                  .node_stats = worker.nodes.get(),
                                  .all_node_stats = all_nodes.data(),
                                  .pool = worker.pool,
                                  .audit = worker.audit.get(),
                                  .delay_packets = 4096,
                                  .replay_packets = 0,
                                  .flow_entries = config.flows.cache,
                                  .seed = number + 1u});
  }
};

}  // namespace lf::bench
