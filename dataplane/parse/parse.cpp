// SPDX-License-Identifier: Apache-2.0
#include "dataplane/parse/parse.hpp"

#include <immintrin.h>
#include <rte_prefetch.h>

#include <array>
#include <cstddef>

#include "dataplane/parse/general.hpp"
#include "dataplane/parse/usual.hpp"

namespace lf::parse {
namespace {

LF_APART void sort(Sorted& out, uint32_t i, Kind kind) noexcept {
  switch (kind) {
    case Kind::reply:
      return out.replies.add(i);
    case Kind::approval:
      return out.approvals.add(i);
    case Kind::report:
      return out.reports.add(i);
    case Kind::probe:
      return out.probes.add(i);
    case Kind::probe_reply:
      return out.probe_replies.add(i);
    case Kind::flow:
    case Kind::flow_return:
      return out.flows.add(i);
    default:
      return out.exceptions.add(i);
  }
}

std::array<Selection*, 8> all(Sorted& out) noexcept {
  return {&out.commands, &out.replies,       &out.approvals, &out.reports,
          &out.probes,   &out.probe_replies, &out.flows,     &out.exceptions};
}

void clear(Sorted& out) noexcept {
  for (Selection* s : all(out)) s->count = 0;
}

// Copied in vectors: assigning Meta{} is done with a slow string instruction.
void reset(Meta& meta) noexcept {
  const auto* from = reinterpret_cast<const __m256i*>(&kEmpty);
  auto* to = reinterpret_cast<__m256i*>(&meta);
  for (size_t i = 0; i < sizeof(Meta) / sizeof(__m256i); ++i)
    _mm256_store_si256(to + i, _mm256_load_si256(from + i));
}

// The general way, apart, so that the short one keeps its registers. True: it is a command, and not
// yet in its selection.
LF_APART bool parse_any(const Table& t, rte_mbuf* m, uint32_t i, Meta& meta, Sorted& out) noexcept {
  reset(meta);
  meta.verdict = parse_frame(t, m, meta);
  if (meta.verdict != Verdict::none) return false;
  if (meta.kind == Kind::command) return true;
  sort(out, i, meta.kind);
  return false;
}

// Once more, the general way, as a checksum among them is wrong.
LF_APART void parse_again(const Table& table, Burst& burst, uint32_t first, uint32_t end,
                          Sorted& out) noexcept {
  for (Selection* s : all(out))
    while (s->count != 0 && s->index[s->count - 1] >= first) --s->count;
  for (uint32_t i = first; i < end; ++i)
    if (parse_any(table, burst.packets[i], i, burst.meta[i], out)) out.commands.add(i);
}

constexpr uint32_t kAhead = 4;      // packets whose headers are on their way into the cache,
constexpr uint32_t kMbufAhead = 8;  // and whose mbufs are
static_assert(kAhead <= kMbufAhead && kMbufAhead <= Burst::kAhead);

LF_INLINE void prefetch(const rte_mbuf* m) noexcept {
  const auto* data = rte_pktmbuf_mtod(m, const uint8_t*);
  rte_prefetch0(data);
  if (m->data_len > kCacheLine) [[likely]]
    rte_prefetch0(data + kCacheLine);
}

LF_APART void forget(Places& places) noexcept {
  for (Place& p : places.place) p.key = 0;
  places.place[0].segments_and_port = 0;
  places.place[0].is_plain = false;
  places.last = places.place;
  places.next = 0;
}

LF_INLINE void prefetch_ahead(const Burst& burst, size_t i) noexcept {
  rte_prefetch0(burst.packets[i + kMbufAhead]);
  prefetch(burst.packets[i + kAhead]);
}

// Commands and replies from position i on, as long as they are plain: for the last place, and with
// nothing rare about them. A function of its own that calls nothing, so what all are compared with
// stays in registers. Returns where that ends; each packet has left its sums.
LF_APART size_t plain_ones(const Table& table, const Places& places, __m256i* sums, Burst& burst,
                           size_t i, size_t end, Sorted& out) noexcept {
  const Weights weights;
  const Rest rest;
  const Place& place = *places.last;
  uint8_t* command = out.commands.index + out.commands.count;
  for (; i < end; ++i) {
    prefetch_ahead(burst, i);
    const UsualFrame f = usual_frame(burst.packets[i]);
    if (!is_for(place, f)) [[unlikely]]
      break;
    const __m128i tail = tail_of(f.lcp());
    if (!is_usual_lcp(f, tail) || may_be_own(table, f)) [[unlikely]]
      break;
    if (is_command(f)) [[likely]] {
      *command++ = static_cast<uint8_t>(i);
    } else {
      if (!has_body(f)) break;
      out.replies.add(static_cast<uint32_t>(i));
    }
    *sums++ = sums_of(weights, f.data, f.length);
    take_usual_lcp(table, place, f, tail, rest, burst.meta[i]);
  }
  out.commands.count = static_cast<uint16_t>(command - out.commands.index);
  return i;
}

// Whatever they are: the first packet, and those behind it as long as they are not for a place of
// plain ones. Returns where that ends.
LF_APART size_t other_ones(const Table& table, Places& places, __m256i*& sums, Burst& burst,
                           size_t i, size_t end, Sorted& out) noexcept {
  do {
    rte_mbuf* m = burst.packets[i];
    prefetch_ahead(burst, i);
    const auto position = static_cast<uint32_t>(i);
    const Kind kind = parse_usual(table, places, places.last, m, burst.meta[i], sums);
    if (kind == Kind::flow) {
      out.flows.add(position);
    } else if (kind == Kind::reply) {
      out.replies.add(position);
    } else if (kind == Kind::command || parse_any(table, m, position, burst.meta[i], out)) {
      out.commands.add(position);
    }
  } while (++i < end && !places.last->is_plain);
  return i;
}

}  // namespace

void begin(const Table& table, State& state, Burst& burst, Sorted& out) noexcept {
  clear(out);
  if (state.places.table != table.id.value()) [[unlikely]] {
    forget(state.places);
    state.places.table = table.id.value();
  }
  const uint32_t count = burst.count;
  if (count == 0) return;
  for (uint32_t k = 0; k < Burst::kAhead; ++k) burst.packets[count + k] = burst.packets[count - 1];
  for (uint32_t i = 0; i < kMbufAhead; ++i) rte_prefetch0(burst.packets[i]);
  for (uint32_t i = 0; i < kAhead; ++i) prefetch(burst.packets[i]);
}

void part(const Table& table, State& state, Burst& burst, uint32_t first, uint32_t end,
          Sorted& out) noexcept {
  __m256i* sums = state.sums;
  for (size_t i = first; i < end;) {
    if (state.places.last->is_plain) [[likely]] {
      const size_t from = i;
      i = plain_ones(table, state.places, sums, burst, i, end, out);
      sums += i - from;
    }
    if (i < end) [[unlikely]]
      i = other_ones(table, state.places, sums, burst, i, end, out);
  }
  if (!are_right(state.sums, static_cast<size_t>(sums - state.sums))) [[unlikely]]
    parse_again(table, burst, first, end, out);
}

void run(const Table& table, State& state, Burst& burst, Sorted& out, Tsc) noexcept {
  begin(table, state, burst, out);
  part(table, state, burst, 0, burst.count, out);
}

}  // namespace lf::parse
