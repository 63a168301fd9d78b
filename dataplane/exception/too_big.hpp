// SPDX-License-Identifier: Apache-2.0
// Path MTU discovery: a packet that does not fit becomes the ICMP "fragmentation needed" or ICMPv6
// "packet too big" to its sender, in place, at a bounded rate. Called by the pipeline on a worker
// for what the rewrite stage found too big.
#pragma once

#include "dataplane/core/burst.hpp"
#include "dataplane/core/rate_limit.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/forward/table.hpp"
#include "dataplane/net/ports.hpp"

namespace lf::too_big {

inline constexpr uint32_t kPerSecond = 1000;  // messages of one worker
inline constexpr uint32_t kBurst = 50;

struct State {
  RateLimit limit;

  explicit State(uint64_t tsc_hz) noexcept : limit(kPerSecond, kBurst, tsc_hz) {}
};

// Packets as they were received, verdict too_big. Those left in `live` are to be sent on
// meta.out_port and stay counted as too_big; the others only dropped.
void run(const forward::Table& table, const net::Ports& ports, State& state, Burst& burst,
         Selection& live, Tsc now) noexcept;

}  // namespace lf::too_big
