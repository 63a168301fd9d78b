// SPDX-License-Identifier: Apache-2.0
// Which queues of which ports a worker serves, and what it must know of a port to send on it.
// Filled by control/ports before the workers start; constant afterwards.
#pragma once

#include <rte_ether.h>
#include <rte_ring.h>

#include <cstdint>

#include "dataplane/core/types.hpp"

namespace lf {

inline constexpr uint16_t kNoPort = 0xffff;

struct RxQueue {
  uint16_t port = 0;
  uint16_t queue = 0;
  bool to_kernel = false;   // the port is an exception port: packets come from the kernel
  uint16_t pair = kNoPort;  // to_kernel: the NIC port that its packets go out of
  bool interrupts = false;  // receive interrupts are armed for this queue
  bool counts = false;      // the driver can say how many packets wait in it
};

struct TxPort {
  bool present = false;
  uint16_t queue = 0;            // the worker's own transmit queue
  rte_ring* handoff = nullptr;   // set when the port has fewer transmit queues than workers and
                                 // another worker owns the queue: frames go through this ring
  uint16_t exception = kNoPort;  // port to the kernel, for packets of this port that are not ours
};

struct PortQueues {
  uint32_t rx_count = 0;
  RxQueue rx[2 * kPortsMax];
  TxPort tx[kPortsMax];
  uint32_t handoff_count = 0;  // rings of other workers' frames that this worker sends
  rte_ring* handoff_in[kPortsMax];
  uint16_t handoff_port[kPortsMax];
};

}  // namespace lf
