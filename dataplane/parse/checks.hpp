// SPDX-License-Identifier: Apache-2.0
// What both ways through the parse stage share: parse.cpp's general one and the short one of
// usual.hpp. Of no use elsewhere.
#pragma once

#include <rte_ip.h>
#include <rte_mbuf.h>

#include <cstddef>
#include <cstring>

#include "dataplane/core/burst.hpp"
#include "dataplane/lcp/header.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/net/checksum.hpp"
#include "dataplane/parse/table.hpp"

// The way of a datagram for us is one function, so that what it knows stays in registers.
#define LF_INLINE [[gnu::always_inline]] inline

namespace lf::parse {

// Whether the port's word on a checksum counts, and if so, what it is. NONE: the sender of a
// virtual port left the sum to its NIC, the data itself is intact.
template <uint64_t kMask, uint64_t kUnknown, uint64_t kBad>
bool port_knows(bool trusted, uint64_t ol_flags, bool& bad) noexcept {
  const uint64_t seen = ol_flags & kMask;
  bad = seen == kBad;
  return trusted && seen != kUnknown;
}

LF_INLINE bool bad_ipv4_checksum(const net::Port& port, const rte_mbuf* m,
                                 const rte_ipv4_hdr& ip) noexcept {
  bool bad;
  if (port_knows<RTE_MBUF_F_RX_IP_CKSUM_MASK, RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN,
                 RTE_MBUF_F_RX_IP_CKSUM_BAD>(port.rx_ip_checksum, m->ol_flags, bad))
    return bad;
  return !net::is_right(net::ipv4_header_sum(&ip));
}

// Of a datagram with a checksum. `sum`: () -> its sum, pseudo-header included.
template <typename Sum>
LF_INLINE bool bad_udp_sum(const net::Port& port, const rte_mbuf* m, Sum&& sum) noexcept {
  bool bad;
  if (port_knows<RTE_MBUF_F_RX_L4_CKSUM_MASK, RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN,
                 RTE_MBUF_F_RX_L4_CKSUM_BAD>(port.rx_udp_checksum, m->ol_flags, bad))
    return bad;
  return !net::is_right(sum());
}

LF_INLINE bool bad_ipv4_source(const Table& t, uint32_t source) noexcept {
  return !net::is_ipv4_source(source) || find_own(t, net::from_ipv4(source)) != nullptr;
}

// flags, intent, severity and attempt lie together in both.
static_assert(offsetof(Meta, attempt) == offsetof(Meta, flags) + 3 &&
              offsetof(lcp::Header, attempt) == offsetof(lcp::Header, flags) + 3);

// What the stages read of an LCP header that has been checked.
LF_INLINE void take_lcp(const Table& t, const Endpoint& endpoint, const lcp::Header& h,
                        uint16_t payload_length, Kind kind, Meta& meta) noexcept {
  const IntentIndex intent = t.intent_index[h.intent];
  const uint32_t replayable = t.replayable;
  meta.lcp = const_cast<lcp::Header*>(&h);
  meta.deadline_us = lcp::be64(h.deadline_us);
  meta.org_id = lcp::be32(h.org_id);
  meta.operator_id = lcp::be32(h.operator_id);
  meta.target_id = lcp::be32(h.target_id);
  meta.payload_length = payload_length;
  meta.key_id = lcp::be16(h.key_id);
  meta.service = endpoint.service[intent];
  std::memcpy(reinterpret_cast<uint8_t*>(&meta) + offsetof(Meta, flags),
              reinterpret_cast<const uint8_t*>(&h) + offsetof(lcp::Header, flags), 4);
  meta.kind = kind;
  meta.intent_index = intent;
  meta.replayable = replayable >> intent & 1;
}

}  // namespace lf::parse
