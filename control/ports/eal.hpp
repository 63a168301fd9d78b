// SPDX-License-Identifier: Apache-2.0
// Starts DPDK's environment layer from the configuration. Called once, by the daemon's main, before
// anything that needs memory, rings or ports. Thread: main.
#pragma once

#include <string>
#include <vector>

#include "control/base/result.hpp"
#include "control/config/config.hpp"

namespace lf::ports {

// The EAL arguments for a configuration: pure, so that tests and --check can show them.
// Lcore 0 is the control thread, lcores 1..workers are the workers.
std::vector<std::string> eal_arguments(const config::Config& config, uint32_t cpus,
                                       const std::string& file_prefix);

// True for a PCI address with or without device arguments ("0000:03:00.0,…", "03:00.1").
bool is_pci(const std::string& device);

Result<void> start_eal(const config::Config& config);

}  // namespace lf::ports
