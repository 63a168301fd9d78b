// SPDX-License-Identifier: Apache-2.0
// The books of one trial. Every frame that was due was sent or refused; every frame that was sent
// was seen, or is lost.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "dataplane/lcp/header.hpp"
#include "tools/common/histogram.hpp"
#include "tools/lf_gen/options.hpp"

namespace lf::gen {

// What came to one end: commands to the nodes, or answers to the client.
struct Arrivals {
  uint64_t received = 0;    // different ones
  uint64_t duplicated = 0;  // further copies
  tools::Histogram latency_ns;
};

inline constexpr size_t kStatuses = static_cast<size_t>(lcp::Status::delayed) + 1;

struct Results {
  uint64_t due = 0;  // sent or refused
  uint64_t sent = 0;
  uint64_t refused = 0;  // the port took no more: its queue was full
  uint64_t slipped = 0;  // the generator itself was too late
  uint64_t no_buffer = 0;
  Arrivals nodes, answers;
  std::array<uint64_t, kStatuses> from_data_plane{};  // replies of its own, by status
  uint64_t unanswered = 0;                            // a node had no buffer or no room to answer
  uint64_t strays = 0;                                // of an earlier trial, or of nobody
  double seconds = 0;                                 // of sending
  double gap_us_max = 0;  // longest time between two turns of the loop: who else ran?
};

std::string to_json(const Results& results, const Trial& trial, bool answered);

}  // namespace lf::gen
