// SPDX-License-Identifier: Apache-2.0
// The workers as the daemon holds them: memory for their counters and state, rings to and from
// them, start and stop. Everything is made before the first worker runs and freed after the last
// one has left. Thread: control.
#pragma once

#include <rte_mempool.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "control/ports/port_set.hpp"
#include "dataplane/core/mbuf_note.hpp"
#include "dataplane/core/worker_stats.hpp"
#include "dataplane/replay/keep_pool.hpp"
#include "dataplane/worker/bridge.hpp"
#include "dataplane/worker/worker.hpp"

namespace lf::daemon {

class WorkerSet {
 public:
  // Where workers record their decisions: a ring each.
  struct Audit {
    std::vector<audit::Ring*> rings;
    uint8_t drop_outcomes = 0;  // audit::State::drop_outcomes
  };
  static Result<std::unique_ptr<WorkerSet>> create(const config::Config& config,
                                                   const ports::PortSet& ports, Bridge& bridge,
                                                   pipeline::Shared& shared, const Audit& audit);
  ~WorkerSet();
  WorkerSet(const WorkerSet&) = delete;
  WorkerSet& operator=(const WorkerSet&) = delete;

  Result<void> start();
  // Tells the workers to leave their loops and waits for them.
  void stop();

  uint32_t count() const { return static_cast<uint32_t>(slots_.size()); }
  std::span<const WorkerStats* const> stats() const { return stats_views_; }
  std::span<const NodeStats* const> node_stats() const { return node_views_; }
  std::vector<const replay::KeepPool*> kept() const;
  pipeline::Pipeline& pipeline(uint32_t worker) { return *slots_[worker].pipeline; }

  // Queues a frame for transmission from a port. The bytes are copied. False: no mbuf, no room.
  bool send_frame(uint16_t port, std::span<const uint8_t> frame);
  // Queues a frame (Ethernet to LCP, as from the wire) to run through the pipeline of a worker.
  bool inject(std::span<const uint8_t> frame, const Meta& meta);

  // How busy all workers are, and a word to each of what the others have: for admission.
  admission::Load share_load();

  // Takes what the workers have handed over; `visit` looks, the mbuf is freed after it.
  uint32_t drain(uint32_t max_per_worker,
                 const std::function<void(const rte_mbuf&, const Note&)>& visit);

 private:
  struct Slot {
    WorkerStats* stats = nullptr;
    NodeStats* node_stats = nullptr;
    WorkerRings rings;
    std::unique_ptr<pipeline::Pipeline> pipeline;
    std::unique_ptr<Worker> worker;
    bool running = false;
  };

  WorkerSet(const ports::PortSet& ports, Bridge& bridge, pipeline::Shared& shared)
      : ports_(ports), bridge_(bridge), shared_(shared) {}
  Result<void> make(uint32_t id, const config::Config& config, const Audit& audit);
  rte_mbuf* copy_of(std::span<const uint8_t> frame);

  const ports::PortSet& ports_;
  Bridge& bridge_;
  pipeline::Shared& shared_;
  std::vector<Slot> slots_;
  std::vector<const WorkerStats*> stats_views_;
  std::vector<const NodeStats*> node_views_;
  uint32_t next_ = 0;  // worker for the next frame from control
};

}  // namespace lf::daemon
