// SPDX-License-Identifier: Apache-2.0
// Probes every node as its service's configuration says, each at its own phase of the interval so
// that they do not go out together, and hands the results to the health engine. A node has one
// probe out at a time. Thread: control; tick() at a few milliseconds' rate, on_ready() when
// epoll_fd() is readable.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "control/base/clock.hpp"
#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "control/forward/slots.hpp"
#include "control/probe/kernel_probes.hpp"
#include "control/probe/lcp_probes.hpp"

namespace lf::probe {

// How an LCP datagram gets to a node: the runtime makes a frame of it (frame.hpp) and gives it to
// a worker. False: not sent (no MAC address yet, ring full), which says nothing about the node.
using Send = std::function<bool(NodeSlot slot, std::span<const uint8_t> datagram)>;
using Report = std::function<void(NodeSlot slot, bool ok, double latency_ms)>;

class Prober {
 public:
  static Result<std::unique_ptr<Prober>> create(Send send, Report report, uint64_t seed);

  // Follows the configuration. Probes that are out to nodes that stay as they are go on.
  void configure(const config::Config& config, const forward::Slots& slots, MonoNs now);

  void tick(MonoNs now, UnixUs unix_us);
  int epoll_fd() const { return kernel_->epoll_fd(); }
  void on_ready(MonoNs now) { kernel_->on_ready(now); }
  // A PROBE_REPLY with this id that came from the address of node `source`. True when it was the
  // answer to a probe of that node's machine.
  bool on_reply(NodeSlot source, std::span<const uint8_t, 16> command_id, MonoNs now);

 private:
  struct Target {
    bool active = false;
    uint32_t epoch = 0;  // of the slot's assignment
    config::Probe settings;
    KernelTarget where;
    MonoNs next = 0;
  };
  Prober(Send send, Report report, uint64_t seed);
  bool start(NodeSlot slot, const Target& target, MonoNs now, UnixUs unix_us);
  bool is_out(NodeSlot slot) const { return lcp_.is_out(slot) || kernel_->is_out(slot); }

  Send send_;
  Report report_;
  FastRandom random_;
  LcpProbes lcp_;
  std::unique_ptr<KernelProbes> kernel_;
  std::vector<Target> targets_;  // by slot
};

}  // namespace lf::probe
