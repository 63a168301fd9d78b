// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_gen/frames.hpp"

#include <rte_arp.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <algorithm>
#include <cstring>

#include "dataplane/crypto/cmac_lanes.hpp"

namespace lf::gen {
namespace {

constexpr uint8_t kFill = 0x2e;
constexpr uint32_t kPortFirst = 16384, kPorts = 32768;
constexpr size_t kTemplatesMax = 65536;

struct Layout {
  rte_ipv4_hdr* ip;
  rte_udp_hdr* udp;
};
Layout layout_of(uint8_t* frame) {
  auto* ip = reinterpret_cast<rte_ipv4_hdr*>(frame + sizeof(rte_ether_hdr));
  return {ip, reinterpret_cast<rte_udp_hdr*>(ip + 1)};
}

// The bytes that fill_payload() wrote, as a sum of 16-bit words.
uint32_t fill_sum(uint32_t bytes) {
  return bytes / 2 * (kFill << 8 | kFill) + (bytes % 2 != 0 ? kFill : 0);
}

void finish_udp(const Layout& l, uint32_t sum) {
  const auto folded = static_cast<uint16_t>(~__rte_raw_cksum_reduce(sum));
  l.udp->dgram_cksum = folded == 0 ? 0xffff : folded;
}

// i-th of all combinations, the first list running fastest.
uint32_t pick(const std::vector<uint32_t>& list, size_t& round) {
  const uint32_t value = list[round % list.size()];
  round /= list.size();
  return value;
}

}  // namespace

Maker::Maker(const Content& content, uint64_t run, const rte_ether_addr& source_mac)
    : content_(content), run_(run) {
  std::memcpy(ethernet_, &content_.target_mac, sizeof(rte_ether_addr));
  std::memcpy(ethernet_ + 6, &source_mac, sizeof(rte_ether_addr));
  ethernet_[12] = RTE_ETHER_TYPE_IPV4 >> 8;
  ethernet_[13] = RTE_ETHER_TYPE_IPV4 & 0xff;
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

void Maker::put_headers(const Frame& frame, uint64_t number) const {
  const auto flow = static_cast<uint32_t>(number % content_.flows);
  const auto [ip, udp] = layout_of(frame.bytes);
  const uint32_t ip_length = frame.size - static_cast<uint32_t>(sizeof(rte_ether_hdr));
  std::memcpy(frame.bytes, ethernet_, sizeof(ethernet_));
  ip->version_ihl = RTE_IPV4_VHL_DEF;
  ip->type_of_service = 0;
  ip->total_length = rte_cpu_to_be_16(static_cast<uint16_t>(ip_length));
  ip->packet_id = 0;
  ip->fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG);
  ip->time_to_live = 64;
  ip->next_proto_id = IPPROTO_UDP;
  ip->hdr_checksum = 0;
  ip->src_addr = rte_cpu_to_be_32(content_.source_ip + flow / kPorts);
  ip->dst_addr = rte_cpu_to_be_32(content_.target_ip);
  ip->hdr_checksum = rte_ipv4_cksum(ip);
  udp->src_port = rte_cpu_to_be_16(static_cast<uint16_t>(kPortFirst + flow % kPorts));
  udp->dst_port = rte_cpu_to_be_16(content_.target_port);
  udp->dgram_len = rte_cpu_to_be_16(static_cast<uint16_t>(ip_length - sizeof(*ip)));
  udp->dgram_cksum = 0;
}

// Pseudo header, UDP header and the payload that is always the same: all but the content's header.
uint32_t Maker::pseudo_sum(const Frame& frame) const {
  const auto [ip, udp] = layout_of(frame.bytes);
  const uint32_t header =
      content_.traffic == Traffic::commands ? sizeof(lcp::Header) : sizeof(Marker);
  const uint32_t sum = static_cast<uint16_t>(rte_ipv4_phdr_cksum(ip, 0)) +
                       fill_sum(frame.size - kContentAt - header);
  return __rte_raw_cksum(udp, sizeof(*udp), sum);
}

void Maker::make(std::span<const Frame> frames, uint64_t first, uint64_t deadline_us) {
  if (content_.traffic == Traffic::plain) {
    for (uint64_t i = 0; i < frames.size(); ++i) {
      put_headers(frames[i], first + i);
      const Marker marker{lcp::be64(run_), lcp::be64(first + i)};
      std::memcpy(frames[i].bytes + kContentAt, &marker, sizeof(marker));
      finish_udp(layout_of(frames[i].bytes),
                 __rte_raw_cksum(&marker, sizeof(marker), pseudo_sum(frames[i])));
    }
    return;
  }
  crypto::CmacJob jobs[kFramesMax];
  crypto::CmacTag tags[kFramesMax];
  lcp::Header* signed_headers[kFramesMax];
  uint32_t jobs_count = 0;
  for (uint64_t i = 0; i < frames.size(); ++i) {
    const Template& t = templates_[(first + i) % templates_.size()];
    put_headers(frames[i], first + i);
    auto* h = reinterpret_cast<lcp::Header*>(frames[i].bytes + kContentAt);
    const uint64_t number = lcp::be64(first + i);
    const uint32_t payload =
        frames[i].size - kContentAt - static_cast<uint32_t>(sizeof(lcp::Header));
    *h = t.header;
    std::memcpy(h->command_id + 8, &number, sizeof(number));
    std::memcpy(h->trace_id + 8, &number, sizeof(number));
    h->deadline_us = lcp::be64(deadline_us);
    h->payload_length = lcp::be16(static_cast<uint16_t>(payload));
    if (t.key == nullptr) continue;
    jobs[jobs_count] = {t.key, frames[i].bytes + kContentAt, payload};
    signed_headers[jobs_count++] = h;
  }
  if (jobs_count != 0) crypto::cmac_lanes(jobs, jobs_count, tags);
  for (uint32_t j = 0; j < jobs_count; ++j) std::memcpy(signed_headers[j]->tag, &tags[j], 16);
  for (const Frame& frame : frames) {
    finish_udp(layout_of(frame.bytes),
               __rte_raw_cksum(frame.bytes + kContentAt, sizeof(lcp::Header), pseudo_sum(frame)));
  }
}

}  // namespace lf::gen
