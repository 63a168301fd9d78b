// SPDX-License-Identifier: Apache-2.0
// What the pipeline wants done with packets, for the worker to do: stages and pipeline never send,
// free or enqueue themselves, so tests can run them and look into the outbox instead.
#pragma once

#include <rte_mbuf.h>

#include <algorithm>
#include <cstdint>

#include "dataplane/core/types.hpp"

namespace lf::pipeline {

inline constexpr uint8_t kNoPosition = 0xff;  // the frame is not one of the burst's packets
// A burst can make at most one frame more per packet: the notice that a command is delayed, or the
// copy of a neighbour message for the kernel.
inline constexpr uint32_t kOutMax = 2 * kBurstMax;

struct PortOut {
  uint16_t count = 0;
  uint8_t position[kOutMax];  // in the burst, or kNoPosition
  rte_mbuf* frame[kOutMax];

  void add(rte_mbuf* m, uint8_t at) noexcept {
    position[count] = at;
    frame[count++] = m;
  }
  void add_all(rte_mbuf* const* all, const uint8_t* at, uint16_t how_many) noexcept {
    std::copy_n(at, how_many, position + count);
    std::copy_n(all, how_many, frame + count);
    count = static_cast<uint16_t>(count + how_many);
  }
};

struct Outbox {
  uint32_t ports_used = 0;  // bit per port with frames
  uint16_t control_count = 0;
  uint16_t free_count = 0;
  PortOut port[kPortsMax];
  uint8_t control_position[kBurstMax];
  rte_mbuf* control[kBurstMax];  // each with its Note filled in
  rte_mbuf* free[kOutMax];

  // A port that gets frames; what it returns holds until clear().
  PortOut& open(uint16_t to) noexcept {
    ports_used |= 1u << to;
    return port[to];
  }
  void send(uint16_t to, rte_mbuf* m, uint8_t at) noexcept { open(to).add(m, at); }
  void to_control(rte_mbuf* m, uint8_t at) noexcept {
    control_position[control_count] = at;
    control[control_count++] = m;
  }
  void drop(rte_mbuf* m) noexcept { free[free_count++] = m; }

  void clear() noexcept {
    for (uint32_t used = ports_used; used != 0; used &= used - 1) {
      port[__builtin_ctz(used)].count = 0;
    }
    ports_used = 0;
    control_count = free_count = 0;
  }
};

}  // namespace lf::pipeline
