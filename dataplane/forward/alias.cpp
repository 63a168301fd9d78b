// SPDX-License-Identifier: Apache-2.0
// Vose's method over fixed-point parts: a pool of n shares has n columns of kFull each, and a share
// gets its part of n * kFull, rounded; the largest share takes what rounding left over.
#include "dataplane/forward/alias.hpp"

#include <algorithm>
#include <cmath>

namespace lf::forward {
namespace {

constexpr uint64_t kFull = uint64_t{1} << 32;

struct Part {
  NodeSlot slot;
  uint64_t size;
};

bool counts(const Share& s) {
  return std::isfinite(s.weight) && s.weight > 0;
}

std::vector<Part> parts_of(std::span<const Share> shares) {
  double largest = 0;
  for (const Share& s : shares)
    if (counts(s)) largest = std::max(largest, s.weight);
  double sum = 0;  // of weights scaled to at most 1, so it can't overflow
  size_t n = 0;
  for (const Share& s : shares) {
    if (!counts(s)) continue;
    sum += s.weight / largest;
    ++n;
  }
  std::vector<Part> parts;
  parts.reserve(n);
  const double scale = static_cast<double>(n) * static_cast<double>(kFull) / sum;
  uint64_t total = 0;
  for (const Share& s : shares) {
    if (!counts(s)) continue;
    parts.push_back({s.slot, static_cast<uint64_t>(std::llround(s.weight / largest * scale))});
    total += parts.back().size;
  }
  if (parts.empty()) return parts;
  auto biggest = std::max_element(parts.begin(), parts.end(),
                                  [](const Part& a, const Part& b) { return a.size < b.size; });
  biggest->size += n * kFull - total;  // modulo 2^64: the difference may be negative
  return parts;
}

}  // namespace

Pool append_pool(std::span<const Share> shares, std::vector<AliasColumn>& columns) {
  std::vector<Part> parts = parts_of(shares);
  Pool pool{static_cast<uint32_t>(columns.size()), static_cast<uint32_t>(parts.size())};
  std::vector<size_t> small, large;  // parts that fill less than a column, and the others
  for (size_t i = 0; i < parts.size(); ++i) (parts[i].size < kFull ? small : large).push_back(i);
  while (!small.empty()) {
    const Part& s = parts[small.back()];
    small.pop_back();
    Part& l = parts[large.back()];  // there is one: the parts' mean is exactly a column
    columns.push_back({static_cast<uint32_t>(s.size), s.slot, l.slot});
    l.size -= kFull - s.size;
    if (l.size < kFull) {
      small.push_back(large.back());
      large.pop_back();
    }
  }
  for (const size_t i : large) columns.push_back({0, parts[i].slot, parts[i].slot});
  return pool;
}

}  // namespace lf::forward
