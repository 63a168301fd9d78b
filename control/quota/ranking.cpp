// SPDX-License-Identifier: Apache-2.0
#include "control/quota/ranking.hpp"

#include <algorithm>
#include <utility>

namespace lf::quota {
namespace {

bool is_above(const TopKey& a, const TopKey& b) {
  const double x = a.status.utilization_percent, y = b.status.utilization_percent;
  if (x != y) return x > y;
  return a.status.used != b.status.used ? a.status.used > b.status.used : a.key < b.key;
}

}  // namespace

void Ranking::walk(const Quotas& quotas, uint32_t keys, Tsc now) {
  const Windows& windows = quotas.windows();
  const Step step = windows.step_at(now);
  const uint32_t end = std::min(windows.open_keys(), next_ + keys);
  for (; next_ < end; ++next_) {
    const Key key = windows.open_key(next_);
    if (windows.used(key, step) == 0 && windows.rejected(key) == 0) continue;
    TopKey found{key, quotas.key_status(key, now)};
    if (found.status.limit >= 0) offer(found);
  }
  if (next_ < windows.open_keys()) return;
  next_ = 0;
  std::sort_heap(heap_.begin(), heap_.end(), is_above);
  top_ = std::exchange(heap_, {});
}

void Ranking::offer(const TopKey& key) {
  if (heap_.size() == size_) {
    if (!is_above(key, heap_.front())) return;
    std::pop_heap(heap_.begin(), heap_.end(), is_above);
    heap_.pop_back();
  }
  heap_.push_back(key);
  std::push_heap(heap_.begin(), heap_.end(), is_above);
}

}  // namespace lf::quota
