// SPDX-License-Identifier: Apache-2.0
// The only place that configures DPDK ports: probes them from the configuration, sets up queues and
// offloads, shares the queues out to the workers, and releases them at the end. Thread: main.
#pragma once

#include <rte_ether.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "control/xdp/seats.hpp"
#include "dataplane/worker/port_queues.hpp"

namespace lf::ports {

struct PortInfo {
  std::string name;
  uint16_t id = kNoPort;
  uint16_t exception_id = kNoPort;  // its port to the kernel
  rte_ether_addr mac{};
  uint16_t rx_queues = 0, tx_queues = 0;
  int socket = 0;            // NUMA node
  bool rx_checksum = false;  // the port verifies IPv4 and UDP checksums
  bool tx_checksum = false;  // the port fills them in
  bool symmetric_rss = false;
  bool interrupts = false;  // receive interrupts are armed
  std::string xdp_interface;  // of the kernel, where our XDP program is to steer; else empty
  std::string driver;
  std::string rx_function;  // burst function that the driver chose
};

struct PortCounters {
  uint64_t rx_packets = 0, tx_packets = 0, rx_missed = 0, rx_errors = 0, rx_no_mbuf = 0,
           tx_errors = 0;
  bool link_up = false;
};

class PortSet {
 public:
  // Probes and starts all ports. On an error nothing stays behind.
  static Result<std::unique_ptr<PortSet>> open(const config::Config& config);
  ~PortSet();
  PortSet(const PortSet&) = delete;
  PortSet& operator=(const PortSet&) = delete;

  const std::vector<PortInfo>& ports() const { return ports_; }  // in configuration order
  const PortQueues& queues(uint32_t worker) const { return queues_[worker]; }
  // Pool for frames that control makes.
  rte_mempool* pool() const { return pools_.front().pool; }
  PortCounters counters(const PortInfo& port) const;
  uint32_t mbufs_available() const;

 private:
  struct Pool {
    int socket;
    rte_mempool* pool;
  };

  PortSet() = default;
  Result<void> open_all(const config::Config& config);
  Result<uint16_t> probe(const std::string& name, const std::string& device);
  Result<void> start(const config::Port& port, const config::Dataplane& dataplane, PortInfo& info);
  Result<rte_mempool*> pool_on(int socket, const config::Dataplane& dataplane);
  Result<void> share_queues(const PortInfo& info, uint32_t workers);

  std::optional<xdp::Seats> seats_;  // while ports start
  std::vector<PortInfo> ports_;
  std::vector<uint16_t> opened_;  // every DPDK port, exception ports too
  std::vector<Pool> pools_;
  std::vector<rte_ring*> rings_;
  std::vector<PortQueues> queues_;
};

}  // namespace lf::ports
