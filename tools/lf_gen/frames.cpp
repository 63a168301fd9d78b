// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_gen/frames.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "dataplane/crypto/cmac_lanes.hpp"
#include "dataplane/net/address.hpp"
#include "dataplane/net/checksum.hpp"

namespace lf::gen {
namespace {

constexpr uint8_t kFill = 0x2e;
constexpr uint8_t kTtl = 64;
constexpr uint32_t kPortFirst = 16384, kPorts = 32768;
constexpr size_t kTemplatesMax = 65536;

// The bytes that fill_payload() wrote, as a sum of 16-bit words.
uint64_t fill_sum(uint32_t bytes) {
  return uint64_t{bytes / 2} * (kFill << 8 | kFill) + (bytes % 2 != 0 ? kFill : 0);
}

// i-th of all combinations, the first list running fastest.
uint32_t pick(const std::vector<uint32_t>& list, size_t& round) {
  const uint32_t value = list[round % list.size()];
  round /= list.size();
  return value;
}

}  // namespace

Maker::Maker(const Content& content, uint64_t run, const rte_ether_addr& source_mac)
    : content_(content), run_(run), layout_(layout_of(content)) {
  make_headers(source_mac);
  if (content_.key) key_for_all_ = crypto::expand_cmac_key(*content_.key);
  for (const tools::KeySpec& spec : content_.keys)
    keys_.try_emplace(spec.org, OwnKey{spec.id, crypto::expand_cmac_key(spec.bytes)});
  if (content_.traffic == Traffic::commands) make_templates();
}

const crypto::CmacKey* Maker::key_of(uint32_t org, uint16_t& key_id) const {
  const auto own = keys_.find(org);
  key_id = own != keys_.end() ? own->second.id : 1;
  if (own != keys_.end()) return &own->second.key;
  return key_for_all_ ? &*key_for_all_ : nullptr;
}

void Maker::make_templates() {
  size_t combinations = 1;
  for (const auto* list : {&content_.orgs, &content_.intents, &content_.severities,
                           &content_.operators, &content_.target_ids}) {
    combinations = std::min(kTemplatesMax, combinations * list->size());
  }
  templates_.resize(combinations);
  for (size_t t = 0; t < combinations; ++t) {
    size_t round = t;
    lcp::Fields f;
    f.org_id = pick(content_.orgs, round);
    f.intent = static_cast<uint8_t>(pick(content_.intents, round));
    f.severity = static_cast<uint8_t>(pick(content_.severities, round));
    f.operator_id = pick(content_.operators, round);
    f.target_id = pick(content_.target_ids, round);
    const uint64_t run = lcp::be64(run_);
    std::memcpy(f.command_id.data(), &run, sizeof(run));
    std::memcpy(f.trace_id.data(), &run, sizeof(run));
    templates_[t].key = key_of(f.org_id, f.key_id);
    if (templates_[t].key != nullptr) f.flags |= lcp::kFlagTagged;
    uint8_t encoded[sizeof(lcp::Header)];
    lcp::encode(encoded, f);
    std::memcpy(&templates_[t].header, encoded, sizeof(encoded));
  }
}

void Maker::fill_payload(uint8_t* bytes, uint32_t room) {
  std::memset(bytes, kFill, room);
}

void Maker::make_headers(const rte_ether_addr& source_mac) {
  const bool ipv4 = layout_.ip_version == 4;
  auto* eth = reinterpret_cast<rte_ether_hdr*>(headers_);
  eth->dst_addr = content_.target_mac;
  eth->src_addr = source_mac;
  if (layout_.tagged) {
    eth->ether_type = lcp::be16(RTE_ETHER_TYPE_VLAN);
    reinterpret_cast<rte_vlan_hdr*>(eth + 1)->vlan_tci = lcp::be16(content_.vlan);
  }
  const uint16_t type = lcp::be16(ipv4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
  std::memcpy(headers_ + layout_.ip_at() - sizeof(type), &type, sizeof(type));
  auto* udp = reinterpret_cast<rte_udp_hdr*>(headers_ + layout_.udp_at());
  udp->dst_port = lcp::be16(content_.target_port);
  fixed_udp_sum_ = net::pseudo_sum({}, content_.target, IPPROTO_UDP, 0) + udp->dst_port;
  if (ipv4) {
    auto* ip = reinterpret_cast<rte_ipv4_hdr*>(headers_ + layout_.ip_at());
    ip->version_ihl = RTE_IPV4_VHL_DEF;
    ip->fragment_offset = lcp::be16(RTE_IPV4_HDR_DF_FLAG);
    ip->time_to_live = kTtl;
    ip->next_proto_id = IPPROTO_UDP;
    ip->dst_addr = net::to_ipv4(content_.target);
    fixed_ip_sum_ = net::ipv4_header_sum(ip);
  } else {
    auto* ip = reinterpret_cast<rte_ipv6_hdr*>(headers_ + layout_.ip_at());
    ip->vtc_flow = lcp::be32(6u << 28);
    ip->proto = IPPROTO_UDP;
    ip->hop_limits = kTtl;
    net::to_ipv6(content_.target, ip->dst_addr);
  }
}

uint64_t Maker::put_headers(const Frame& frame, uint64_t number) const {
  const auto flow = static_cast<uint32_t>(number % content_.flows);
  const uint32_t udp_size = frame.size - layout_.udp_at();
  const uint16_t udp_length = lcp::be16(static_cast<uint16_t>(udp_size));
  const uint16_t port = lcp::be16(static_cast<uint16_t>(kPortFirst + flow % kPorts));
  copy_headers(frame.bytes, headers_, layout_);
  uint64_t source_sum = 0;
  if (layout_.ip_version == 4) {
    auto* ip = reinterpret_cast<rte_ipv4_hdr*>(frame.bytes + layout_.ip_at());
    const uint16_t length = lcp::be16(static_cast<uint16_t>(sizeof(*ip) + udp_size));
    source_sum = lcp::be32(lcp::be32(net::to_ipv4(content_.source)) + flow / kPorts);
    ip->total_length = length;
    ip->src_addr = static_cast<uint32_t>(source_sum);
    ip->hdr_checksum = net::checksum_of(fixed_ip_sum_ + length + source_sum);
  } else {
    auto* ip = reinterpret_cast<rte_ipv6_hdr*>(frame.bytes + layout_.ip_at());
    IpAddress source = content_.source;
    source.lo = lcp::be64(lcp::be64(source.lo) + flow / kPorts);
    source_sum = net::half_sum(source.hi) + net::half_sum(source.lo);
    ip->payload_len = udp_length;
    net::to_ipv6(source, ip->src_addr);
  }
  auto* udp = reinterpret_cast<rte_udp_hdr*>(frame.bytes + layout_.udp_at());
  udp->src_port = port;
  udp->dgram_len = udp_length;
  return fixed_udp_sum_ + source_sum + port + 2u * udp_length;
}

void Maker::finish_udp(const Frame& frame, uint64_t headers_sum, uint32_t content) const {
  const uint32_t at = layout_.content_at();
  auto* udp = reinterpret_cast<rte_udp_hdr*>(frame.bytes + layout_.udp_at());
  udp->dgram_cksum = net::udp_checksum_of(headers_sum + net::sum_bytes(frame.bytes + at, content) +
                                          fill_sum(frame.size - at - content));
}

void Maker::make(std::span<const Frame> frames, uint64_t first, uint64_t deadline_us) {
  if (content_.traffic == Traffic::plain) {
    for (uint64_t i = 0; i < frames.size(); ++i) {
      const uint64_t sum = put_headers(frames[i], first + i);
      const Marker marker{lcp::be64(run_), lcp::be64(first + i)};
      std::memcpy(frames[i].bytes + layout_.content_at(), &marker, sizeof(marker));
      finish_udp(frames[i], sum, sizeof(marker));
    }
    return;
  }
  crypto::CmacBatch batch;
  lcp::Header* signed_headers[kFramesMax];
  uint64_t sums[kFramesMax];
  static_assert(kFramesMax <= crypto::kCmacBatchMax);
  uint32_t signed_count = 0;
  for (uint64_t i = 0; i < frames.size(); ++i) {
    const Template& t = templates_[(first + i) % templates_.size()];
    sums[i] = put_headers(frames[i], first + i);
    auto* h = reinterpret_cast<lcp::Header*>(frames[i].bytes + layout_.content_at());
    const uint64_t number = lcp::be64(first + i);
    const uint32_t payload =
        frames[i].size - layout_.content_at() - static_cast<uint32_t>(sizeof(lcp::Header));
    *h = t.header;
    std::memcpy(h->command_id + 8, &number, sizeof(number));
    std::memcpy(h->trace_id + 8, &number, sizeof(number));
    h->deadline_us = lcp::be64(deadline_us);
    h->payload_length = lcp::be16(static_cast<uint16_t>(payload));
    if (t.key == nullptr) continue;
    batch.set(signed_count, t.key, h, payload);
    signed_headers[signed_count++] = h;
  }
  if (signed_count != 0) crypto::cmac_lanes(batch, signed_count);
  for (uint32_t j = 0; j < signed_count; ++j) std::memcpy(signed_headers[j]->tag, &batch.tag[j], 16);
  for (size_t i = 0; i < frames.size(); ++i) finish_udp(frames[i], sums[i], sizeof(lcp::Header));
}

}  // namespace lf::gen
