// SPDX-License-Identifier: Apache-2.0
// Answers for own addresses, one packet at a time; parts of the exception stage. Each returns the
// verdict, having changed the frame into the answer where that is answered_*. `none`: the packet
// concerns an address that is not ours on this port.
#pragma once

#include <rte_mbuf.h>

#include "dataplane/core/burst.hpp"
#include "dataplane/parse/table.hpp"

namespace lf::exception {

// ARP: answered_arp, to_control, arp_malformed, none.
Verdict take_arp(const parse::Table& table, rte_mbuf* m, const Meta& meta) noexcept;

// Neighbour solicitation and advertisement, `length` bytes of ICMPv6 with a right checksum:
// answered_nd, to_control, arp_malformed, ip_source, none.
Verdict take_solicitation(const parse::Table& table, rte_mbuf* m, const Meta& meta,
                          uint32_t length) noexcept;
Verdict take_advertisement(const rte_mbuf* m, const Meta& meta, uint32_t length) noexcept;

// Echo request to an own address, `length` bytes of ICMP or ICMPv6 with a right checksum.
Verdict answer_echo(rte_mbuf* m, const Meta& meta, uint32_t length) noexcept;

}  // namespace lf::exception
