// SPDX-License-Identifier: Apache-2.0
// The one place that says what a well-formed LCP datagram is. Called by the parse stage for every
// packet, and by decode() for clients, nodes and tests, so both refuse the same things for the
// same reasons. Looks at the 80 header bytes only; the tag's value is authenticate's business.
#pragma once

#include <cstdint>
#include <cstring>

#include "dataplane/core/verdicts.hpp"
#include "dataplane/lcp/header.hpp"

namespace lf::lcp {

// Sizes that the bytes after the header may have, by type.
struct BodySize {
  uint16_t min, max;
};
inline constexpr BodySize kBodySizes[] = {
    {1, 0},                                    // 0: no type
    {0, 0xffff},                               // COMMAND: opaque
    {sizeof(ReplyBody), 0xffff},               // REPLY: and the node's own bytes
    {0, 0},                                    // APPROVAL
    {sizeof(ReportBody), sizeof(ReportBody)},  // REPORT
    {0, 0},                                    // PROBE
    {0, 0},                                    // PROBE_REPLY
};
inline constexpr uint8_t kTypeMax = static_cast<uint8_t>(Type::probe_reply);
static_assert(sizeof(kBodySizes) / sizeof(kBodySizes[0]) == kTypeMax + 1u);

// Types whose severity says something; the others may leave it 0.
constexpr bool carries_severity(uint8_t type) noexcept {
  return type == static_cast<uint8_t>(Type::command) || type == static_cast<uint8_t>(Type::reply);
}

// Verdict::none: well-formed. Else the reason to refuse it. `header` must be readable for
// min(udp_payload_length, 80) bytes; udp_payload_length is the UDP length less 8.
inline Verdict check_header(const Header* header, uint32_t udp_payload_length) noexcept {
  if (udp_payload_length < sizeof(Header)) [[unlikely]]
    return Verdict::lcp_truncated;
  const Header& h = *header;
  if (h.magic != be16(kMagic)) [[unlikely]]
    return Verdict::lcp_magic;
  if (h.version != kVersion) [[unlikely]]
    return Verdict::lcp_version;
  if (h.type < 1 || h.type > kTypeMax) [[unlikely]]
    return Verdict::lcp_type;
  if (h.flags & ~kFlagsKnown) [[unlikely]]
    return Verdict::lcp_flags;
  const uint32_t body = udp_payload_length - static_cast<uint32_t>(sizeof(Header));
  if (be16(h.payload_length) != body) [[unlikely]]
    return Verdict::lcp_length;
  if (h.severity > kSeverityMax || (h.severity < kSeverityMin && carries_severity(h.type)))
      [[unlikely]]
    return Verdict::lcp_severity;
  const BodySize size = kBodySizes[h.type];
  if (body < size.min || body > size.max) [[unlikely]]
    return Verdict::lcp_body;
  if (!(h.flags & kFlagTagged)) {
    uint64_t tag[2];
    std::memcpy(tag, h.tag, sizeof(tag));
    if (tag[0] | tag[1]) [[unlikely]]
      return Verdict::lcp_untagged_tag;
  }
  return Verdict::none;
}

}  // namespace lf::lcp
