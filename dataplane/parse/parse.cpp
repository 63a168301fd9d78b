// SPDX-License-Identifier: Apache-2.0
#include "dataplane/parse/parse.hpp"

#include <immintrin.h>
#include <rte_prefetch.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "dataplane/parse/general.hpp"
#include "dataplane/parse/together.hpp"
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

// The mbuf and its header lines, where data is as far from it as in the packets before: the mbuf is
// not looked at, so that all are on their way at once.
LF_INLINE void prefetch_whole(const rte_mbuf* m, uintptr_t data_from_mbuf) noexcept {
  const auto* data = reinterpret_cast<const uint8_t*>(m) + data_from_mbuf;
  asm("" : "+r"(data));  // or GCC works the second line out apart
  rte_prefetch0(m);
  rte_prefetch0(data);
  rte_prefetch0(data + kCacheLine);
}

LF_INLINE uintptr_t data_from_mbuf(const rte_mbuf* m) noexcept {
  return rte_pktmbuf_mtod(m, uintptr_t) - reinterpret_cast<uintptr_t>(m);
}

LF_APART void forget(Places& places) noexcept {
  for (Place& p : places.place) p.key = {};
  places.place[0].segments_and_port = 0;
  places.place[0].is_plain = false;
  places.place[0].together = 0;
  places.last = places.place;
  places.next = 0;
}

LF_INLINE void prefetch_ahead(const Burst& burst, size_t i) noexcept {
  rte_prefetch0(burst.packets[i + kMbufAhead]);
  prefetch(burst.packets[i + kAhead]);
}

