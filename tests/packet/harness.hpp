// SPDX-License-Identifier: Apache-2.0
// One pipeline with everything around it as the daemon has it, but ports: tables are built from a
// configuration by the control side's builders, time is the test's, and what the pipeline wants
// sent, handed to control or freed is taken from its outbox. After every step the books must
// balance: packets in + kept ones that came back = verdicts + parked - unparked, and no mbuf is lost.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control/base/clock.hpp"
#include "control/config/config.hpp"
#include "control/daemon/ledger_memory.hpp"
#include "control/flow/balancer.hpp"
#include "control/forward/table_builder.hpp"
#include "control/policy/engine.hpp"
#include "control/quota/quotas.hpp"
#include "dataplane/core/mbuf_note.hpp"
#include "dataplane/pipeline/pipeline.hpp"
#include "tests/support/world.hpp"

namespace lf::test {

inline constexpr uint64_t kHz = 1'000'000'000;
inline constexpr uint8_t kKernelPort = 5;

// world() with one node a service and an operator (id 7) who may do everything.
config::Config packet_world();

struct Sent {
  uint16_t port;
  Bytes frame;
};

struct Result {
  std::vector<Verdict> verdicts;  // by position; `none`: parked
  std::vector<Sent> sent;
  std::vector<ToControl> control;
};

class Rig {
 public:
  using Change = std::function<void(config::Config&)>;
  struct Options {
    bool kernel = false;                      // the port has an exception port
    bool resolved = true;                     // nodes' MAC addresses are known
    uint16_t node_vlan = 0, node_mtu = 1500;  // of every node
    uint32_t audit_records = 0;               // 0: no audit
    uint32_t delay_packets = 64;
    uint32_t replay_packets = 0;
    bool rx_checksum = false;  // the port checks checksums
  };

  // That the tables are made for; one of them runs here.
  static inline uint32_t workers = 1;

  explicit Rig(const Change& change = {}) : Rig(change, Options()) {}
  Rig(const Change& change, const Options& options);
  ~Rig();

  // A burst from port 0, or from `port`.
  Result run_frames(const std::vector<Bytes>& frames, uint16_t port = 0);
  Result run_burst(const std::vector<Packet>& packets, uint16_t port = 0);
  Result run(const Packet& packet) { return run_burst({packet}); }
  // A command from control.
  Result inject(const Packet& packet, Origin origin);
  // Time passes; what became due.
  Result advance_ms(uint64_t ms);
  // A frame that did not come in one piece.
  Result run_segmented(const Packet& packet);
  // Builds the forwarding and flow tables anew; next hops and plans may be changed.
  void forward(const std::function<void(std::vector<forward::NextHop>&,
                                        std::vector<forward::PoolPlan>&)>& change);

  uint64_t count(Verdict v) const;
  WorkerStats& stats() { return *stats_; }
  pipeline::Shared& shared() { return shared_; }
  pipeline::Pipeline& pipeline() { return *pipeline_; }
  forward::NodeLive& live() { return *live_; }
  replay::Orders& orders() { return *orders_; }
  NodeStats& node_stats(NodeSlot slot) { return nodes_[slot]; }
  uint32_t kept() const;
  audit::Ring& audit() { return *audit_; }  // with Options::audit_records
  const forward::Slots& slots() const { return slots_; }

  // What the port says of the frames of a burst, by position (mbuf flags); of others nothing.
  std::vector<uint64_t> rx_flags;

  bool control_is_full = false;
  bool port_is_full = false;
  bool port_is_slow = false;  // it keeps what it was given until the end
  // With a slow port: nobody gets a buffer any more, until it gives all back that it has.
  void take_all_buffers();
  void give_buffers_back();

 private:
  Result step(Burst& burst);
  void finish(Burst& burst, Result& result);
  void check_books();
  rte_mbuf* make(const Bytes& frame, uint16_t port);

  config::Config config_;
  Options options_;
  ManualClock clock_;
  Tsc now_ = kHz;
  forward::Slots slots_;
  flow::Balancer balancer_;
  flow::Nat nat_{1024};
  std::vector<ports::PortInfo> ports_;
  std::unique_ptr<daemon::LedgerMemory> ledger_;
  std::unique_ptr<quota::Quotas> quotas_;
  std::unique_ptr<policy::Engine> policy_;
  std::unique_ptr<forward::NodeLive> live_ = std::make_unique<forward::NodeLive>();
  std::unique_ptr<replay::Orders> orders_ = std::make_unique<replay::Orders>();
  std::unique_ptr<audit::Ring> audit_;
  WallClock wall_;
  pipeline::Shared shared_;
  Snapshot snapshot_;
  std::shared_ptr<parse::Table> parse_;
  std::unique_ptr<WorkerStats> stats_ = std::make_unique<WorkerStats>();
  std::unique_ptr<NodeStats[]> nodes_{new NodeStats[kNodesMax]};
  const NodeStats* all_nodes_[1] = {nodes_.get()};
  std::unique_ptr<pipeline::Pipeline> pipeline_;
  std::unique_ptr<Burst> burst_ = std::make_unique<Burst>();
  std::unique_ptr<pipeline::Outbox> out_ = std::make_unique<pipeline::Outbox>();
  std::vector<rte_mbuf*> held_;  // by a slow port
  uint32_t mbufs_at_start_ = 0;
  uint64_t received_ = 0;
};

// Every verdict that any packet test produced.
std::set<Verdict>& produced();

}  // namespace lf::test
