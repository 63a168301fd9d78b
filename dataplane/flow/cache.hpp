// SPDX-License-Identifier: Apache-2.0
// A worker's memory of the flows it has seen: which node each has. Fixed size, eight ways a bucket:
// one cache line of tags and times, one line an entry, the whole key compared. A full bucket loses
// the flow that is worth least: one that ended or expired, one that never got beyond its first
// packet, else the one not heard of for longest. A flow that was lost gets its node from the
// Maglev table again. One owner, the worker.
#pragma once

#include <immintrin.h>
#include <netinet/in.h>

#include <algorithm>
#include <bit>
#include <cstdint>

#include "dataplane/core/types.hpp"
#include "dataplane/core/worker_stats.hpp"
#include "dataplane/core/zeroed_array.hpp"
#include "dataplane/flow/key.hpp"
#include "dataplane/flow/table.hpp"

namespace lf::flow {

enum class Phase : uint8_t { opening, open, closing, reset };

inline constexpr uint32_t kNoNat = 0xffffffff;

struct alignas(kCacheLine) Entry {
  Key key;
  uint32_t node_epoch = 0;  // Table::keeps of the node when it was chosen
  uint32_t nat = kNoNat;    // the flow's place in the NAT table
  Stamp nat_touched = 0;    // when that was last said to be alive
  NodeSlot node = kNoNode;
  uint16_t nat_port = 0;  // own port of the flow, wire order
  Phase phase = Phase::opening;
};
static_assert(sizeof(Entry) == kCacheLine);

inline constexpr uint32_t kCacheWays = 8;

struct CacheCounts {
  Counter opened;   // flows entered
  Counter closed;   // flows forgotten: ended, expired or evicted
  Counter evicted;  // of those, while they were alive
};

class Cache {
 public:
  // At least `entries`; `seed` makes buckets unforeseeable.
  Cache(uint32_t entries, uint64_t seed)
      : buckets_(std::bit_ceil((std::max(entries, 1u) + kCacheWays - 1) / kCacheWays)),
        entries_(buckets_.size() * kCacheWays),
        mask_(static_cast<uint32_t>(buckets_.size()) - 1),
        seed_(seed | 1) {}

  bool is_usable() const noexcept { return entries_.size() != 0; }
  uint32_t capacity() const noexcept { return static_cast<uint32_t>(entries_.size()); }

  // Where a flow may be: a bucket, and what its tag is there.
  struct Place {
    uint32_t bucket = 0;
    uint32_t tag = 0;
  };
  Place place_of(uint64_t hash) const noexcept {
    const uint64_t mixed = fold_product(hash, seed_);
    return {static_cast<uint32_t>(mixed) & mask_, static_cast<uint32_t>(mixed >> 32) | 1};
  }
  void prefetch(Place p) const noexcept { __builtin_prefetch(&buckets_[p.bucket], 1); }
  // Ways whose tag is the place's, a bit each; their first entry is on its way into the cache.
  uint32_t ways(Place p) const noexcept {
    const auto* tags = reinterpret_cast<const __m256i*>(buckets_[p.bucket].tag);
    const __m256i same =
        _mm256_cmpeq_epi32(_mm256_load_si256(tags), _mm256_set1_epi32(static_cast<int>(p.tag)));
    const auto ways = static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(same)));
    if (ways != 0) __builtin_prefetch(&entries_[index_of(p, ways)], 1);
    return ways;
  }

  // The flow's entry among `ways`, or nullptr; expired ones count.
  Entry* find(Place p, uint32_t ways, const Key& key, uint32_t& way) noexcept {
    for (; ways != 0; ways &= ways - 1) {
      Entry& e = entries_[index_of(p, ways)];
      if (e.key == key) [[likely]] {
        way = static_cast<uint32_t>(std::countr_zero(ways));
        return &e;
      }
    }
    return nullptr;
  }
  bool is_expired(Place p, uint32_t way, const Entry& e, const Ages& ages,
                  Stamp now) const noexcept {
    return now - buckets_[p.bucket].seen[way] > age_max(e, ages);
  }
  void touch(Place p, uint32_t way, Stamp now) noexcept { buckets_[p.bucket].seen[way] = now; }

  // Room for a flow that find() does not know; the caller fills the entry. Counts for `nodes`.
  Entry& insert(Place p, const Key& key, NodeSlot node, const Ages& ages, Stamp now,
                NodeStats* nodes) noexcept;
  void erase(Place p, uint32_t way, NodeStats* nodes) noexcept;
  // Forgets what has expired in the next bucket; called at a steady pace.
  void sweep(const Ages& ages, Stamp now, NodeStats* nodes) noexcept;

  CacheCounts counts;

 private:
  struct alignas(kCacheLine) Bucket {
    uint32_t tag[kCacheWays];  // 0: free
    Stamp seen[kCacheWays];
  };
  static uint32_t index_of(Place p, uint32_t ways) noexcept {
    return p.bucket * kCacheWays + static_cast<uint32_t>(std::countr_zero(ways));
  }
  static Stamp age_max(const Entry& e, const Ages& ages) noexcept {
    if (e.phase == Phase::open) [[likely]]
      return e.key.protocol == IPPROTO_TCP ? ages.tcp_idle : ages.udp_idle;
    return e.phase == Phase::opening ? ages.opening
           : e.phase == Phase::closing ? ages.closing
                                       : ages.reset;
  }
  uint32_t victim(Place p, const Ages& ages, Stamp now) const noexcept;

  ZeroedArray<Bucket> buckets_;
  ZeroedArray<Entry> entries_;
  uint32_t mask_;
  uint64_t seed_;
  uint32_t swept_ = 0;
};

}  // namespace lf::flow
