// SPDX-License-Identifier: Apache-2.0
// What lf-agent is asked to watch, and whom it tells.
#pragma once

#include <cstdint>
#include <vector>

#include "control/base/clock.hpp"
#include "control/base/result.hpp"
#include "tools/common/key_ring.hpp"
#include "tools/common/udp.hpp"
#include "tools/lf_agent/watched_port.hpp"

namespace lf::agent {

struct Options {
  std::vector<WatchedPort> listen;
  std::vector<tools::Endpoint> to;
  uint32_t node_id = 0;
  tools::KeySpec owner;              // signs the REPORTs
  MonoNs interval_ns = 250'000'000;  // as often as the health engine takes a sample
  MonoNs run_ns = INT64_MAX;
  bool once = false;  // look, and report nothing
  bool json = false;
};

// Parses the command line. On --help or a mistake prints and returns the exit status.
tl::expected<Options, int> parse_options(int argc, char** argv);

}  // namespace lf::agent
