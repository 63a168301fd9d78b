// SPDX-License-Identifier: Apache-2.0
#include "dataplane/policy/match.hpp"

#include <immintrin.h>

#include <algorithm>

namespace lf::policy {
namespace {

// table[value(packet)] goes into the leaf's slot, for every packet: alone, or added to what other
// leaves have put there.
template <typename Value>
void put_leaf(const Leaf& leaf, bool first, const Meta* const* packets, uint32_t count,
              Classes& classes, Value value) noexcept {
  uint16_t* out = classes.value[leaf.slot];
  const uint16_t* table = leaf.table.data();
  if (first) {
    for (uint32_t k = 0; k < count; ++k) out[k] = table[value(*packets[k])];
  } else {
    for (uint32_t k = 0; k < count; ++k)
      out[k] = static_cast<uint16_t>(out[k] + table[value(*packets[k])]);
  }
}

void classify_leaf(const Program& p, const Leaf& leaf, bool first, const Meta* const* packets,
                   uint32_t count, Classes& classes) noexcept {
  const auto add = [&](auto value) { put_leaf(leaf, first, packets, count, classes, value); };
  switch (leaf.dim) {
    case Dim::clearance:
      return add([](const Meta& m) { return uint32_t{m.clearance()}; });
    case Dim::mfa:
      return add([](const Meta& m) { return uint32_t{m.mfa_level()}; });
    case Dim::severity:
      return add([](const Meta& m) { return uint32_t{m.severity}; });
    case Dim::comms:
      return add([](const Meta& m) { return uint32_t{m.comms_degraded}; });
    case Dim::intent:
      return add([](const Meta& m) { return uint32_t{m.intent}; });
    case Dim::role:
      return add([mask = p.role_mask](const Meta& m) { return _pext_u32(m.role_bits, mask); });
    case Dim::risk:
      return add([](const Meta& m) { return std::min<uint32_t>(m.risk_centi, 10'000); });
    case Dim::org:
      return add([last = p.org_values - 1](const Meta& m) { return std::min(m.org, last); });
    case Dim::group:
      return add([last = static_cast<uint32_t>(leaf.table.size()) - 1](const Meta& m) {
        return std::min<uint32_t>(m.target_group, last);
      });
  }
}

void merge(const Merge& m, uint32_t count, Classes& classes) noexcept {
  const uint16_t* a = classes.value[m.a];
  uint16_t* to = classes.value[m.to];
  const uint16_t* table = m.table.data();
  if (m.b == Merge::kNoSlot) {
    for (uint32_t k = 0; k < count; ++k) to[k] = table[a[k]];
    return;
  }
  const uint16_t* b = classes.value[m.b];
  for (uint32_t k = 0; k < count; ++k) to[k] = table[a[k] * m.width + b[k]];
}

// Lowest bit at or after `from` in the AND of one line of all finals.
uint32_t match_in_line(const Program& p, const BitLine* const* rows, uint32_t line,
                       uint32_t from) noexcept {
  const size_t finals = p.finals.size();
  const __m256i* first = reinterpret_cast<const __m256i*>(rows[0] + line);
  __m256i low = _mm256_load_si256(first), high = _mm256_load_si256(first + 1);
  for (size_t f = 1; f < finals; ++f) {
    const __m256i* row = reinterpret_cast<const __m256i*>(rows[f] + line);
    low = _mm256_and_si256(low, _mm256_load_si256(row));
    high = _mm256_and_si256(high, _mm256_load_si256(row + 1));
  }
  const __m256i any = _mm256_or_si256(low, high);
  if (_mm256_testz_si256(any, any)) return kNoRow;
  alignas(kCacheLine) uint64_t words[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(words), low);
  _mm256_store_si256(reinterpret_cast<__m256i*>(words + 4), high);
  const uint32_t base = line * kLineRows;
  uint32_t w = 0;
  if (from > base) {
    w = (from - base) / 64;
    words[w] &= ~uint64_t{0} << (from % 64);
  }
  for (; w < 8; ++w)
    if (words[w]) return base + w * 64 + static_cast<uint32_t>(__builtin_ctzll(words[w]));
  return kNoRow;
}

// Packets whose bitmaps are asked for together. Two groups of them are on their way at once, with some
// three lines a packet: more would be dropped (docs/decisions/0006).
constexpr uint32_t kGroup = 4;

// Asks for the line of each bitmap that next_match() will look at first.
void prefetch_lines(const Program& p, const Classes& classes, uint32_t k) noexcept {
  const size_t lines = p.lines_per_row, summary_words = (lines + 63) / 64;
  uint64_t left = ~uint64_t{0};
  for (const Final& f : p.finals)
    left &= f.summary[classes.value[f.slot][k] * summary_words];
  if (left == 0) return;
  const auto line = static_cast<size_t>(__builtin_ctzll(left));
  for (const Final& f : p.finals)
    __builtin_prefetch(f.lines.data() + classes.value[f.slot][k] * lines + line);
}

}  // namespace

void classify(const Program& program, const Meta* meta, const uint8_t* selection, uint32_t count,
              Classes& classes) noexcept {
  const Meta* packets[kBurstMax];
  for (uint32_t k = 0; k < count; ++k) packets[k] = &meta[selection[k]];
  uint32_t begun = 0;  // slots, a bit each
  static_assert(kSlotsMax <= 32);
  for (const Leaf& leaf : program.leaves) {
    const uint32_t slot = 1u << leaf.slot;
    classify_leaf(program, leaf, (begun & slot) == 0, packets, count, classes);
    begun |= slot;
  }
  for (const Merge& m : program.merges) merge(m, count, classes);
}

uint32_t next_match(const Program& p, const Classes& classes, uint32_t k, uint32_t from) noexcept {
  const BitLine* rows[kDims];
  const uint64_t* summaries[kDims];
  const uint32_t lines = p.lines_per_row, summary_words = (lines + 63) / 64;
  const size_t finals = p.finals.size();
  for (size_t f = 0; f < finals; ++f) {
    const size_t c = classes.value[p.finals[f].slot][k];
    rows[f] = p.finals[f].lines.data() + c * lines;
    summaries[f] = p.finals[f].summary.data() + c * summary_words;
  }
  const uint32_t first_line = from / kLineRows;
  for (uint32_t s = first_line / 64; s < summary_words; ++s) {
    uint64_t left = summaries[0][s];
    for (size_t f = 1; f < finals; ++f) left &= summaries[f][s];
    if (s == first_line / 64) left &= ~uint64_t{0} << (first_line % 64);
    for (; left; left &= left - 1) {
      const uint32_t line = s * 64 + static_cast<uint32_t>(__builtin_ctzll(left));
      const uint32_t row = match_in_line(p, rows, line, from);
      if (row != kNoRow) return row;
    }
  }
  return kNoRow;
}

void first_matches(const Program& p, const Classes& classes, uint32_t count,
                   uint32_t* rows) noexcept {
  if (p.finals.size() == 1) {
    const uint16_t* c = classes.value[p.finals[0].slot];
    for (uint32_t k = 0; k < count; ++k) rows[k] = p.first_row[c[k]];
    return;
  }
  for (uint32_t k = 0; k < kGroup && k < count; ++k) prefetch_lines(p, classes, k);
  for (uint32_t first = 0; first < count; first += kGroup) {
    const uint32_t end = std::min(first + kGroup, count);
    for (uint32_t k = end; k < end + kGroup && k < count; ++k) prefetch_lines(p, classes, k);
    for (uint32_t k = first; k < end; ++k) rows[k] = next_match(p, classes, k, 0);
  }
}

}  // namespace lf::policy
