// SPDX-License-Identifier: Apache-2.0
// What a node counted.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tools/common/histogram.hpp"
#include "tools/lf_node/seen_commands.hpp"

namespace lf::node {

struct Summary {
  uint64_t received = 0;      // commands, right or untagged
  uint64_t answered = 0;      // commands
  uint64_t silent = 0;        // commands not answered on purpose
  uint64_t waiting = 0;       // commands taken whose answer is not due yet
  uint64_t probes = 0;        // answered
  uint64_t reports = 0;       // sent
  uint64_t tags_bad = 0;      // ignored
  uint64_t tags_unknown = 0;  // tagged with a key that is not here: ignored
  uint64_t untagged = 0;
  uint64_t malformed = 0;
  uint64_t other = 0;  // LCP of types that no node expects
  uint64_t refused_sends = 0;
  std::array<uint64_t, 256> by_intent{}, by_status{};
  tools::Histogram latency;  // from arrival to answer
  double seconds = 0;
};

std::string to_json(const Summary& summary, const SeenCommands& seen, int indent);

}  // namespace lf::node
