// SPDX-License-Identifier: Apache-2.0
// Rewrite stage: gives a command its node's addresses, or a reply its client's. Proxy mode changes
// both ends of IP and UDP and counts the TTL down; dsr-l2 changes MAC addresses alone. Checksums
// are updated for what changed and never made anew (RFC 1624), so damage done inside this machine
// still shows at the receiver. The LCP bytes stay as they are. Called by the pipeline on a worker.
#pragma once

#include "dataplane/choose/choose.hpp"
#include "dataplane/core/burst.hpp"
#include "dataplane/forward/table.hpp"
#include "dataplane/net/ports.hpp"
#include "dataplane/rewrite/client.hpp"

namespace lf::rewrite {

// What does not fit the MTU of meta.node is decided too_big and moved to `too_big`. No node's MTU
// is smaller than `least_mtu`: mostly nobody's need be asked.
void fit(const forward::Table& table, Burst& burst, uint16_t least_mtu, Selection& live,
         Selection& too_big) noexcept;

// Commands that fit, to meta.node; decides forwarded. `some`: of all that choose had.
void to_nodes(const forward::Table& table, const net::Ports& ports, Burst& burst,
              const Selection& live, const choose::Some& some) noexcept;

// Takes to_nodes() back for a command in proxy mode that was kept: the packet is as it came from
// `client`, so it can be sent to another node or answered.
void to_received(const net::Ports& ports, const Client& client, rte_mbuf* m, Meta& meta) noexcept;

// Replies to clients[position in the burst], each with ip_version != 0; sets out_port.
void to_clients(const net::Ports& ports, const Client* clients, Burst& burst, Selection& live,
                Selection& too_big) noexcept;

}  // namespace lf::rewrite
