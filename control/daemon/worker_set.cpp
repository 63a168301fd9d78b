// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/worker_set.hpp"

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_ring.h>
#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "dataplane/pipeline/state.hpp"

namespace lf::daemon {
namespace {

constexpr unsigned kToWorkerSlots = 2048;
constexpr unsigned kToControlSlots = 8192;

// Zeroed, on the worker's own NUMA node, its constructors run.
template <typename T>
T* make_array(const char* what, size_t count, int socket) {
  void* memory = rte_zmalloc_socket(what, count * sizeof(T), kCacheLine, socket);
  return memory == nullptr ? nullptr : new (memory) T[count];
}

// Kept packets must leave the ports enough to receive into.
uint32_t replay_packets(const config::Config& config) {
  return std::min(config.replay.packets,
                  config.dataplane.mbufs / (2 * std::max(config.dataplane.workers, 1u)));
}

uint64_t random64() {
  uint64_t value;
  randombytes_buf(&value, sizeof value);
  return value;
}

int enter_worker(void* worker) {
  static_cast<Worker*>(worker)->run();
  return 0;
}

}  // namespace

Result<std::unique_ptr<WorkerSet>> WorkerSet::create(const config::Config& config,
                                                     const ports::PortSet& ports, Bridge& bridge,
                                                     pipeline::Shared& shared, const Audit& audit) {
  auto set = std::unique_ptr<WorkerSet>(new WorkerSet(ports, bridge, shared));
  set->slots_.resize(config.dataplane.workers);
  // All counters first: a pipeline may look at the other workers' ones.
  for (uint32_t w = 0; w < config.dataplane.workers; ++w) {
    Slot& slot = set->slots_[w];
    const int socket = static_cast<int>(rte_lcore_to_socket_id(w + 1));
    slot.stats = make_array<WorkerStats>("worker_stats", 1, socket);
    slot.node_stats = make_array<NodeStats>("node_stats", kNodesMax, socket);
    if (slot.stats == nullptr || slot.node_stats == nullptr) {
      return fail(ErrorCode::unavailable, "no memory for the counters of worker {}", w);
    }
    set->stats_views_.push_back(slot.stats);
    set->node_views_.push_back(slot.node_stats);
  }
  for (uint32_t w = 0; w < config.dataplane.workers; ++w) {
    if (auto made = set->make(w, config, audit); !made) return tl::unexpected(made.error());
  }
  return set;
}

Result<void> WorkerSet::make(uint32_t id, const config::Config& config, const Audit& audit) {
  Slot& slot = slots_[id];
  const int socket = static_cast<int>(rte_lcore_to_socket_id(id + 1));
  const auto ring = [&](const char* what, unsigned size) {
    return rte_ring_create(fmt::format("{}_{}", what, id).c_str(), size, socket,
                           RING_F_SP_ENQ | RING_F_SC_DEQ);
  };
  slot.rings.frames = ring("frames", kToWorkerSlots);
  slot.rings.commands = ring("commands", kToWorkerSlots);
  slot.rings.to_control = ring("to_control", kToControlSlots);
  if (!slot.rings.frames || !slot.rings.commands || !slot.rings.to_control) {
    return fail(ErrorCode::unavailable, "rings of worker {}: {}", id, rte_strerror(rte_errno));
  }
  slot.pipeline = std::make_unique<pipeline::Pipeline>(
      pipeline::Pipeline::Setup{.worker = static_cast<uint8_t>(id),
                                .workers = count(),
                                .shared = &shared_,
                                .stats = slot.stats,
                                .node_stats = slot.node_stats,
                                .all_node_stats = node_views_.data(),
                                .pool = ports_.pool(),
                                .audit = id < audit.rings.size() ? audit.rings[id] : nullptr,
                                .audit_drop_outcomes = audit.drop_outcomes,
                                .delay_packets = config.quotas.delay_packets,
                                .replay_packets = replay_packets(config),
                                .flow_entries = config.flows.cache,
                                .seed = random64()});
  const PortQueues& queues = ports_.queues(id);
  const bool interrupts =
      config.dataplane.idle.interrupts && queues.rx_count != 0 &&
      std::all_of(queues.rx, queues.rx + queues.rx_count, [](auto& q) { return q.interrupts; });
  slot.worker = std::make_unique<Worker>(
      Worker::Setup{.id = static_cast<uint8_t>(id),
                    .burst = static_cast<uint16_t>(config.dataplane.burst),
                    .idle = {.backoff = config.dataplane.idle.backoff,
                             .spin_polls = config.dataplane.idle.spin_polls,
                             .sleep_us_max = config.dataplane.idle.sleep_us_max,
                             .interrupts = interrupts},
                    .queues = queues,
                    .rings = slot.rings,
                    .bridge = &bridge_,
                    .pipeline = slot.pipeline.get(),
                    .stats = slot.stats});
  return {};
}

Result<void> WorkerSet::start() {
  for (uint32_t w = 0; w < count(); ++w) {
    if (rte_eal_remote_launch(enter_worker, slots_[w].worker.get(), w + 1) != 0) {
      return fail(ErrorCode::unavailable, "worker {} could not be started", w);
    }
    slots_[w].running = true;
  }
  return {};
}

void WorkerSet::stop() {
  bridge_.stop.store(true, std::memory_order_relaxed);
  for (uint32_t w = 0; w < count(); ++w) {
    if (slots_[w].running) rte_eal_wait_lcore(w + 1);
    slots_[w].running = false;
  }
}

std::vector<const replay::KeepPool*> WorkerSet::kept() const {
  std::vector<const replay::KeepPool*> pools;
  for (const Slot& slot : slots_) pools.push_back(&slot.pipeline->state().kept);
  return pools;
}

rte_mbuf* WorkerSet::copy_of(std::span<const uint8_t> frame) {
  rte_mbuf* m = rte_pktmbuf_alloc(ports_.pool());
  if (m == nullptr) return nullptr;
  char* data = rte_pktmbuf_append(m, static_cast<uint16_t>(frame.size()));
  if (data == nullptr) {
    rte_pktmbuf_free(m);
    return nullptr;
  }
  std::memcpy(data, frame.data(), frame.size());
  return m;
}

bool WorkerSet::send_frame(uint16_t port, std::span<const uint8_t> frame) {
  rte_mbuf* m = copy_of(frame);
  if (m == nullptr) return false;
  m->port = port;
  if (rte_ring_sp_enqueue(slots_[next_++ % count()].rings.frames, m) == 0) return true;
  rte_pktmbuf_free(m);
  return false;
}

bool WorkerSet::inject(std::span<const uint8_t> frame, const Meta& meta) {
  rte_mbuf* m = copy_of(frame);
  if (m == nullptr) return false;
  m->port = meta.in_port;
  note_of(m).meta = meta;
  if (rte_ring_sp_enqueue(slots_[next_++ % count()].rings.commands, m) == 0) return true;
  rte_pktmbuf_free(m);
  return false;
}

admission::Load WorkerSet::share_load() {
  int64_t own[kWorkersMax] = {}, sum = 0, in_flight = 0;
  admission::Load all;
  for (uint32_t w = 0; w < count(); ++w) {
    const admission::Load load = slots_[w].pipeline->own_load();
    own[w] = static_cast<int64_t>(load.in_flight + load.rx_backlog + load.delayed);
    sum += own[w];
    in_flight += static_cast<int64_t>(load.in_flight);
    all.rx_backlog += load.rx_backlog;
    all.delayed += load.delayed;
  }
  for (uint32_t w = 0; w < count(); ++w)
    shared_.others_busy[w].store(sum - own[w], std::memory_order_relaxed);
  all.in_flight = static_cast<uint64_t>(std::max<int64_t>(0, in_flight));
  return all;
}

uint32_t WorkerSet::drain(uint32_t max_per_worker,
                          const std::function<void(const rte_mbuf&, const Note&)>& visit) {
  uint32_t total = 0;
  for (Slot& slot : slots_) {
    for (uint32_t left = max_per_worker; left != 0;) {
      void* taken[kBurstMax];
      const uint32_t n = rte_ring_sc_dequeue_burst(slot.rings.to_control, taken,
                                                   std::min(left, kBurstMax), nullptr);
      if (n == 0) break;
      for (uint32_t i = 0; i < n; ++i) {
        auto* m = static_cast<rte_mbuf*>(taken[i]);
        visit(*m, note_of(m));
        rte_pktmbuf_free(m);
      }
      left -= n;
      total += n;
    }
  }
  return total;
}

WorkerSet::~WorkerSet() {
  stop();
  for (Slot& slot : slots_) {
    for (rte_ring* ring : {slot.rings.frames, slot.rings.commands, slot.rings.to_control}) {
      if (ring == nullptr) continue;
      void* m = nullptr;
      while (rte_ring_sc_dequeue(ring, &m) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(m));
      rte_ring_free(ring);
    }
    slot.pipeline.reset();
    rte_free(slot.stats);
    rte_free(slot.node_stats);
  }
}

}  // namespace lf::daemon
