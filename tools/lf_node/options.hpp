// SPDX-License-Identifier: Apache-2.0
// What lf-node is asked to be.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/base/result.hpp"
#include "tools/common/key_ring.hpp"
#include "tools/common/udp.hpp"
#include "tools/lf_node/behaviour.hpp"

namespace lf::node {

struct Options {
  std::vector<tools::Endpoint> listen;
  std::optional<tools::Endpoint> reply_from;  // answers leave from here (direct return)
  std::vector<tools::Endpoint> report_to;
  uint32_t report_ms = 1000;
  uint32_t node_id = 0;
  std::vector<tools::KeySpec> keys;  // the first one's organisation owns the node
  bool require_tag = false;
  uint32_t reply_bytes = 0;  // own bytes after a REPLY's body
  Behaviour behaviour;
  std::vector<Change> script;
  double seconds = 0;   // 0: until a signal
  uint64_t seed = 0;    // 0: drawn
  std::string control;  // Unix socket
  bool read_stdin = false;
  std::string json, ids;
};

// Parses the command line. On --help or a mistake prints and returns the exit status.
tl::expected<Options, int> parse_options(int argc, char** argv);

}  // namespace lf::node
