// SPDX-License-Identifier: Apache-2.0
// Exception stage: everything that is not LCP for us. Answers ARP requests, neighbour
// solicitations and echo requests for own addresses, and PROBEs, in place; hands neighbours'
// answers and ICMP errors to control; gives the rest to the kernel's port where there is one.
// Learns nothing itself. Called by the pipeline on a worker, after parse.
#pragma once

#include "dataplane/core/burst.hpp"
#include "dataplane/parse/table.hpp"

namespace lf::exception {

struct Out {
  // To be sent on meta.out_port, with the verdict that holds if they are: answered_*,
  // probe_answered, to_kernel, from_kernel.
  Selection transmit;
  // To be put into the ring to control, with the verdict to_control if they are.
  Selection neighbours;   // ARP replies, gratuitous ARP, neighbour advertisements
  Selection icmp_errors;  // checked as far as the start of the packet that they quote
};

// Decides every packet of both selections.
void run(const parse::Table& table, Burst& burst, const Selection& exceptions,
         const Selection& probes, Out& out) noexcept;

}  // namespace lf::exception
