// SPDX-License-Identifier: Apache-2.0
// The receiving half of frames.hpp: what came in, and what a node says to it.
#include <algorithm>
#include <cstring>

#include "dataplane/net/checksum.hpp"
#include "dataplane/net/turn.hpp"
#include "tools/lf_gen/frames.hpp"
#include "tools/lf_gen/neighbours.hpp"

namespace lf::gen {
namespace {

Meta meta_of(const Layout& layout) {
  Meta meta;
  meta.l3_offset = static_cast<uint8_t>(layout.ip_at());
  meta.l4_offset = static_cast<uint8_t>(layout.udp_at());
  meta.ip_version = layout.ip_version;
  return meta;
}

// The frame's headers turned round, for `content` bytes after them; no UDP checksum yet.
void turn_round(const uint8_t* frame, const Layout& layout, uint8_t* out, uint32_t content) {
  copy_headers(out, frame, layout);
  net::turn_datagram(out, meta_of(layout), static_cast<uint16_t>(sizeof(rte_udp_hdr) + content));
}

void finish(uint8_t* out, const Layout& layout) {
  net::set_udp_checksum(out + layout.ip_at(), layout.ip_version,
                        *reinterpret_cast<rte_udp_hdr*>(out + layout.udp_at()));
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

Recognised recognise_datagram(std::span<const uint8_t> frame, const Layout& layout, uint64_t run) {
  const uint32_t content_at = layout.content_at();
  if (frame.size() < content_at + sizeof(Marker)) return {};
  const uint8_t* content = frame.data() + content_at;
  const auto length = static_cast<uint32_t>(frame.size()) - content_at;
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

}  // namespace

Recognised recognise(std::span<const uint8_t> frame, uint64_t run) {
  if (const auto layout = find_udp(frame)) {
    Recognised r = recognise_datagram(frame, *layout, run);
    r.layout = *layout;
    return r;
  }
  return {.kind = asks_for_neighbour(frame) ? Kind::neighbour_request : Kind::other};
}

uint32_t write_answer(std::span<const uint8_t> frame, const Recognised& seen, uint8_t* out) {
  const Layout& layout = seen.layout;
  const uint32_t at = layout.content_at();
  if (seen.kind == Kind::plain) {
    const auto size = static_cast<uint32_t>(std::min<size_t>(frame.size(), kAnswerMax));
    turn_round(frame.data(), layout, out, size - at);
    std::memcpy(out + at, frame.data() + at, size - at);
    auto* marker = reinterpret_cast<Marker*>(out + at);
    marker->number |= lcp::be64(kAnswerBit);
    finish(out, layout);
    return size;
  }
  const uint32_t body = seen.kind == Kind::command ? sizeof(lcp::ReplyBody) : 0;
  const auto content = static_cast<uint32_t>(sizeof(lcp::Header)) + body;
  turn_round(frame.data(), layout, out, content);
  auto* h = reinterpret_cast<lcp::Header*>(out + at);
  std::memcpy(h, frame.data() + at, sizeof(*h));
  h->type =
      static_cast<uint8_t>(seen.kind == Kind::command ? lcp::Type::reply : lcp::Type::probe_reply);
  h->flags = 0;
  h->payload_length = lcp::be16(static_cast<uint16_t>(body));
  // No tag; the body says ok, from a node.
  std::memset(out + at + lcp::kSignedHeaderSize, 0, lcp::kTagSize + body);
  finish(out, layout);
  return at + content;
}

}  // namespace lf::gen
