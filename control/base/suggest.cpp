// SPDX-License-Identifier: Apache-2.0
#include "control/base/suggest.hpp"

#include <algorithm>
#include <numeric>

namespace lf {
namespace {

constexpr size_t kLongest = 64;      // longer words are not typing mistakes
constexpr size_t kShortestPart = 3;  // "timeout" for "timeout_ms", but not "id" for "idle"

// Levenshtein distance, one row at a time.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  if (word.size() > kLongest) return best;
  size_t least = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const bool extends = (word.starts_with(candidate) || candidate.starts_with(word)) &&
                         std::min(word.size(), candidate.size()) >= kShortestPart;
    const size_t d = extends ? 1 : distance(word, candidate);
    if (d < least && d < word.size()) {
      least = d;
      best = candidate;
    }
  }
  return best;
}

}  // namespace lf
