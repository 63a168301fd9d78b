// SPDX-License-Identifier: Apache-2.0
// How a reference node behaves, and how that changes: settings by name, a schedule of changes, and
// the model of a server with a queue. Pure: time and chance come in as arguments.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "control/base/result.hpp"
#include "dataplane/lcp/header.hpp"

namespace lf::node {

struct Behaviour {
  double capacity = 0;     // commands a second; 0: no limit
  double queue = 1000;     // commands that may wait for capacity
  double service_ms = 0;   // time that a command takes besides waiting
  double jitter = 0;       // percent of service_ms, either way
  double fail = 0;         // percent answered "failed"
  double busy = 0;         // percent answered "busy"
  double silent = 0;       // percent of commands and probes not answered at all
  double saturation = -1;  // reported, 0..1; negative: as measured
  double degraded = 0;     // 1: reports say so
  double draining = 0;     // 1: reports say so
  double report = 1;       // 0: no reports
  double probes = 1;       // 0: probes are not answered
  double tag_replies = 1;  // 0: answers to tagged commands are not tagged

  // "capacity", "300"
  Result<void> set(std::string_view name, std::string_view value);
  // "capacity=300 silent=10", or "capacity 300"; nothing changes when one is wrong.
  Result<void> set_all(std::string_view text);
};

struct Change {
  int64_t at_ns = 0;  // from the start
  std::string settings;
};

// "10s capacity=300; 20s silent=100": in order of time.
Result<std::vector<Change>> parse_script(std::string_view text);

// Four numbers in [0, 1), drawn for each command.
struct Chance {
  double silent = 0, busy = 0, fail = 0, jitter = 0;
};

struct Decision {
  bool silent = false;
  lcp::Status status = lcp::Status::ok;
  int64_t at_ns = 0;  // when the answer leaves
};

// One server: works off its queue at `capacity`, and says "busy" when the queue is full.
class Server {
 public:
  Decision decide(const Behaviour& behaviour, const Chance& chance, int64_t now);

 private:
  int64_t free_ns_ = 0;  // when all that was taken so far is worked off
};

}  // namespace lf::node
