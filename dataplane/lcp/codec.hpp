// SPDX-License-Identifier: Apache-2.0
// LCP datagrams as values: encode and decode for clients, nodes, the control side and tests.
// Workers do not use this (they read the header in place); both judge with lcp/check.hpp.
// No allocation: the caller brings the buffer, decoded payloads point into the datagram.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "dataplane/core/verdicts.hpp"
#include "dataplane/lcp/check.hpp"
#include "dataplane/lcp/header.hpp"

namespace lf::lcp {

using Id = std::array<uint8_t, 16>;
using Bytes = std::span<const uint8_t>;
using Buffer = std::span<uint8_t>;

// Largest UDP payload over IPv4, and what it leaves for the bytes after the header.
inline constexpr size_t kDatagramMax = 65507;
inline constexpr size_t kPayloadMax = kDatagramMax - sizeof(Header);

// The header in host order, without what encode() works out itself (payload_length, tag).
struct Fields {
  Type type = Type::command;
  uint8_t flags = 0;
  uint8_t intent = 0;
  uint8_t severity = kSeverityMin;
  uint8_t attempt = 0;
  uint32_t org_id = 0;
  uint32_t operator_id = 0;
  Id command_id{};
  Id trace_id{};
  uint64_t deadline_us = 0;
  uint32_t target_id = 0;
  uint16_t key_id = 0;
  bool operator==(const Fields&) const = default;
};

struct Reply {
  Status status = Status::ok;
  uint8_t reason = 0;  // a Verdict code when the data plane answered
  bool from_data_plane = false;
  uint32_t quota_remaining = 0;
  uint32_t reset_seconds = 0;
  uint32_t throttle_ms = 0;
  bool operator==(const Reply&) const = default;
};

struct Report {
  uint32_t node_id = 0;
  uint32_t latency_us = 0;
  uint32_t queue_depth = 0;
  uint16_t saturation = 0;  // 0..kSaturationFull
  bool degraded = false;
  bool draining = false;
  uint32_t successes = 0;
  uint32_t failures = 0;
  bool operator==(const Report&) const = default;
};

struct Message {
  Fields fields;
  Reply reply;    // filled for Type::reply
  Report report;  // filled for Type::report
  Id tag{};       // as received; all zero when untagged
  Bytes payload;  // all bytes after the header
  Bytes extra;    // REPLY: the node's own bytes after the body
};

// Bytes written, 0 when they do not fit `out` or a datagram. The tag is left zero: see lcp/tag.hpp.
// encode() takes the bytes after the header as they are; the two below make the body themselves
// and set fields.type.
size_t encode(Buffer out, const Fields& fields, Bytes payload = {}) noexcept;
size_t encode_reply(Buffer out, const Fields& fields, const Reply& reply,
                    Bytes extra = {}) noexcept;
size_t encode_report(Buffer out, const Fields& fields, const Report& report) noexcept;

// Verdict::none and `out` filled, or the reason why the data plane would refuse it.
Verdict decode(Bytes datagram, Message& out) noexcept;

// "ok", "throttled"; "unknown" for a number that the protocol does not name.
std::string_view name_of(Status status) noexcept;

// The fields of the answer to a command or probe: its ids, intent, severity, attempt and key_id
// echoed, flags clear.
Fields answer_fields(const Fields& request, Type type) noexcept;

}  // namespace lf::lcp
