// SPDX-License-Identifier: Apache-2.0
// What waits in the sockets of the watched ports, added up in the kernel by two BPF iterators
// (sockets.bpf.c). Sees the sockets of the network namespace that it runs in. One thread.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "control/base/result.hpp"
#include "tools/lf_agent/layout.h"
#include "tools/lf_agent/watched_port.hpp"

struct bpf_link;
struct lf_agent_sockets_bpf;

namespace lf::agent {

struct PortReading {
  WatchedPort port;
  lf_agent_sockets sockets{};
};

class SocketReader {
 public:
  // Not without CAP_BPF and CAP_PERFMON, or where the kernel lacks BTF or the iterators.
  static Result<std::unique_ptr<SocketReader>> load(std::span<const WatchedPort> ports);
  ~SocketReader();
  SocketReader(const SocketReader&) = delete;
  SocketReader& operator=(const SocketReader&) = delete;

  // In the order of the ports. What counts since the walk before is 0 in the first one, which
  // cannot know.
  Result<std::vector<PortReading>> read();

 private:
  SocketReader() = default;
  Result<void> clear();

  std::vector<WatchedPort> ports_;
  lf_agent_sockets_bpf* skeleton_ = nullptr;
  bpf_link* udp_ = nullptr;
  bpf_link* tcp_ = nullptr;
  bool first_ = true;
};

}  // namespace lf::agent
