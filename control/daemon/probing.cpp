// SPDX-License-Identifier: Apache-2.0
// Connects the prober: its LCP PROBEs leave through a worker, its sockets live in the event loop,
// its results feed health.
#include <sodium.h>

#include "control/daemon/daemon.hpp"
#include "control/probe/frame.hpp"

namespace lf::daemon {

Result<void> Daemon::open_probes() {
  uint64_t seed;
  randombytes_buf(&seed, sizeof seed);
  auto prober = probe::Prober::create(
      [this](NodeSlot slot, std::span<const uint8_t> datagram) {
        if (slot >= forward_->nodes.size() || !forward_->nodes[slot].resolved) return false;
        const forward::Node& node = forward_->nodes[slot];
        return workers_->send_frame(node.out_port, probe::frame_to(node, datagram));
      },
      [this](NodeSlot slot, bool ok, double latency_ms) {
        health_->probe_result(slot, ok, latency_ms, clock_.mono_ns());
      },
      seed);
  if (!prober) return tl::unexpected(prober.error());
  prober_ = std::move(*prober);
  prober_->configure(config_, slots_, clock_.mono_ns());
  return loop_->watch(prober_->epoll_fd(), EPOLLIN,
                      [this](uint32_t) { prober_->on_ready(clock_.mono_ns()); });
}

}  // namespace lf::daemon
