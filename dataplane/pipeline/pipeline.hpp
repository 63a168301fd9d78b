// SPDX-License-Identifier: Apache-2.0
// The stages in their order, for one worker. It runs bursts to completion and says in an Outbox
// what is to be sent, handed to control or freed; it does no I/O itself, so tests run it without
// ports. Thread: the worker that owns it.
#pragma once

#include <rte_mempool.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "dataplane/admission/admission.hpp"
#include "dataplane/audit/ring.hpp"
#include "dataplane/core/burst.hpp"
#include "dataplane/core/mbuf_note.hpp"
#include "dataplane/core/snapshot.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/core/wall_clock.hpp"
#include "dataplane/core/worker_stats.hpp"
#include "dataplane/flow/nat.hpp"
#include "dataplane/forward/node_live.hpp"
#include "dataplane/ledger/ledger.hpp"
#include "dataplane/pipeline/outbox.hpp"
#include "dataplane/quota/windows.hpp"
#include "dataplane/replay/orders.hpp"

namespace lf::pipeline {

// What all workers share; each part is lock-free. Outlives the pipelines.
struct Shared {
  ledger::Ledger* ledger = nullptr;
  forward::NodeLive* live = nullptr;
  quota::Windows* windows = nullptr;
  replay::Orders* orders = nullptr;  // null: nothing is kept and nothing sent again
  flow::Nat* nat = nullptr;          // null: there are no flow services
  const WallClock* wall = nullptr;
  uint64_t tsc_hz = 0;
  std::atomic<bool> draining{false};  // writer: control; new commands are refused
  // Stages of one burst in so many are timed; 0: of none. Writer: control.
  std::atomic<uint32_t> sample_bursts{0};
  // By worker: commands that the other workers have in flight, delayed and waiting, as of the last
  // control tick. Writer: control.
  std::atomic<int64_t> others_busy[kWorkersMax]{};
};

struct State;

class Pipeline {
 public:
  struct Setup {
    uint8_t worker = 0;
    uint32_t workers = 1;
    Shared* shared = nullptr;
    WorkerStats* stats = nullptr;
    NodeStats* node_stats = nullptr;                   // of this worker, [kNodesMax]
    const NodeStats* const* all_node_stats = nullptr;  // of all workers
    rte_mempool* pool = nullptr;  // for notices and copies; mbufs have room for a Note
    audit::Ring* audit = nullptr;                      // null: nothing is recorded
    uint8_t audit_drop_outcomes = 0;                   // audit::State::drop_outcomes
    uint32_t delay_packets = 0;
    uint32_t replay_packets = 0;  // commands kept for replay at once; 0: none
    uint32_t flow_entries = 0;    // of the flow cache
    uint64_t seed = 0;  // of node choice
  };

  // Thread: control, before the worker runs.
  explicit Pipeline(const Setup& setup);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // A burst from a port: burst.count and burst.packets are set. On return every packet is either
  // in the outbox or kept by the pipeline, and has its verdict unless it is kept.
  void run(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept;

  // Commands from control; the Note of each says where it comes from.
  void run_injected(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept;

  // What time has made due: time-outs, delayed commands, replays. Call it once a loop with an
  // empty burst. Returns how many packets it put into the burst.
  uint32_t due(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept;

  // A frame of the last burst could not be sent: its command is given back and its verdict becomes
  // tx_full. kNoPosition: nothing to do.
  void not_sent(Burst& burst, uint8_t position) noexcept;
  // The ring to control was full: the packet is dropped under its kind's own reason.
  void not_taken(Burst& burst, uint8_t position, rte_mbuf* packet, Outbox& out) noexcept;

  // Packets that wait in the worker's receive queues, as far as it can know.
  void set_backlog(uint64_t packets) noexcept;
  // How busy this worker is, by its own counts, and how busy all of them are.
  admission::Load own_load() const noexcept;
  admission::Load load() const noexcept;

  // For control to read; single writer each.
  const State& state() const noexcept { return *state_; }
  State& state() noexcept { return *state_; }

 private:
  void begin(const Snapshot& snapshot, Burst& burst) noexcept;
  void stages(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept;
  void parse_all(const Snapshot& snapshot, Burst& burst) noexcept;
  void commands(const Snapshot& snapshot, Burst& burst, const Selection& all, Tsc now,
                Outbox& out) noexcept;
  void validate_and_expect(const Snapshot& snapshot, Burst& burst, Selection& live,
                           uint64_t unix_us) noexcept;
  void shed(const Snapshot& snapshot, Burst& burst, Selection& live, Tsc now) noexcept;
  void forward(const Snapshot& snapshot, Burst& burst, Selection& live, Tsc now,
               Outbox& out) noexcept;
  void replies(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept;
  void from_nodes(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept;
  Selection admit_flows(const Snapshot& snapshot, Burst& burst, Tsc now) noexcept;
  void flows(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept;
  void exceptions(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept;
  void count_retries(const Burst& burst, const Selection& live) noexcept;
  void give_back(Burst& burst, const Selection& owned) noexcept;
  void answer(const Snapshot& snapshot, Burst& burst, const Selection& commands, Tsc now,
              Outbox& out) noexcept;
  void keep(const Snapshot& snapshot, Burst& burst, const Selection& owned, Tsc now,
            Outbox& out) noexcept;
  void notify(const Snapshot& snapshot, const Burst& burst, const Selection& kept,
              Outbox& out) noexcept;
  void sign_and_send(const Snapshot& snapshot, Burst& burst, const Selection& live,
                     Outbox& out) noexcept;
  void report_too_big(const Snapshot& snapshot, Burst& burst, Selection& too_big, Tsc now,
                      Outbox& out) noexcept;
  void copy_to_kernel(const Snapshot& snapshot, const Burst& burst, uint8_t position,
                      Outbox& out) noexcept;
  void to_control(Burst& burst, uint8_t position, ToControl kind, Tsc now, Outbox& out) noexcept;
  void send(Burst& burst, uint8_t position, Outbox& out) noexcept;
  void free_rest(Burst& burst, Outbox& out) noexcept;
  // -- replay.cpp
  void note_clients(const Burst& burst, const Selection& live, uint64_t from_control) noexcept;
  void tell_replayable(const Snapshot& snapshot, Burst& burst, const Selection& admitted) noexcept;
  void keep_replayable(Burst& burst, const Selection& sent, Tsc now) noexcept;
  void take_returned(const Snapshot& snapshot, Burst& burst, Selection& live, Tsc now) noexcept;
  void refuse_uncopied(uint32_t place, uint64_t unix_us) noexcept;
  void count_returned(Burst& burst, const Selection& returned) noexcept;

  Setup setup_;
  std::unique_ptr<State> state_;
};

}  // namespace lf::pipeline
