// SPDX-License-Identifier: Apache-2.0
// Latencies in whatever unit the user counts (microseconds in lf-send and lf-node, nanoseconds in
// lf-gen), log-linear as an HdrHistogram: 64 buckets an octave, so a quantile is off by at most
// 1.6 %. Fixed size; histograms of several threads add up.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace lf::tools {

class Histogram {
 public:
  void add(uint64_t value) {
    ++counts_[bucket(value)];
    ++total_;
    max_ = value > max_ ? value : max_;
  }
  void add(const Histogram& other) {
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    total_ += other.total_;
    max_ = other.max_ > max_ ? other.max_ : max_;
  }
  void clear() { *this = {}; }

  uint64_t total() const { return total_; }
  uint64_t max() const { return max_; }
  // The least bucket's lower end below which a share q of all lies; 0 without any.
  uint64_t quantile(double q) const {
    const auto wanted = static_cast<uint64_t>(std::ceil(q * static_cast<double>(total_)));
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= wanted && seen > 0) return floor_of(i);
    }
    return 0;
  }
  // visit(lower end, count) for every bucket that has any, in ascending order.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (size_t i = 0; i < counts_.size(); ++i)
      if (counts_[i] != 0) visit(floor_of(i), counts_[i]);
  }

 private:
  static constexpr uint32_t kOctaves = 36;  // the last one is open
  static size_t bucket(uint64_t value) {
    if (value < 64) return value;
    const uint32_t octave = static_cast<uint32_t>(std::bit_width(value)) - 7;
    if (octave + 1 >= kOctaves) return kOctaves * 64 - 1;
    return (octave + 1) * 64 + ((value >> octave) & 63);
  }
  static uint64_t floor_of(size_t bucket) {
    if (bucket < 64) return bucket;
    const uint64_t octave = bucket / 64 - 1;
    return (64 + bucket % 64) << octave;
  }

  std::array<uint32_t, kOctaves * 64> counts_{};
  uint64_t total_ = 0, max_ = 0;
};

}  // namespace lf::tools
