// SPDX-License-Identifier: Apache-2.0
#include "dataplane/answer/answer.hpp"

#include <rte_mbuf.h>
#include <rte_udp.h>

#include <cstring>

#include "dataplane/net/checksum.hpp"
#include "dataplane/net/turn.hpp"

namespace lf::answer {
namespace {

using lcp::be16;
using lcp::be32;

constexpr uint32_t kLcpSize = sizeof(lcp::Header) + sizeof(lcp::ReplyBody);
constexpr uint16_t kUdpSize = sizeof(rte_udp_hdr) + kLcpSize;

// Makes the frame end after a REPLY's body; false when the buffer has no room for one.
bool fit(rte_mbuf* m, const Meta& meta) noexcept {
  const uint32_t length = meta.lcp_offset + kLcpSize;
  if (m->data_len >= length)
    return rte_pktmbuf_trim(m, static_cast<uint16_t>(m->data_len - length)) == 0;
  return rte_pktmbuf_append(m, static_cast<uint16_t>(length - m->data_len)) != nullptr;
}

lcp::Status reply_status(const Meta& meta) noexcept {
  // The recorded status of a command that was answered may be `ok`.
  if (meta.verdict == Verdict::duplicate_answered) return meta.reply_status;
  return meta.reply_status != lcp::Status::ok ? meta.reply_status : status_of(meta.verdict);
}

void turn_lcp(lcp::Header& h, Meta& meta) noexcept {
  h.type = static_cast<uint8_t>(lcp::Type::reply);
  h.flags = 0;
  h.payload_length = be16(sizeof(lcp::ReplyBody));
  std::memset(h.tag, 0, sizeof(h.tag));
  const lcp::ReplyBody body{
      .status = static_cast<uint8_t>(reply_status(meta)),
      .reason = static_cast<uint8_t>(meta.verdict),
      .flags = be16(lcp::kReplyFromDataPlane),
      .quota_remaining = be32(meta.quota_remaining),
      .reset_seconds = be32(meta.reset_seconds),
      .throttle_ms = be32(meta.throttle_ms),
  };
  std::memcpy(reinterpret_cast<uint8_t*>(&h) + sizeof(h), &body, sizeof(body));
  meta.payload_length = sizeof(body);
}

}  // namespace

void build(Burst& burst, Selection& live) noexcept {
  uint16_t kept = 0;
  for (const uint8_t i : live) {
    Meta& meta = burst.meta[i];
    rte_mbuf* m = burst.packets[i];
    if (!wanted(meta) || !fit(m, meta)) continue;
    auto* frame = rte_pktmbuf_mtod(m, uint8_t*);
    net::turn_datagram(frame, meta, kUdpSize);
    turn_lcp(*meta.lcp, meta);
    m->ol_flags &= ~RTE_MBUF_F_RX_L4_CKSUM_MASK;
    meta.out_port = meta.in_port;
    live.index[kept++] = i;
  }
  live.count = kept;
}

void finish(Burst& burst, const Selection& live) noexcept {
  for (const uint8_t i : live) {
    const Meta& meta = burst.meta[i];
    auto* frame = rte_pktmbuf_mtod(burst.packets[i], uint8_t*);
    net::set_udp_checksum(frame + meta.l3_offset, meta.ip_version,
                          *reinterpret_cast<rte_udp_hdr*>(frame + meta.l4_offset));
  }
}

bool copy(const Burst& from, uint32_t i, Burst& to, rte_mbuf* fresh) noexcept {
  const Meta& meta = from.meta[i];
  const uint16_t length = static_cast<uint16_t>(meta.lcp_offset + sizeof(lcp::Header));
  if (to.count == kBurstMax) return false;
  char* frame = rte_pktmbuf_append(fresh, length);
  if (!frame) return false;
  std::memcpy(frame, rte_pktmbuf_mtod(from.packets[i], const char*), length);
  fresh->port = from.packets[i]->port;
  Meta& copied = to.meta[to.count];
  copied = meta;
  copied.lcp = reinterpret_cast<lcp::Header*>(frame + meta.lcp_offset);
  to.packets[to.count++] = fresh;
  return true;
}

}  // namespace lf::answer
