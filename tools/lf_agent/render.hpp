// SPDX-License-Identifier: Apache-2.0
// A reading for people and for programs.
#pragma once

#include <string>

#include "tools/lf_agent/cpu_pressure.hpp"
#include "tools/lf_agent/signals.hpp"

namespace lf::agent {

struct Reading {
  std::vector<PortReading> ports;
  double cpu = 0;
};

// One line. `report` is what follows from this reading and the one before.
std::string to_json(const Reading& reading, CpuSource source, const lcp::Report& report);
std::string to_text(const Reading& reading, CpuSource source, const lcp::Report& report);

}  // namespace lf::agent
