// SPDX-License-Identifier: Apache-2.0
// lf-gen has every address that somebody asks for: it answers ARP requests and neighbour
// solicitations (RFC 4861), in their VLAN. Pure: bytes in, bytes out.
#pragma once

#include <rte_ether.h>

#include <cstdint>
#include <span>

namespace lf::gen {

bool asks_for_neighbour(std::span<const uint8_t> frame);

// The reply to such a frame, for any address but the sender's own (then 0: nothing to be said).
// `out` has room for kAnswerMax bytes.
uint32_t write_neighbour_reply(std::span<const uint8_t> frame, const rte_ether_addr& mac,
                               uint8_t* out);

}  // namespace lf::gen
