// SPDX-License-Identifier: Apache-2.0
// Part of parse: whether a packet to an own address is a flow's. Not for LCP, which parse has told
// apart before. Checks the lengths that the flow stage relies on. Called on workers.
#pragma once

#include <cstdint>

#include "dataplane/core/burst.hpp"
#include "dataplane/parse/table.hpp"

namespace lf::flow {

// What IP says of a packet to an own address: a right header and a plausible source.
struct Transport {
  const uint8_t* l4;  // behind the IP header (IPv6: the fixed one)
  uint32_t size;      // of what follows the IP header
  IpAddress destination;
  uint8_t protocol;  // IPv6: the next header of the fragment header for a fragment
  bool fragment = false;
};

// Sets meta.kind (flow, flow_return), service and flow_* where the packet is a flow's, and leaves
// kind undecided where it is not. Other results are drop reasons. meta.ip_version is set.
Verdict classify(const parse::Table& table, const Transport& packet, Meta& meta) noexcept;

}  // namespace lf::flow