// Commands and replies from position i on, as long as they are plain: for the last place, which is
// of the IP version, and with nothing rare about them. A function of its own that calls nothing, so
// what all are compared with stays in registers. Returns where that ends; each packet has left its
// sums.
template <uint8_t kIpVersion>
LF_APART size_t plain_ones(const Table& table, const Places& places, __m256i* sums, Burst& burst,
                           size_t i, size_t end, Sorted& out) noexcept {
  const Weights weights;
  const Rest rest;
  const Place& place = *places.last;
  uint8_t* command = out.commands.index + out.commands.count;
  for (; i < end; ++i) {
    prefetch_ahead(burst, i);
    if (!is_for<kIpVersion>(place, burst.packets[i])) [[unlikely]]
      break;
    const auto f = usual_frame<kIpVersion>(burst.packets[i], place.key.layout.start());
    const __m128i tail = tail_of(f.lcp());
    if (!is_usual_lcp(f, tail) || may_be_own(table, f)) [[unlikely]]
      break;
    if (is_command(f)) [[likely]] {
      *command++ = static_cast<uint8_t>(i);
    } else {
      if (!has_body(f)) break;
      out.replies.add(static_cast<uint32_t>(i));
    }
    *sums++ = sums_of<kIpVersion>(weights, f.data, f.length);
    take_usual_lcp(table, place, f.lcp(), tail, rest, burst.meta[i]);
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

// All of a part that may be of any kinds.
LF_APART void one_by_one(const Table& table, State& state, Burst& burst, size_t first, size_t end,
                         Sorted& out) noexcept {
  __m256i* sums = state.sums;
  for (size_t i = first; i < end;) {
    if (state.places.last->is_plain) [[likely]] {
      const size_t from = i;
      i = state.places.last->key.layout.ip_version == 4
              ? plain_ones<4>(table, state.places, sums, burst, i, end, out)
              : plain_ones<6>(table, state.places, sums, burst, i, end, out);
      sums += i - from;
    }
    if (i < end) [[unlikely]]
      i = other_ones(table, state.places, sums, burst, i, end, out);
  }
  const __m256i wrong = wrong_ones(state.sums, static_cast<size_t>(sums - state.sums));
  if (!_mm256_testz_si256(wrong, wrong)) [[unlikely]]
    parse_again(table, burst, static_cast<uint32_t>(first), static_cast<uint32_t>(end), out);
}

// Commands with replies among them, which were taken for commands. False: one has no body.
template <net::Layout kLayout>
LF_APART bool tell_replies(Burst& burst, size_t first, Sorted& out) noexcept {
  const Selection commands = out.commands, replies = out.replies;
  for (size_t i = first; i < first + kTogether; ++i) {
    const auto f = usual_frame<kLayout.ip_version>(burst.packets[i], kLayout.start());
    if (is_command(f)) {
      out.commands.add(static_cast<uint32_t>(i));
      continue;
    }
    if (!has_body(f)) {
      out.commands = commands;
      out.replies = replies;
      return false;
    }
    burst.meta[i].kind = Kind::reply;
    out.replies.add(static_cast<uint32_t>(i));
  }
  return true;
}

// kTogether positions from `first` on.
LF_INLINE void add_run(Selection& to, size_t first) noexcept {
  static_assert(kTogether == 8);
  const uint64_t eight = 0x0706'0504'0302'0100 + 0x0101'0101'0101'0101 * first;
  std::memcpy(to.index + to.count, &eight, sizeof eight);
  to.count = static_cast<uint16_t>(to.count + kTogether);
}

// Parts that go one by one after the attempt to take them together has failed, twice as many and
// one after each failure: traffic of all kinds does not pay for attempts.
constexpr uint32_t kPauseMax = 31;

LF_APART void after_failure(const Table& table, State& state, Burst& burst, size_t first,
                            Sorted& out) noexcept {
  state.wait = state.pause = std::min(2 * state.pause + 1, kPauseMax);
  one_by_one(table, state, burst, first, first + kTogether, out);
}

template <net::Layout kLayout, bool kPortKnows>
void commands_together(const Table& table, State& state, Burst& burst, size_t first,
                       Sorted& out) noexcept {
  using Frame = UsualFrame<kLayout.ip_version>;
  constexpr int kType = Frame::At::kLcp + offsetof(lcp::Header, type) - Frame::kSecond;
  __m256i most;
  if (!parse_together<kLayout, kPortKnows>(
          table, *state.places.last, burst, first, most,
          [ahead = state.data_from_mbuf](rte_mbuf* const* packet)
              LF_INLINE_LAMBDA { prefetch_whole(packet[kMbufAhead], ahead); })) [[unlikely]]
    return after_failure(table, state, burst, first, out);
  if (_mm256_extract_epi8(most, kType) == static_cast<int>(lcp::Type::command)) [[likely]] {
    add_run(out.commands, first);
  } else if (!tell_replies<kLayout>(burst, first, out)) {
    return after_failure(table, state, burst, first, out);
  }
  state.pause = 0;
}

// By Place::together: a function for each layout, and for what ports know.
constexpr decltype(&commands_together<net::Layout{}, false>) kTogetherBy[] = {
    nullptr,
    commands_together<net::Layout{4, false}, false>,
    commands_together<net::Layout{4, false}, true>,
    commands_together<net::Layout{4, true}, false>,
    commands_together<net::Layout{4, true}, true>,
    commands_together<net::Layout{6, false}, false>,
    commands_together<net::Layout{6, false}, true>,
    commands_together<net::Layout{6, true}, false>,
    commands_together<net::Layout{6, true}, true>};

LF_APART void part_one_by_one(const Table& table, State& state, Burst& burst, size_t first,
                              size_t end, Sorted& out) noexcept {
  if (end - first == kTogether && state.places.last->together != 0) --state.wait;
  one_by_one(table, state, burst, first, end, out);
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
  const uintptr_t data = state.data_from_mbuf;
  state.data_from_mbuf = data_from_mbuf(burst.packets[0]);
  if (state.places.last->together != 0) [[likely]] {
    for (uint32_t i = 0; i < kMbufAhead; ++i) prefetch_whole(burst.packets[i], data);
    return;
  }
  for (uint32_t i = 0; i < kMbufAhead; ++i) rte_prefetch0(burst.packets[i]);
  for (uint32_t i = 0; i < kAhead; ++i) prefetch(burst.packets[i]);
}

void part(const Table& table, State& state, Burst& burst, uint32_t first, uint32_t end,
          Sorted& out) noexcept {
  const uint8_t together = state.places.last->together;
  if (end - first == kTogether && together != 0 && state.wait == 0) [[likely]]
    return kTogetherBy[together](table, state, burst, first, out);
  part_one_by_one(table, state, burst, first, end, out);
}

void run(const Table& table, State& state, Burst& burst, Sorted& out, Tsc) noexcept {
  begin(table, state, burst, out);
  for (uint32_t first = 0; first < burst.count; first += kPartMax)
    part(table, state, burst, first, std::min<uint32_t>(first + kPartMax, burst.count), out);
}

}  // namespace lf::parse
