// SPDX-License-Identifier: Apache-2.0
// A worker: one lcore, one loop, a burst at a time, run to completion. It reads the Snapshot, owns
// its pipeline state and its counters, and shares only the lock-free structures in
// pipeline::Shared. It makes no system call while there is traffic.
#pragma once

#include <rte_ring.h>

#include <cstdint>

#include "dataplane/core/burst.hpp"
#include "dataplane/core/snapshot.hpp"
#include "dataplane/core/worker_stats.hpp"
#include "dataplane/pipeline/outbox.hpp"
#include "dataplane/pipeline/pipeline.hpp"
#include "dataplane/worker/bridge.hpp"
#include "dataplane/worker/idle.hpp"
#include "dataplane/worker/port_queues.hpp"

namespace lf {

// Rings of one worker; control is the only other end of each.
struct WorkerRings {
  rte_ring* frames = nullptr;    // from control: frames to send as they are, mbuf->port says where
  rte_ring* commands = nullptr;  // from control: commands to run through the pipeline; the Note's
                                 // meta.origin says where they come from
  rte_ring* to_control = nullptr;  // to control: mbufs with a Note
};

class Worker {
 public:
  struct Setup {
    uint8_t id = 0;
    uint16_t burst = 32;
    IdleSettings idle;
    PortQueues queues;
    WorkerRings rings;
    Bridge* bridge = nullptr;
    pipeline::Pipeline* pipeline = nullptr;
    WorkerStats* stats = nullptr;
  };

  explicit Worker(const Setup& setup) noexcept : setup_(setup), idle_(setup.idle) {}

  // The loop; returns when Bridge::stop is set. Thread: the worker's lcore.
  void run() noexcept;

 private:
  uint32_t receive(const Snapshot& snapshot) noexcept;
  uint32_t take_injected(const Snapshot& snapshot) noexcept;
  void relay_from_kernel(const RxQueue& from, uint16_t count) noexcept;
  void send_handoffs() noexcept;
  void look_at_backlog() noexcept;
  void finish(Tsc now) noexcept;
  void transmit(uint16_t port) noexcept;
  void count_verdicts() noexcept;
  void nap() noexcept;

  Setup setup_;
  Idle idle_;
  uint32_t polls_ = 0;
  Burst burst_;
  pipeline::Outbox outbox_;
};

}  // namespace lf
