// SPDX-License-Identifier: Apache-2.0
// EAL, ports and buffers of lf-gen: any DPDK device, one receive and one transmit queue each.
#pragma once

#include <rte_ether.h>
#include <rte_mempool.h>

#include <string>
#include <vector>

#include "control/base/result.hpp"
#include "tools/lf_gen/options.hpp"

namespace lf::gen {

struct Port {
  std::string device;
  uint16_t id = 0;
  rte_ether_addr mac{};
};

struct Ports {
  std::vector<Port> ports;
  rte_mempool* receive = nullptr;  // and answers
  rte_mempool* send = nullptr;     // every buffer holds the payload already
};

Result<void> start_eal(const Options& options);
Result<Ports> open_ports(const Options& options);
// Waits until every link is up.
Result<void> wait_for_links(const Ports& ports, uint32_t seconds);
void close_ports(const Ports& ports);

}  // namespace lf::gen
