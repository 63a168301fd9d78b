// SPDX-License-Identifier: Apache-2.0
// Probes over the kernel's sockets, non-blocking: TCP connect, HTTP GET, a UDP datagram and what is
// expected back, ICMP echo. start() begins one, on_ready() moves on what its epoll says is ready,
// expire() ends what took too long. One socket a node. Thread: control, which watches epoll_fd()
// for reading; nothing here blocks or sleeps.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/base/clock.hpp"
#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "dataplane/core/types.hpp"

namespace lf::probe {

struct KernelTarget {
  config::ProbeKind kind = config::ProbeKind::tcp;  // not lcp
  IpAddress address;
  uint8_t ip_version = 4;
  uint16_t port = 0;
  std::string path = "/";    // http
  std::string send, expect;  // udp
};

class KernelProbes {
 public:
  // ok: connected; answered with status 2xx or 3xx; answered with what was expected.
  using Done = std::function<void(NodeSlot slot, bool ok, MonoNs took_ns)>;

  static Result<std::unique_ptr<KernelProbes>> create(Done done);
  ~KernelProbes();
  KernelProbes(const KernelProbes&) = delete;
  KernelProbes& operator=(const KernelProbes&) = delete;

  int epoll_fd() const { return epoll_fd_; }

  // False: this machine could not start it (no descriptors, no ports), which says nothing about
  // the node. A probe of the same node that still runs is given up without a result.
  bool start(NodeSlot slot, const KernelTarget& target, MonoNs now, MonoNs timeout_ns);
  void on_ready(MonoNs now);
  void expire(MonoNs now);
  void forget(NodeSlot slot);
  bool is_out(NodeSlot slot) const { return slot < running_.size() && running_[slot] != nullptr; }

 private:
  struct Running;
  explicit KernelProbes(int epoll_fd, Done done);
  void move_on(NodeSlot slot, MonoNs now);
  void await_answer(NodeSlot slot);  // everything is sent
  void read_datagrams(NodeSlot slot, MonoNs now);
  void finish(NodeSlot slot, bool ok, MonoNs now);

  int epoll_fd_;
  uint64_t started_ = 0;  // makes the payload of each echo request its own
  Done done_;
  std::vector<std::unique_ptr<Running>> running_;  // by slot
};

// Whether the first line of an HTTP answer is a success (2xx, 3xx); nothing while it is incomplete.
std::optional<bool> http_success(std::string_view received);

}  // namespace lf::probe
