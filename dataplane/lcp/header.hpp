// SPDX-License-Identifier: Apache-2.0
// The Lattice Command Protocol, version 1, byte for byte (docs/lcp.md): wire structures and their
// constants. Shared by the daemon, lf-send and lf-node. All integers are big-endian on the wire;
// the structures below hold wire order, so read them through the be16/be32/be64 helpers.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace lf::lcp {

inline constexpr uint16_t kMagic = 0x4c46;  // "LF"
inline constexpr uint8_t kVersion = 1;
inline constexpr uint16_t kDefaultPort = 7171;
inline constexpr uint8_t kFlagTagged = 0x01;      // the tag is set
inline constexpr uint8_t kFlagWantsReply = 0x02;  // answer when refused, held or delayed
inline constexpr uint8_t kFlagsKnown = kFlagTagged | kFlagWantsReply;
inline constexpr size_t kTagSize = 16;
inline constexpr size_t kSignedHeaderSize = 64;  // bytes 0..63 are under the tag
inline constexpr uint8_t kSeverityMin = 1;
inline constexpr uint8_t kSeverityMax = 5;

enum class Type : uint8_t {
  command = 1,
  reply = 2,
  approval = 3,
  report = 4,
  probe = 5,
  probe_reply = 6,
};

enum class Status : uint8_t {
  ok = 0,
  failed = 1,
  busy = 2,
  denied = 3,
  throttled = 4,
  held = 5,
  expired = 6,
  duplicate = 7,
  invalid = 8,
  unroutable = 9,
  unauthenticated = 10,
  delayed = 11,
};

struct Header {
  uint16_t magic;
  uint8_t version;
  uint8_t type;
  uint8_t flags;
  uint8_t intent;
  uint8_t severity;
  uint8_t attempt;
  uint32_t org_id;
  uint32_t operator_id;
  uint8_t command_id[16];
  uint8_t trace_id[16];
  uint64_t deadline_us;
  uint32_t target_id;
  uint16_t payload_length;
  uint16_t key_id;
  uint8_t tag[kTagSize];
} __attribute__((packed));
static_assert(sizeof(Header) == 80 && offsetof(Header, tag) == kSignedHeaderSize);

// Body of a REPLY; a node's own bytes may follow it.
struct ReplyBody {
  uint8_t status;
  uint8_t reason;  // the data plane's drop-reason code, 0 from a node
  uint16_t flags;  // bit 0: the data plane itself answered
  uint32_t quota_remaining;
  uint32_t reset_seconds;
  uint32_t throttle_ms;
} __attribute__((packed));
static_assert(sizeof(ReplyBody) == 16);
inline constexpr uint16_t kReplyFromDataPlane = 0x0001;

// Body of a REPORT.
struct ReportBody {
  uint32_t node_id;
  uint32_t latency_us;
  uint32_t queue_depth;
  uint16_t saturation;  // 0..10000 for 0..1
  uint8_t flags;        // bit 0 degraded, bit 1 draining
  uint8_t zero;
  uint32_t successes;
  uint32_t failures;
} __attribute__((packed));
static_assert(sizeof(ReportBody) == 24);
inline constexpr uint8_t kReportDegraded = 0x01;
inline constexpr uint8_t kReportDraining = 0x02;
inline constexpr uint16_t kSaturationFull = 10000;

// Host order <-> wire order; its own inverse.
constexpr uint16_t be16(uint16_t v) noexcept {
  return __builtin_bswap16(v);
}
constexpr uint32_t be32(uint32_t v) noexcept {
  return __builtin_bswap32(v);
}
constexpr uint64_t be64(uint64_t v) noexcept {
  return __builtin_bswap64(v);
}
static_assert(std::endian::native == std::endian::little);

}  // namespace lf::lcp
