// SPDX-License-Identifier: Apache-2.0
#include "control/ports/eal.hpp"

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_pci.h>
#include <unistd.h>

#include <thread>

namespace lf::ports {

bool is_pci(const std::string& device) {
  rte_pci_addr address;
  return rte_pci_addr_parse(device.substr(0, device.find(',')).c_str(), &address) == 0;
}

std::vector<std::string> eal_arguments(const config::Config& config, uint32_t cpus,
                                       const std::string& file_prefix) {
  const config::Dataplane& dataplane = config.dataplane;
  // Workers take the CPUs from the last one down, so that on a small machine the control thread
  // and the kernel keep CPU 0 for as long as there are others.
  std::string lcores = fmt::format("0@{}", dataplane.main_lcore.value_or(0));
  for (uint32_t w = 0; w < dataplane.workers; ++w) {
    const uint32_t cpu = w < dataplane.lcores.size() ? dataplane.lcores[w] : cpus - 1 - (w % cpus);
    lcores += fmt::format(",{}@{}", w + 1, cpu);
  }
  std::vector<std::string> args = {"latticeforge",  "--lcores",    lcores,
                                   "--main-lcore",  "0",           "--log-level",
                                   "lib.eal:error", "--log-level", "pmd.*:warning"};
  bool pci = false;
  for (const config::Port& port : config.ports) {
    if (!is_pci(port.device)) continue;
    pci = true;
    args.insert(args.end(), {"-a", port.device});  // probe these NICs and no others
  }
  if (!pci) args.push_back("--no-pci");
  const std::string memory_mb = std::to_string(dataplane.memory_mb);
  if (dataplane.hugepages) {
    args.insert(args.end(), {"--in-memory", "--file-prefix", file_prefix, "-m", memory_mb});
  } else {
    args.insert(args.end(), {"--no-huge", "--no-shconf", "--no-telemetry", "-m", memory_mb});
  }
  args.insert(args.end(), dataplane.eal.begin(), dataplane.eal.end());
  return args;
}

Result<void> start_eal(const config::Config& config) {
  auto args = eal_arguments(config, std::max(1u, std::thread::hardware_concurrency()),
                            fmt::format("latticeforge-{}", getpid()));
  std::vector<char*> argv;
  std::string shown;
  for (auto& a : args) {
    argv.push_back(a.data());
    shown += a + " ";
  }
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) {
    return fail(ErrorCode::unavailable, "DPDK did not start ({}); arguments: {}{}",
                rte_strerror(rte_errno), shown,
                config.dataplane.hugepages
                    ? "; are hugepages reserved? (docs/bare-metal.md; or set "
                      "dataplane.hugepages: false)"
                    : "");
  }
  return {};
}

}  // namespace lf::ports
