// SPDX-License-Identifier: Apache-2.0
#include "control/intake/merge.hpp"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

namespace lf::intake {
namespace {

using Run = std::span<const Key>;

constexpr size_t kRangeKeys = 8192;  // about what a range has: fits the second-level cache
constexpr size_t kSamples = 8;       // looked at for each range, to cut evenly

// Keys that cut all runs into ranges of about equal size.
std::vector<Key> cuts_of(const std::vector<Run>& runs, size_t total, const Before& before) {
  const size_t ranges = std::max<size_t>(1, total / kRangeKeys);
  const size_t stride = std::max<size_t>(1, total / (ranges * kSamples));
  std::vector<Key> samples;
  size_t skip = stride / 2;
  for (const Run& run : runs) {
    for (; skip < run.size(); skip += stride) samples.push_back(run[skip]);
    skip -= run.size();
  }
  std::sort(samples.begin(), samples.end(), before);
  std::vector<Key> cuts;
  for (size_t r = 1; r < ranges; ++r) cuts.push_back(samples[r * samples.size() / ranges]);
  return cuts;
}

// Merges neighbouring runs two by two until one is left, in `out`.
void merge_range(std::vector<Run> runs, std::span<Key> out, const Before& before) {
  // Rounds go back and forth between two places; the last one ends in `out`.
  const int rounds = runs.size() == 1 ? 1 : std::bit_width(runs.size() - 1);
  std::vector<Key> other(rounds == 1 ? 0 : out.size());
  std::span<Key> to = out, from = other;
  if (rounds % 2 == 0) std::swap(to, from);
  while (true) {
    std::vector<Run> merged;
    Key* at = to.data();
    for (size_t i = 0; i < runs.size(); i += 2) {
      const Run a = runs[i], b = i + 1 < runs.size() ? runs[i + 1] : Run{};
      Key* end = std::merge(a.begin(), a.end(), b.begin(), b.end(), at, before);
      merged.emplace_back(at, end);
      at = end;
    }
    runs = std::move(merged);
    if (runs.size() <= 1) break;
    std::swap(to, from);
  }
}

}  // namespace

uint64_t head_of(std::string_view text) {
  uint64_t head = 0;
  std::memcpy(&head, text.data(), std::min<size_t>(text.size(), sizeof head));
  return __builtin_bswap64(head);
}

bool Before::by_id_and_row(const Key& a, const Key& b) const {
  const int order = pieces_[a.chunk]->items[a.item].command_id.compare(
      pieces_[b.chunk]->items[b.item].command_id);
  if (order != 0) return order < 0;
  return a.chunk != b.chunk ? a.chunk < b.chunk : a.item < b.item;
}

std::vector<Key> merge(Pieces& pieces) {
  const Before before(pieces);
  std::vector<Run> runs;
  size_t total = 0;
  for (const auto& piece : pieces) {
    if (piece->run.empty()) continue;
    runs.emplace_back(piece->run);
    total += piece->run.size();
  }
  std::vector<Key> out(total);
  if (total == 0) return out;
  const std::vector<Key> cuts = cuts_of(runs, total, before);
  // bounds[c][r]: where range c begins in run r.
  std::vector<std::vector<size_t>> bounds(cuts.size() + 2, std::vector<size_t>(runs.size(), 0));
  std::vector<size_t> begins(cuts.size() + 2, 0);
  for (size_t c = 1; c < bounds.size(); ++c) {
    for (size_t r = 0; r < runs.size(); ++r) {
      const auto from = runs[r].begin() + static_cast<std::ptrdiff_t>(bounds[c - 1][r]);
      bounds[c][r] =
          c <= cuts.size()
              ? static_cast<size_t>(std::lower_bound(from, runs[r].end(), cuts[c - 1], before) -
                                    runs[r].begin())
              : runs[r].size();
      begins[c] += bounds[c][r];
    }
  }
  tbb::parallel_for(size_t{0}, bounds.size() - 1, [&](size_t c) {
    std::vector<Run> parts;
    for (size_t r = 0; r < runs.size(); ++r)
      if (bounds[c + 1][r] != bounds[c][r])
        parts.push_back(runs[r].subspan(bounds[c][r], bounds[c + 1][r] - bounds[c][r]));
    if (!parts.empty())
      merge_range(std::move(parts), std::span(out).subspan(begins[c], begins[c + 1] - begins[c]),
                  before);
  });
  for (auto& piece : pieces) std::vector<Key>().swap(piece->run);
  return out;
}

}  // namespace lf::intake
