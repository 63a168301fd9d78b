// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow/cache.hpp"

namespace lf::flow {

// The way to fill: a free one, else the one that is worth least.
uint32_t Cache::victim(Place p, const Ages& ages, Stamp now) const noexcept {
  constexpr uint64_t kExpired = uint64_t{1} << 34, kEnded = uint64_t{1} << 33,
                     kOpening = uint64_t{1} << 32;
  const Bucket& b = buckets_[p.bucket];
  uint32_t worst = 0;
  uint64_t most = 0;
  for (uint32_t w = 0; w < kCacheWays; ++w) {
    if (b.tag[w] == 0) return w;
    const Entry& e = entries_[p.bucket * kCacheWays + w];
    const Stamp age = now - b.seen[w];
    uint64_t expendable = age;
    if (age > age_max(e, ages)) {
      expendable += kExpired;
    } else if (e.phase >= Phase::closing) {
      expendable += kEnded;
    } else if (e.phase == Phase::opening) {
      expendable += kOpening;
    }
    if (expendable < most) continue;
    most = expendable;
    worst = w;
  }
  return worst;
}

Entry& Cache::insert(Place p, const Key& key, NodeSlot node, const Ages& ages, Stamp now,
                     NodeStats* nodes) noexcept {
  const uint32_t way = victim(p, ages, now);
  Bucket& b = buckets_[p.bucket];
  Entry& e = entries_[p.bucket * kCacheWays + way];
  if (b.tag[way] != 0) {
    if (!is_expired(p, way, e, ages, now) && e.phase < Phase::closing) counts.evicted.add(1);
    erase(p, way, nodes);
  }
  b.tag[way] = p.tag;
  b.seen[way] = now;
  e = Entry{};
  e.key = key;
  e.node = node;
  counts.opened.add(1);
  nodes[node].flows_opened.add(1);
  return e;
}

void Cache::erase(Place p, uint32_t way, NodeStats* nodes) noexcept {
  buckets_[p.bucket].tag[way] = 0;
  counts.closed.add(1);
  nodes[entries_[p.bucket * kCacheWays + way].node].flows_closed.add(1);
}

void Cache::sweep(const Ages& ages, Stamp now, NodeStats* nodes) noexcept {
  const Place p{swept_, 0};
  swept_ = (swept_ + 1) & mask_;
  __builtin_prefetch(&buckets_[swept_]);
  const Bucket& b = buckets_[p.bucket];
  for (uint32_t w = 0; w < kCacheWays; ++w) {
    // No age is shorter than that of a flow that was reset: most entries need no second look.
    if (b.tag[w] == 0 || now - b.seen[w] <= ages.reset) continue;
    if (is_expired(p, w, entries_[p.bucket * kCacheWays + w], ages, now)) erase(p, w, nodes);
  }
}

}  // namespace lf::flow
