// SPDX-License-Identifier: Apache-2.0
// The daemon: owns every module, in the order in which they depend on each other, and connects
// them. start-up builds the first snapshot before a worker runs; afterwards everything happens in
// callbacks of one event loop. A change (reload, operator's command, health tick, neighbour) ends
// in publish(), the only place that makes a Snapshot. Thread: main.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/base/clock.hpp"
#include "control/base/event_loop.hpp"
#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "control/daemon/intake_wiring.hpp"
#include "control/daemon/ledger_memory.hpp"
#include "control/daemon/policy_wiring.hpp"
#include "control/daemon/quota_wiring.hpp"
#include "control/daemon/worker_set.hpp"
#include "control/flow/balancer.hpp"
#include "control/forward/slots.hpp"
#include "control/health/engine.hpp"
#include "control/health/node_counts.hpp"
#include "control/metrics/http_server.hpp"
#include "control/metrics/stats_view.hpp"
#include "control/neighbour/service.hpp"
#include "control/policy/denied_orgs.hpp"
#include "control/policy/engine.hpp"
#include "control/ports/port_set.hpp"
#include "control/probe/prober.hpp"
#include "control/publish/publisher.hpp"
#include "control/quota/quotas.hpp"
#include "control/resilience/board.hpp"
#include "control/resilience/replay_director.hpp"
#include "control/rpc/command_table.hpp"
#include "control/rpc/server.hpp"
#include "control/xdp/steering.hpp"
#include "dataplane/core/wall_clock.hpp"
#include "dataplane/forward/node_live.hpp"

namespace lf::daemon {

inline constexpr const char* kVersion = "0.1.0";

class Daemon {
 public:
  // The EAL runs already. `socket` overrides the configuration's.
  static Result<std::unique_ptr<Daemon>> create(config::Config config, const std::string& socket);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Runs until SIGTERM or SIGINT has been followed by a drain. Returns the exit status.
  int run();

 private:
  explicit Daemon(config::Config config) : config_(std::move(config)) {}

  // -- start (daemon.cpp), in this order
  Result<void> open_dataplane();
  Result<void> open_control(const std::string& socket);
  Result<void> open_probes();  // probing.cpp
  void open_resilience();      // resilience.cpp
  Result<void> start_timers();
  void add_commands();

  // -- changes (publishing.cpp)
  Result<void> reload();
  // Tables that the configuration alone decides.
  struct StaticTables {
    std::shared_ptr<const parse::Table> parse;
    std::shared_ptr<const authenticate::Table> authenticate;
    std::shared_ptr<const flow::Organisations> organisations;
  };
  Result<StaticTables> build_static(const config::Config& config,
                                    const forward::Slots& slots) const;
  Result<void> publish();
  void apply();  // after an operator's change: holds when this returns

  // -- periodic (periodic.cpp)
  void tick_fast();    // workers' rings, breakers
  void tick_health();  // samples, weights, neighbours
  void tick_second();  // metrics, rates, versions
  void take(const rte_mbuf& packet, const Note& note);
  void hear(uint16_t port, std::span<const uint8_t> frame, MonoNs now);  // a neighbour
  void warn_of_evictions(const metrics::StatsView& view);
  xdp::Standing standing_of(uint32_t org_id);
  // -- breakers, replay (resilience.cpp)
  void tick_breakers(MonoNs now);
  void take_icmp_error(std::span<const uint8_t> frame, const Meta& meta);
  std::vector<rpc::Command> resilience_commands();
  void begin_drain();
  bool drained() const;

  // -- views (view.cpp)
  metrics::StatsView view();
  std::vector<rpc::Command> own_commands();
  Result<rpc::Json> explain(const rpc::Json& params);

  config::Config config_;
  SystemClock clock_;
  forward::Slots slots_;
  uint64_t tsc_hz_ = 0;
  std::unique_ptr<EventLoop> loop_;

  // What workers use; freed after they have stopped, in reverse order.
  std::unique_ptr<ports::PortSet> ports_;
  WallClock wall_;
  std::unique_ptr<forward::NodeLive> live_;
  std::unique_ptr<replay::Orders> orders_;
  std::unique_ptr<LedgerMemory> ledger_;
  std::unique_ptr<quota::Quotas> quotas_;
  std::unique_ptr<QuotaWiring> quota_wiring_;
  std::unique_ptr<flow::Nat> nat_;
  std::unique_ptr<policy::Engine> policy_;
  std::unique_ptr<PolicyWiring> policy_wiring_;
  Bridge bridge_;
  pipeline::Shared shared_;
  std::unique_ptr<WorkerSet> workers_;
  std::unique_ptr<Publisher> publisher_;

  // Control modules.
  std::unique_ptr<neighbour::Service> neighbours_;
  std::unique_ptr<xdp::Steering> steering_;
  policy::DeniedOrgs denied_orgs_;  // that xdp.push asks for
  std::unique_ptr<NodeStats[]> own_counts_;     // what control itself saw of nodes: unreachable
  std::vector<const NodeStats*> count_blocks_;  // the workers' and own_counts_
  std::unique_ptr<health::WorkerCounts> counts_;
  std::unique_ptr<health::HealthEngine> health_;
  std::unique_ptr<resilience::BreakerBoard> breakers_;
  std::unique_ptr<resilience::ReplayDirector> replay_;
  std::map<uint64_t, uint32_t> blamed_;  // transmissions that ICMP errors were about: each once
  flow::Balancer balancer_;
  std::unique_ptr<probe::Prober> prober_;
  std::unique_ptr<IntakeWiring> intake_;
  rpc::CommandTable commands_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<metrics::HttpServer> http_;
  std::unique_ptr<metrics::Rates> rates_;

  // What the next snapshot is made of.
  StaticTables static_tables_;
  std::shared_ptr<const forward::Table> forward_;
  std::shared_ptr<const flow::Table> flow_;
  std::vector<uint8_t> alive_;    // by slot, as flow_ was built with
  bool forward_dirty_ = true;     // next hops or weights have changed since forward_ was built
  bool publish_pending_ = false;  // the last publication had to wait for a worker

  MonoNs started_ = 0;
  std::string last_reload_ = "never";
  std::optional<MonoNs> draining_since_;
  admission::Load load_;   // of all workers, at the last tick
  uint64_t sweep_at_ = 0;  // bucket of the ledger where the next walk begins
  ledger::Swept swept_;    // this walk so far
  ledger::Swept last_walk_;
  struct {  // of the ledger's live entries, when that was last warned of
    MonoNs at = 0;
    double count = 0, age_s_sum = 0;
  } warned_evictions_;
  uint64_t ledger_expired_ = 0;  // entries that all walks have cleared
};

}  // namespace lf::daemon
