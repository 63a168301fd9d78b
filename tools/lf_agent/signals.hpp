// SPDX-License-Identifier: Apache-2.0
// What the kernel says about a node's sockets and CPUs, as the fields of a REPORT. Pure.
//
//   receive = bytes in receive queues / what fits (sk_rmem_alloc / sk_rcvbuf)
//   accept  = connections not accepted / what listen() allows (sk_ack_backlog / sk_max_ack_backlog)
//   resent  = TCP segments sent again / segments sent      cpu = share of the time (CpuPressure)
//   lost    = UDP datagrams dropped (sk_drops), ports with a full accept queue or with no listener
//   waiting = datagrams, connections not accepted, connections with unread bytes
//
// Shares are those of the worst port, each added up over its sockets. A signal counts as far as
// two successive readings have it: what stands is a queue, what is gone at once was a burst.
//
//   saturation  = max(receive, accept, above(resent, 2 %, 20 %), above(cpu, 25 %, 100 %))
//   queue_depth = waiting                     above(x, a, b) = 0 up to a, 1 from b, linear between
//   degraded    = lost > 0
//   latency, successes, failures = 0: the kernel does not know which bytes are an answer
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/lcp/codec.hpp"
#include "tools/lf_agent/socket_reader.hpp"

namespace lf::agent {

inline constexpr double kResentFree = 0.02, kResentFull = 0.20;  // paths lose some by themselves
inline constexpr double kCpuFree = 0.25, kCpuFull = 1.0;  // a machine that is well used has as much
inline constexpr uint64_t kSegmentsMin = 100;  // of fewer, one sent again would be a large share

struct Signals {
  double receive = 0, accept = 0, resent = 0, cpu = 0;  // 0..1
  uint64_t waiting = 0;
  uint64_t lost = 0;
  bool operator==(const Signals&) const = default;
};

Signals signals_of(std::span<const PortReading> ports, double cpu);
Signals standing(const Signals& before, const Signals& now);
lcp::Report report_of(uint32_t node_id, const Signals& standing);

}  // namespace lf::agent
