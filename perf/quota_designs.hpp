// SPDX-License-Identifier: Apache-2.0
// Two designs of the quota window that lost against dataplane/quota/windows.hpp, kept so that
// quota_bench can measure all three side by side (docs/decisions/0003-quota-design.md).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>

namespace lf::quota::designs {

inline constexpr uint32_t kSteps = 61, kRing = 64;

// B: a count of the window and a counter of the current step, two atomic operations an admission.
// Who moves the key to a new step takes what has expired out of the ring and subtracts it.
class TwoCounters {
 public:
  explicit TwoCounters(uint32_t keys) : heads_(new Head[keys]()), rings_(new Ring[keys]()) {}

  void prefetch(uint32_t key) const { __builtin_prefetch(&heads_[key], 1); }

  uint32_t reserve(uint32_t key, uint32_t now, uint32_t want, uint32_t bound) {
    Head& h = heads_[key];
    uint64_t word = h.count.load(std::memory_order_acquire);
    if (static_cast<uint32_t>(word >> 32) < now) word = rotate(h, rings_[key], now);
    for (;;) {
      const auto used = static_cast<uint32_t>(word);
      const uint32_t granted = used >= bound ? 0 : std::min(want, bound - used);
      if (granted == 0) return 0;
      if (!h.count.compare_exchange_weak(word, word + granted, std::memory_order_acq_rel)) continue;
      uint64_t cur = h.step.load(std::memory_order_relaxed);
      while (!h.step.compare_exchange_weak(
          cur, cur >> 32 == word >> 32 ? cur + granted : (word >> 32) << 32 | granted)) {
      }
      if (cur >> 32 != word >> 32) deposit(rings_[key], cur);
      return granted;
    }
  }

 private:
  struct Head {
    std::atomic<uint64_t> count, step;
  };
  struct Ring {
    std::atomic<uint64_t> of_step[kRing];
  };

  static void deposit(Ring& r, uint64_t word) {
    r.of_step[(word >> 32) % kRing].store(word, std::memory_order_release);
  }
  static uint64_t rotate(Head& h, Ring& r, uint32_t now) {
    uint64_t word = h.count.load(std::memory_order_acquire);
    uint32_t expired = 0;
    const auto from = static_cast<uint32_t>(word >> 32);
    const uint32_t steps = std::min(now - from, kRing);
    for (uint32_t s = now - steps + 1; s <= now; ++s) {
      const uint64_t old = r.of_step[(s - kSteps) % kRing].exchange(0, std::memory_order_acq_rel);
      expired += static_cast<uint32_t>(old);
    }
    uint64_t next;
    do {
      next = uint64_t{std::max(now, static_cast<uint32_t>(word >> 32))} << 32 |
             (static_cast<uint32_t>(word) - expired);
    } while (!h.count.compare_exchange_weak(word, next, std::memory_order_acq_rel));
    return next;
  }

  std::unique_ptr<Head[]> heads_;
  std::unique_ptr<Ring[]> rings_;
};

// C: leases. Control grants each worker so much that grants outstanding and window together never
// pass the bound; a worker spends its own grant without any atomic operation. Every tick control
// books what was spent, takes back grants that lie idle and grants anew by demand.
class Leases {
 public:
  Leases(uint32_t keys, uint32_t workers, uint32_t bound)
      : keys_(keys),
        workers_(workers),
        bound_(bound),
        lease_(new Lease[keys * workers]()),
        booked_(new uint32_t[keys * workers]()),
        window_(new uint32_t[keys]()),
        ring_(new uint32_t[uint64_t{keys} * kRing]()) {}

  void prefetch(uint32_t worker, uint32_t key) const {
    __builtin_prefetch(&lease_[worker * keys_ + key], 1);
  }

  // Thread: that worker.
  uint32_t reserve(uint32_t worker, uint32_t key, uint32_t want) {
    Lease& l = lease_[worker * keys_ + key];
    const uint32_t used = l.used.load(std::memory_order_relaxed);
    const uint32_t left = l.granted.load(std::memory_order_acquire) - used;
    const uint32_t take = std::min(want, left);
    l.used.store(used + take, std::memory_order_release);
    return take;
  }

  // Thread: control. One key's share of a tick at step `now`; `demand` per worker and tick.
  void tick(uint32_t key, uint32_t now, uint32_t demand) {
    uint32_t outstanding = 0;
    uint32_t& step = ring_[uint64_t{key} * kRing + now % kRing];
    for (uint32_t w = 0; w < workers_; ++w) {
      Lease& l = lease_[w * keys_ + key];
      const uint32_t used = l.used.load(std::memory_order_acquire);
      const uint32_t spent = used - booked_[w * keys_ + key];
      booked_[w * keys_ + key] = used;
      step += spent;
      window_[key] += spent;
      outstanding += l.granted.load(std::memory_order_relaxed) - used;
    }
    for (uint32_t w = 0; w < workers_; ++w) {
      Lease& l = lease_[w * keys_ + key];
      const uint32_t left =
          l.granted.load(std::memory_order_relaxed) - l.used.load(std::memory_order_relaxed);
      const uint32_t room =
          bound_ > window_[key] + outstanding ? bound_ - window_[key] - outstanding : 0;
      const uint32_t more = std::min(demand > left ? demand - left : 0, room);
      l.granted.fetch_add(more, std::memory_order_release);
      outstanding += more;
    }
  }

  void begin_step(uint32_t key, uint32_t now) {
    uint32_t& old = ring_[uint64_t{key} * kRing + now % kRing];
    window_[key] -= old;
    old = 0;
  }
  uint32_t used(uint32_t key) const { return window_[key]; }

 private:
  struct Lease {
    std::atomic<uint32_t> granted, used;
  };

  uint32_t keys_, workers_, bound_;
  std::unique_ptr<Lease[]> lease_;
  std::unique_ptr<uint32_t[]> booked_, window_, ring_;
};

}  // namespace lf::quota::designs
