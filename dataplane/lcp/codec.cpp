// SPDX-License-Identifier: Apache-2.0
#include "dataplane/lcp/codec.hpp"

#include <cstring>

namespace lf::lcp {
namespace {

Header to_wire(const Fields& f, size_t payload_length) noexcept {
  Header h{};
  h.magic = be16(kMagic);
  h.version = kVersion;
  h.type = static_cast<uint8_t>(f.type);
  h.flags = f.flags;
  h.intent = f.intent;
  h.severity = f.severity;
  h.attempt = f.attempt;
  h.org_id = be32(f.org_id);
  h.operator_id = be32(f.operator_id);
  std::memcpy(h.command_id, f.command_id.data(), sizeof(h.command_id));
  std::memcpy(h.trace_id, f.trace_id.data(), sizeof(h.trace_id));
  h.deadline_us = be64(f.deadline_us);
  h.target_id = be32(f.target_id);
  h.payload_length = be16(static_cast<uint16_t>(payload_length));
  h.key_id = be16(f.key_id);
  return h;
}

Fields from_wire(const Header& h) noexcept {
  Fields f;
  f.type = static_cast<Type>(h.type);
  f.flags = h.flags;
  f.intent = h.intent;
  f.severity = h.severity;
  f.attempt = h.attempt;
  f.org_id = be32(h.org_id);
  f.operator_id = be32(h.operator_id);
  std::memcpy(f.command_id.data(), h.command_id, sizeof(h.command_id));
  std::memcpy(f.trace_id.data(), h.trace_id, sizeof(h.trace_id));
  f.deadline_us = be64(h.deadline_us);
  f.target_id = be32(h.target_id);
  f.key_id = be16(h.key_id);
  return f;
}

Reply reply_from_wire(const uint8_t* bytes) noexcept {
  ReplyBody b;
  std::memcpy(&b, bytes, sizeof(b));
  return {.status = static_cast<Status>(b.status),
          .reason = b.reason,
          .from_data_plane = (be16(b.flags) & kReplyFromDataPlane) != 0,
          .quota_remaining = be32(b.quota_remaining),
          .reset_seconds = be32(b.reset_seconds),
          .throttle_ms = be32(b.throttle_ms)};
}

Report report_from_wire(const uint8_t* bytes) noexcept {
  ReportBody b;
  std::memcpy(&b, bytes, sizeof(b));
  return {.node_id = be32(b.node_id),
          .latency_us = be32(b.latency_us),
          .queue_depth = be32(b.queue_depth),
          .saturation = be16(b.saturation),
          .degraded = (b.flags & kReportDegraded) != 0,
          .draining = (b.flags & kReportDraining) != 0,
          .successes = be32(b.successes),
          .failures = be32(b.failures)};
}

// Header, then two pieces of payload.
size_t put(Buffer out, const Fields& fields, Bytes first, Bytes second) noexcept {
  const size_t length = first.size() + second.size();
  if (length > kPayloadMax || out.size() < sizeof(Header) + length) return 0;
  const Header h = to_wire(fields, length);
  uint8_t* to = out.data();
  std::memcpy(to, &h, sizeof(h));
  to += sizeof(h);
  if (!first.empty()) std::memcpy(to, first.data(), first.size());
  if (!second.empty()) std::memcpy(to + first.size(), second.data(), second.size());
  return sizeof(h) + length;
}

template <typename Body>
Bytes bytes_of(const Body& body) noexcept {
  return {reinterpret_cast<const uint8_t*>(&body), sizeof(body)};
}

}  // namespace

size_t encode(Buffer out, const Fields& fields, Bytes payload) noexcept {
  return put(out, fields, payload, {});
}

size_t encode_reply(Buffer out, const Fields& fields, const Reply& reply, Bytes extra) noexcept {
  ReplyBody b{};
  b.status = static_cast<uint8_t>(reply.status);
  b.reason = reply.reason;
  b.flags = be16(reply.from_data_plane ? kReplyFromDataPlane : uint16_t{0});
  b.quota_remaining = be32(reply.quota_remaining);
  b.reset_seconds = be32(reply.reset_seconds);
  b.throttle_ms = be32(reply.throttle_ms);
  Fields f = fields;
  f.type = Type::reply;
  return put(out, f, bytes_of(b), extra);
}

size_t encode_report(Buffer out, const Fields& fields, const Report& report) noexcept {
  ReportBody b{};
  b.node_id = be32(report.node_id);
  b.latency_us = be32(report.latency_us);
  b.queue_depth = be32(report.queue_depth);
  b.saturation = be16(report.saturation);
  b.flags = static_cast<uint8_t>((report.degraded ? kReportDegraded : 0) |
                                 (report.draining ? kReportDraining : 0));
  b.successes = be32(report.successes);
  b.failures = be32(report.failures);
  Fields f = fields;
  f.type = Type::report;
  return put(out, f, bytes_of(b), {});
}

Verdict decode(Bytes datagram, Message& out) noexcept {
  const auto* h = reinterpret_cast<const Header*>(datagram.data());
  if (datagram.size() > kDatagramMax) return Verdict::lcp_length;
  const Verdict v = check_header(h, static_cast<uint32_t>(datagram.size()));
  if (v != Verdict::none) return v;
  out = {};
  out.fields = from_wire(*h);
  std::memcpy(out.tag.data(), h->tag, sizeof(h->tag));
  out.payload = datagram.subspan(sizeof(Header));
  if (out.fields.type == Type::reply) {
    out.reply = reply_from_wire(out.payload.data());
    out.extra = out.payload.subspan(sizeof(ReplyBody));
  } else if (out.fields.type == Type::report) {
    out.report = report_from_wire(out.payload.data());
  }
  return Verdict::none;
}

std::string_view name_of(Status status) noexcept {
  static constexpr std::string_view kNames[] = {
      "ok",      "failed",    "busy",    "denied",     "throttled",       "held",
      "expired", "duplicate", "invalid", "unroutable", "unauthenticated", "delayed"};
  const auto code = static_cast<uint8_t>(status);
  return code < std::size(kNames) ? kNames[code] : "unknown";
}

Fields answer_fields(const Fields& request, Type type) noexcept {
  Fields f = request;
  f.type = type;
  f.flags = 0;
  return f;
}

}  // namespace lf::lcp
