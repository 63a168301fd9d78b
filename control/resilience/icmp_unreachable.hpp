// SPDX-License-Identifier: Apache-2.0
// What an ICMP or ICMPv6 "destination unreachable" says about a node: the error quotes the command
// that could not be delivered. Pure functions on bytes that anybody may have sent; the control
// thread calls them for what the exception path hands it, and counts a failure of the node only
// when the quoted command is in flight to it, and once for each transmission. So only who sees our
// commands can blame a node.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/core/burst.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/forward/table.hpp"
#include "dataplane/ledger/ledger.hpp"

namespace lf::resilience {

struct Unreachable {
  IpAddress node;                           // where the quoted command was sent
  IpAddress source;                         // where from, an own address if it is true
  uint16_t node_port = 0, source_port = 0;  // wire order
  uint32_t org_id = 0;                      // host order
  std::array<uint8_t, 16> command_id{};
};

// `icmp`: the message from its type on, as long as the IP header says, its checksum checked. None
// for other types, for "fragmentation needed" (the node is well, the packet was too big), and for
// quotes that are cut before the command's id or are no LCP command over UDP.
std::optional<Unreachable> parse_unreachable(uint8_t ip_version, std::span<const uint8_t> icmp);

// The transmission that an error is about.
struct Blamed {
  ledger::Ref ref = 0;
  uint32_t stamp = 0;
  NodeSlot node = kNoNode;
  uint16_t breaker_epoch = 0;  // of the node, when the command was sent
};

// The quoted command's transmission, if it is in flight to the node and from the address that the
// quote names. Changes nothing; the caller counts each transmission once.
std::optional<Blamed> blame_node(const forward::Table& table, const ledger::Ledger& ledger,
                                 const Unreachable& u, Tsc now);

}  // namespace lf::resilience
