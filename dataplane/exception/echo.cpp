// SPDX-License-Identifier: Apache-2.0
// Echo replies (RFC 792, RFC 4443), made in place.
#include <rte_icmp.h>
#include <rte_ip.h>

#include "dataplane/exception/local.hpp"
#include "dataplane/net/checksum.hpp"
#include "dataplane/net/link.hpp"
#include "dataplane/net/turn.hpp"

namespace lf::exception {
namespace {

constexpr uint8_t kEchoReply4 = 0;
constexpr uint8_t kEchoReply6 = 129;

}  // namespace

Verdict answer_echo(rte_mbuf* m, const Meta& meta, uint32_t length) noexcept {
  rte_pktmbuf_trim(m, static_cast<uint16_t>(m->data_len - meta.l4_offset - length));
  auto* frame = rte_pktmbuf_mtod(m, uint8_t*);
  auto& icmp = *reinterpret_cast<rte_icmp_hdr*>(frame + meta.l4_offset);
  net::swap_macs(frame);
  net::turn_ip(frame + meta.l3_offset, meta.ip_version, static_cast<uint16_t>(length));
  // The type is the first byte of its word; the swapped addresses add up to what they did.
  const uint8_t before = icmp.icmp_type;
  icmp.icmp_type = meta.ip_version == 4 ? kEchoReply4 : kEchoReply6;
  icmp.icmp_cksum = net::updated(icmp.icmp_cksum, before, icmp.icmp_type);
  return Verdict::answered_echo;
}

}  // namespace lf::exception
