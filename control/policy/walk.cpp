// SPDX-License-Identifier: Apache-2.0
#include "control/policy/walk.hpp"

#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>

namespace lf::policy {
namespace {

ClassMap pattern_classes(const RowList& list, uint32_t mask) {
  ClassMap map;  // has no Dim of its own: kDims
  BitmapSet set;
  for (uint32_t v = 0; v < 1u << std::popcount(mask); ++v) {
    const uint32_t patterns = _pdep_u32(v, mask);
    Bits bits(list.words());
    for (uint32_t r = 0; r < list.rows.size(); ++r)
      if (list.rows[r]->patterns.test(patterns)) policy::set(bits, r);
    map.of_value.push_back(set.intern(std::move(bits)));
  }
  map.rows = set.take();
  return map;
}

}  // namespace

Walk::Walk(const RowList& list, const OrgIds& orgs, uint32_t pattern_mask)
    : maps_(build_classes(list, orgs)) {
  maps_.push_back(pattern_classes(list, pattern_mask));
  for (const Condition* c : list.rows) constrained_.push_back(constrained_dims(*c));
  order_.resize(kWalkDims);
  std::iota(order_.begin(), order_.end(), 0);
  std::stable_sort(order_.begin(), order_.end(), [this](uint32_t a, uint32_t b) {
    return maps_[a].rows.size() < maps_[b].rows.size();
  });
  region_ = everything();
}

Walk::Region Walk::everything() const {
  Region region;
  for (uint32_t d = 0; d < kWalkDims; ++d) {
    region[d].resize(maps_[d].rows.size());
    std::iota(region[d].begin(), region[d].end(), 0);
  }
  return region;
}

bool Walk::run(uint64_t steps, const Prune& prune, const Visit& visit) {
  steps_left_ = steps;
  prune_ = &prune;
  visit_ = &visit;
  Bits all((constrained_.size() + 63) / 64, ~uint64_t{0});
  if (constrained_.size() % 64) all.back() = ~uint64_t{0} >> (64 - constrained_.size() % 64);
  return descend(0, all, (1u << kWalkDims) - 1);
}

bool Walk::descend(uint32_t depth, const Bits& rows, uint32_t open) {
  if (steps_left_ == 0) return false;
  --steps_left_;
  if ((*prune_)(rows, open)) return true;
  if (depth == kWalkDims) {
    (*visit_)(rows, region_);
    return true;
  }
  const uint32_t dim = order_[depth];
  const ClassMap& map = maps_[dim];
  std::map<Bits, std::vector<uint32_t>> by_rows;
  for (uint32_t c = 0; c < map.rows.size(); ++c) by_rows[rows & map.rows[c]].push_back(c);
  const std::vector<uint32_t> all = std::move(region_[dim]);
  bool complete = true;
  for (auto& [left, classes] : by_rows) {
    region_[dim] = std::move(classes);
    complete = complete && descend(depth + 1, left, open & ~(1u << dim));
  }
  region_[dim] = all;
  return complete;
}

}  // namespace lf::policy
