// SPDX-License-Identifier: Apache-2.0
// First stage: makes metadata of frames. Ethernet with at most one VLAN tag, IPv4 without options
// or IPv6 without extension headers, UDP to one of our endpoints, LCP. Validates every length
// once; later stages never read a length from the wire again. What is neither LCP nor a flow's
// (flow/classify.hpp) goes to the exception stage, as it is. On a worker, first for every burst.
#pragma once

#include <immintrin.h>

#include "dataplane/core/burst.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/parse/place.hpp"
#include "dataplane/parse/table.hpp"

namespace lf::parse {

struct State {
  Places places;
  // Parts until one is parsed together again (together.hpp), and how many they were at the last
  // failure.
  uint32_t wait = 0, pause = 0;
  uintptr_t data_from_mbuf = 0;  // of the packets before, in bytes
  __m256i sums[kBurstMax + 3];   // scratch (parse/sums.hpp)
};

// The packets of a burst by what they are, refused ones left out.
struct Sorted {
  Selection commands, replies, approvals, reports, probes, probe_replies, flows, exceptions;
};

// Parses all packets of the burst; their metadata is set anew. Each is taken to be from the wire: a
// caller who knows better sets `origin` afterwards.
void run(const Table& table, State& state, Burst& burst, Sorted& out, Tsc now) noexcept;

// The same a part at a time, for a caller who has work for the time between two parts: begin(),
// then part() for all positions in ascending order, kPartMax at a time and the last ones.
inline constexpr uint32_t kPartMax = 8;
void begin(const Table& table, State& state, Burst& burst, Sorted& out) noexcept;
void part(const Table& table, State& state, Burst& burst, uint32_t first, uint32_t end,
          Sorted& out) noexcept;

}  // namespace lf::parse
