// SPDX-License-Identifier: Apache-2.0
// The receiving half of frames.hpp: what came in, and what a node says to it.
#include <rte_arp.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "tools/lf_gen/frames.hpp"

namespace lf::gen {
namespace {

constexpr uint32_t kArpSize = sizeof(rte_ether_hdr) + sizeof(rte_arp_hdr);

uint16_t ether_type_of(const uint8_t* frame) {
  return reinterpret_cast<const rte_ether_hdr*>(frame)->ether_type;
}

// Ethernet, IPv4 and UDP headers turned round, for `content` bytes after them; no UDP checksum yet.
void turn_round(const uint8_t* frame, uint8_t* out, uint32_t content) {
  std::memcpy(out, frame, kContentAt);
  auto* eth = reinterpret_cast<rte_ether_hdr*>(out);
  auto* ip = reinterpret_cast<rte_ipv4_hdr*>(eth + 1);
  auto* udp = reinterpret_cast<rte_udp_hdr*>(ip + 1);
  std::swap(eth->dst_addr, eth->src_addr);
  const uint32_t client = ip->src_addr;  // packed: std::swap cannot take them
  ip->src_addr = ip->dst_addr;
  ip->dst_addr = client;
  const uint16_t port = udp->src_port;
  udp->src_port = udp->dst_port;
  udp->dst_port = port;
  ip->time_to_live = 64;
  ip->total_length = rte_cpu_to_be_16(static_cast<uint16_t>(sizeof(*ip) + sizeof(*udp) + content));
  ip->hdr_checksum = 0;
  ip->hdr_checksum = rte_ipv4_cksum(ip);
  udp->dgram_len = rte_cpu_to_be_16(static_cast<uint16_t>(sizeof(*udp) + content));
  udp->dgram_cksum = 0;
}

void finish(uint8_t* out) {
  auto* ip = reinterpret_cast<rte_ipv4_hdr*>(out + sizeof(rte_ether_hdr));
  auto* udp = reinterpret_cast<rte_udp_hdr*>(ip + 1);
  udp->dgram_cksum = rte_ipv4_udptcp_cksum(ip, udp);
}

Recognised recognise_command(const uint8_t* content, uint32_t length, uint64_t run) {
  const auto* h = reinterpret_cast<const lcp::Header*>(content);
  uint64_t id[2];
  std::memcpy(id, h->command_id, sizeof(id));
  Recognised r;
  r.ours = lcp::be64(id[0]) == run;
  r.number = lcp::be64(id[1]);
  switch (static_cast<lcp::Type>(h->type)) {
    case lcp::Type::command:
      r.kind = Kind::command;
      break;
    case lcp::Type::probe:
      r.kind = Kind::probe;
      break;
    case lcp::Type::reply: {
      if (length < sizeof(lcp::Header) + sizeof(lcp::ReplyBody)) break;
      const auto* body = reinterpret_cast<const lcp::ReplyBody*>(h + 1);
      r.kind = Kind::reply;
      r.status = static_cast<lcp::Status>(body->status);
      r.from_data_plane = (lcp::be16(body->flags) & lcp::kReplyFromDataPlane) != 0;
      break;
    }
    default:
      break;
  }
  return r;
}

}  // namespace

Recognised recognise(std::span<const uint8_t> frame, uint64_t run) {
  if (frame.size() >= kArpSize && ether_type_of(frame.data()) == RTE_BE16(RTE_ETHER_TYPE_ARP)) {
    const auto* arp = reinterpret_cast<const rte_arp_hdr*>(frame.data() + sizeof(rte_ether_hdr));
    return {.kind =
                arp->arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST) ? Kind::arp_request : Kind::other};
  }
  const auto* ip = reinterpret_cast<const rte_ipv4_hdr*>(frame.data() + sizeof(rte_ether_hdr));
  if (frame.size() < kContentAt + sizeof(Marker) ||
      ether_type_of(frame.data()) != RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
      ip->version_ihl != RTE_IPV4_VHL_DEF || ip->next_proto_id != IPPROTO_UDP)
    return {};
  const uint8_t* content = frame.data() + kContentAt;
  const auto length = static_cast<uint32_t>(frame.size()) - kContentAt;
  Marker marker;
  std::memcpy(&marker, content, sizeof(marker));
  if (lcp::be64(marker.run) == run) {
    const uint64_t number = lcp::be64(marker.number);
    return {.kind = (number & kAnswerBit) != 0 ? Kind::plain_answer : Kind::plain,
            .ours = true,
            .number = number & ~kAnswerBit};
  }
  uint16_t magic;
  std::memcpy(&magic, content, sizeof(magic));
  if (magic != lcp::be16(lcp::kMagic) || length < sizeof(lcp::Header)) return {};
  return recognise_command(content, length, run);
}

uint32_t write_answer(std::span<const uint8_t> frame, Kind kind, uint8_t* out) {
  if (kind == Kind::plain) {
    const auto size = static_cast<uint32_t>(std::min<size_t>(frame.size(), kAnswerMax));
    turn_round(frame.data(), out, size - kContentAt);
    std::memcpy(out + kContentAt, frame.data() + kContentAt, size - kContentAt);
    auto* marker = reinterpret_cast<Marker*>(out + kContentAt);
    marker->number |= lcp::be64(kAnswerBit);
    finish(out);
    return size;
  }
  const uint32_t body = kind == Kind::command ? sizeof(lcp::ReplyBody) : 0;
  const auto content = static_cast<uint32_t>(sizeof(lcp::Header)) + body;
  turn_round(frame.data(), out, content);
  auto* h = reinterpret_cast<lcp::Header*>(out + kContentAt);
  std::memcpy(h, frame.data() + kContentAt, sizeof(*h));
  h->type = static_cast<uint8_t>(kind == Kind::command ? lcp::Type::reply : lcp::Type::probe_reply);
  h->flags = 0;
  h->payload_length = lcp::be16(static_cast<uint16_t>(body));
  // No tag; the body says ok, from a node.
  std::memset(out + kContentAt + lcp::kSignedHeaderSize, 0, lcp::kTagSize + body);
  finish(out);
  return kContentAt + content;
}

uint32_t write_arp_reply(std::span<const uint8_t> frame, const rte_ether_addr& mac, uint8_t* out) {
  std::memcpy(out, frame.data(), kArpSize);
  auto* eth = reinterpret_cast<rte_ether_hdr*>(out);
  auto* arp = reinterpret_cast<rte_arp_hdr*>(eth + 1);
  rte_arp_ipv4& data = arp->arp_data;
  if (data.arp_sip == data.arp_tip) return 0;
  const uint32_t wanted = data.arp_tip;
  eth->dst_addr = eth->src_addr;
  eth->src_addr = mac;
  arp->arp_opcode = RTE_BE16(RTE_ARP_OP_REPLY);
  data.arp_tha = data.arp_sha;
  data.arp_tip = data.arp_sip;
  data.arp_sha = mac;
  data.arp_sip = wanted;
  return kArpSize;
}

}  // namespace lf::gen
