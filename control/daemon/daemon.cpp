// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/daemon.hpp"

#include <rte_cycles.h>
#include <signal.h>
#include <sodium.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include "control/daemon/tsc_rate.hpp"
#include "control/health/commands.hpp"
#include "control/metrics/commands.hpp"
#include "control/metrics/render.hpp"
#include "control/xdp/host_ports.hpp"
#include "dataplane/crypto/cmac_lanes.hpp"

namespace lf::daemon {
namespace {

constexpr uint64_t kFastTickUs = 2'000;
constexpr uint64_t kHealthTickUs = 50'000;  // the engine samples each service at its own interval
constexpr uint64_t kSecondUs = 1'000'000;

uint64_t random64() {
  uint64_t value;
  randombytes_buf(&value, sizeof value);
  return value;
}

std::vector<neighbour::PortView> port_views(const config::Config& config,
                                            const ports::PortSet& ports) {
  std::vector<neighbour::PortView> views;
  for (size_t p = 0; p < config.ports.size(); ++p) {
    const config::Port& port = config.ports[p];
    const ports::PortInfo& info = ports.ports()[p];
    views.push_back({.id = info.id,
                     .mac = info.mac,
                     .vlan = port.vlan,
                     .mtu = port.mtu,
                     .addresses = port.addresses,
                     .gateways = port.gateways});
  }
  return views;
}

void log_ports(const ports::PortSet& ports) {
  for (const ports::PortInfo& p : ports.ports()) {
    spdlog::info("port {}: {} ({} rx, {} tx queues, NUMA node {}, checksum offload rx {} tx {}{})",
                 p.name, p.driver, p.rx_queues, p.tx_queues, p.socket, p.rx_checksum ? "on" : "off",
                 p.tx_checksum ? "on" : "off", p.rx_function.empty() ? "" : ", " + p.rx_function);
  }
}

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::create(config::Config config, const std::string& socket) {
  if (sodium_init() < 0) return fail(ErrorCode::unavailable, "libsodium cannot be initialised");
  auto daemon = std::unique_ptr<Daemon>(new Daemon(std::move(config)));
  auto loop = EventLoop::create();
  if (!loop) return tl::unexpected(loop.error());
  daemon->loop_ = std::move(*loop);
  if (auto r = daemon->open_dataplane(); !r) return tl::unexpected(r.error());
  if (auto r = daemon->open_control(socket); !r) return tl::unexpected(r.error());
  return daemon;
}

// Ports, shared structures, workers and the first snapshot. No worker runs yet.
Result<void> Daemon::open_dataplane() {
  tsc_hz_ = measure_tsc_hz();
  started_ = clock_.mono_ns();
  wall_.set(rte_rdtsc(), static_cast<uint64_t>(clock_.unix_us()), tsc_hz_);
  if (auto synced = slots_.sync(config_); !synced) return synced;

  auto ports = ports::PortSet::open(config_);
  if (!ports) return tl::unexpected(ports.error());
  ports_ = std::move(*ports);
  log_ports(*ports_);
  for (const std::string& warning : xdp::shared_port_warnings(config_)) spdlog::warn("{}", warning);

  const uint32_t workers = config_.dataplane.workers;
  auto ledger =
      LedgerMemory::create(config_.ledger, {rte_rdtsc(), clock_.unix_us(), tsc_hz_}, workers);
  if (!ledger) return tl::unexpected(ledger.error());
  ledger_ = std::move(*ledger);
  spdlog::info("ledger: {} entries, {} MiB{}", ledger_->ledger().capacity(), ledger_->bytes() >> 20,
               ledger_->huge() ? " in huge pages" : "");

  auto quotas = quota::Quotas::create(config_, slots_, workers, tsc_hz_, rte_rdtsc());
  if (!quotas) return tl::unexpected(quotas.error());
  quotas_ = std::move(*quotas);
  auto quota_wiring = QuotaWiring::create(config_.notifications, *quotas_, clock_);
  if (!quota_wiring) return tl::unexpected(quota_wiring.error());
  quota_wiring_ = std::move(*quota_wiring);
  auto policy = policy::Engine::create(config_, clock_, workers,
                                       [this](uint32_t id) { return slots_.organisation(id); });
  if (!policy) return tl::unexpected(policy.error());
  policy_ = std::move(*policy);
  auto wiring = PolicyWiring::create(config_, *policy_, clock_);
  if (!wiring) return tl::unexpected(wiring.error());
  policy_wiring_ = std::move(*wiring);
  live_ = std::make_unique<forward::NodeLive>();
  orders_ = std::make_unique<replay::Orders>();
  nat_ = std::make_unique<flow::Nat>(config_.flows.nat);
  if (!nat_->is_usable())
    return fail(ErrorCode::unavailable, "flows.nat = {}: no memory", config_.flows.nat);

  bridge_.qsbr = static_cast<rte_rcu_qsbr*>(
      aligned_alloc(RTE_CACHE_LINE_SIZE, rte_rcu_qsbr_get_memsize(kWorkersMax)));
  if (bridge_.qsbr == nullptr || rte_rcu_qsbr_init(bridge_.qsbr, kWorkersMax) != 0) {
    return fail(ErrorCode::unavailable, "no memory for RCU");
  }
  shared_.ledger = &ledger_->ledger();
  shared_.live = live_.get();
  shared_.windows = &quotas_->windows();
  shared_.orders = orders_.get();
  shared_.nat = nat_.get();
  shared_.wall = &wall_;
  shared_.tsc_hz = tsc_hz_;
  shared_.sample_bursts.store(config_.dataplane.sample_bursts, std::memory_order_relaxed);
  auto set = WorkerSet::create(config_, *ports_, bridge_, shared_,
                               {policy_wiring_->rings(), policy_wiring_->audit_drop_outcomes()});
  if (!set) return tl::unexpected(set.error());
  workers_ = std::move(*set);
  const auto inject = [this](std::span<const uint8_t> frame, const Meta& meta) {
    return workers_->inject(frame, meta);
  };
  policy_wiring_->connect(inject);
  intake_ = std::make_unique<IntakeWiring>(config_, ports_->ports(), clock_, *loop_, inject);
  publisher_ = std::make_unique<Publisher>(bridge_, workers_->stats(), tsc_hz_);

  neighbours_ = std::make_unique<neighbour::Service>(
      port_views(config_, *ports_), [this](uint16_t port, std::span<const uint8_t> frame) {
        return workers_->send_frame(port, frame);
      });
  neighbours_->configure(config_, slots_, clock_.mono_ns());
  own_counts_.reset(new NodeStats[kNodesMax]);
  const auto blocks = workers_->node_stats();
  count_blocks_.assign(blocks.begin(), blocks.end());
  count_blocks_.push_back(own_counts_.get());
  counts_ = std::make_unique<health::WorkerCounts>(count_blocks_);
  health_ = std::make_unique<health::HealthEngine>(random64());
  const health::Now now{clock_.mono_ns(), clock_.unix_us()};
  health_->configure(config_, slots_, *counts_, now);
  open_resilience();
  health_->tick(now, *counts_, *live_);
  auto tables = build_static(config_, slots_);
  if (!tables) return tl::unexpected(tables.error());
  static_tables_ = std::move(*tables);
  auto steering = xdp::Steering::start(config_, ports_->ports(), static_tables_.parse, *loop_,
                                       [this](uint16_t port, std::span<const uint8_t> frame) {
                                         hear(port, frame, clock_.mono_ns());
                                       });
  if (!steering) return tl::unexpected(steering.error());
  steering_ = std::move(*steering);
  if (auto published = publish(); !published) return published;
  return open_probes();
}

Result<void> Daemon::open_control(const std::string& socket) {
  rates_ = std::make_unique<metrics::Rates>(tsc_hz_);
  add_commands();
  auto server = rpc::Server::listen(*loop_, commands_,
                                    {.path = socket.empty() ? config_.control.socket : socket,
                                     .allowed_uids = config_.control.allowed_uids});
  if (!server) return tl::unexpected(server.error());
  server_ = std::move(*server);
  if (!config_.control.metrics.empty()) {
    auto http = metrics::HttpServer::start(config_.control.metrics);
    if (!http) return tl::unexpected(http.error());
    http_ = std::move(*http);
  }
  return start_timers();
}

Result<void> Daemon::start_timers() {
  if (auto r = loop_->every_us(kFastTickUs, [this] { tick_fast(); }); !r)
    return tl::unexpected(r.error());
  if (auto r = loop_->every_us(kHealthTickUs, [this] { tick_health(); }); !r)
    return tl::unexpected(r.error());
  if (auto r = loop_->every_us(kSecondUs, [this] { tick_second(); }); !r)
    return tl::unexpected(r.error());
  return loop_->on_signals({SIGTERM, SIGINT, SIGHUP}, [this](int signal) {
    if (signal != SIGHUP) return begin_drain();
    (void)reload();  // logs its result
  });
}

void Daemon::add_commands() {
  commands_.add(metrics::commands([this] { return view(); }));
  commands_.add(health::node_commands(*health_, clock_, [this] { apply(); }));
  commands_.add(health::route_commands(
      *health_, clock_,
      [this]() -> const std::vector<config::Intent>& { return config_.intents; }));
  commands_.add(resilience_commands());
  const auto publish_changes = [this] {
    if (auto published = publish(); !published) spdlog::error("{}", published.error().message);
  };
  commands_.add(policy_wiring_->commands(publish_changes));
  commands_.add(quota_wiring_->commands(publish_changes));
  commands_.add(intake_->commands());
  commands_.add(steering_->commands());
  commands_.add(own_commands());
}

int Daemon::run() {
  if (auto started = workers_->start(); !started) {
    spdlog::error("{}", started.error().message);
    return 1;
  }
  spdlog::info("running: {} workers, {} ports, {} services, tags by {}", workers_->count(),
               ports_->ports().size(), config_.services.size(),
               crypto::name_of(crypto::chosen_cmac_path()));
  sd_notify(0, "READY=1");
  loop_->run();
  sd_notify(0, "STOPPING=1");
  workers_->stop();
  ledger_->save({rte_rdtsc(), clock_.unix_us(), tsc_hz_});
  policy_wiring_->finish();
  spdlog::info("stopped");
  return 0;
}

// Workers first: everything else is what they use.
Daemon::~Daemon() {
  if (workers_) workers_->stop();
  intake_.reset();
  server_.reset();
  http_.reset();
  publisher_.reset();
  workers_.reset();
  steering_.reset();
  ports_.reset();
  free(bridge_.qsbr);
}

}  // namespace lf::daemon
