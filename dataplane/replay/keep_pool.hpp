// SPDX-License-Identifier: Apache-2.0
// The replayable commands that one worker has sent and that nobody has answered yet: each keeps a
// reference to its packet, so that it can be sent to another node when the breaker of its own
// opens. A fixed number of places, a list per node in the order of sending; all memory is taken at
// construction. One pool per worker, touched by that worker alone, save for report().
//
// Answers come in on any worker, so nobody tells the pool about them: it asks. `owed` is a callable
// (ledger_ref, stamp) -> bool that says whether that transmission still waits for its answer, and
// may have a prefetch(ledger_ref), and an expired(kept) that is told of what is let go unanswered
// at its deadline. Once the pool is three quarters full, each keep() asks it about places, around
// and around, until it has freed a settled one or asked four times.
#pragma once

#include <rte_mbuf.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "dataplane/core/burst.hpp"
#include "dataplane/core/mbuf_note.hpp"
#include "dataplane/core/types.hpp"
#include "dataplane/core/worker_stats.hpp"
#include "dataplane/replay/orders.hpp"
#include "dataplane/rewrite/client.hpp"

namespace lf::replay {

inline constexpr uint32_t kSweepPerKeep = 4;    // places asked about at most when one is kept
inline constexpr uint32_t kWalkPerPoll = 64;    // kept commands looked at in one poll
inline constexpr uint32_t kSearchPerPoll = 64;  // orders looked at in one poll

// A command that is kept.
struct Kept {
  rte_mbuf* mbuf = nullptr;  // none: the place is free, or its packet is taken out
  uint64_t ledger_ref = 0;
  uint64_t deadline_us = 0;
  uint32_t stamp = 0;               // of the transmission
  uint32_t next = 0, previous = 0;  // in its node's list; next: in the list of free places
  NodeSlot node = kNoNode;
  uint16_t epoch = 0;  // of the node's breaker when it was sent
  rewrite::Client client;
};

// What a poll found to do: places in the pool, oldest first.
struct Work {
  Phase phase = Phase::none;  // send or refuse; none: nothing to do now
  NodeSlot node = kNoNode;
  uint16_t count = 0;
  uint64_t refuse_to_us = 0;  // Scope::deadline_us of the order
  uint32_t place[kBurstMax];
};

// What a worker reports about an order.
struct Report {
  uint16_t ticket = 0;  // of the order that it has walked to its end
  uint32_t left = 0;    // commands of its scope, in time, that were neither sent nor refused
};

class KeepPool {
 public:
  // capacity 0: keeps nothing.
  explicit KeepPool(uint32_t capacity);
  ~KeepPool();
  KeepPool(const KeepPool&) = delete;
  KeepPool& operator=(const KeepPool&) = delete;

  // Takes a reference to a command that is about to be sent, and a copy of its metadata as they
  // are now. False: no place could be had.
  template <typename Owed>
  bool keep(rte_mbuf* m, const Meta& meta, const rewrite::Client& client, uint32_t stamp,
            uint64_t now_us, Owed&& owed) noexcept {
    if (size() >= sweep_from_) sweep(kSweepPerKeep, 1, now_us, owed);
    const uint32_t place = free_;
    if (place == kEnd) return false;
    free_ = places_[place].next;
    rte_mbuf_refcnt_update(m, 1);
    note_of(m).meta = meta;
    Kept& k = places_[place];
    k.mbuf = m;
    k.ledger_ref = meta.ledger_ref;
    k.deadline_us = meta.deadline_us;
    k.stamp = stamp;
    k.node = meta.node;
    k.epoch = meta.breaker_epoch;
    k.client = client;
    append(place);
    resize(1);
    return true;
  }

  // Looks at the next places, around and around, and frees up to `enough` that are settled or late.
  template <typename Owed>
  void sweep(uint32_t places, uint32_t enough, uint64_t now_us, Owed&& owed) noexcept {
    for (; places > 0 && enough > 0 && size() > 0; --places) {
      const uint32_t place = hand_;
      hand_ = hand_ + 1 < places_.size() ? hand_ + 1 : 0;
      const Kept& k = places_[place];
      if (!k.mbuf) continue;
      const bool waits = owed(k.ledger_ref, k.stamp);
      if (waits && k.deadline_us >= now_us) continue;
      if (waits) {
        expired_.add(1);
        if constexpr (requires { owed.expired(k); }) owed.expired(k);
      }
      drop(place);
      --enough;
    }
    look_ahead(owed);
  }

  // Once a loop, when orders.active() is not 0: walks on along one order. Fills `work` with
  // commands to be sent again or refused; for each the caller then calls take_out() and done(), or
  // drop(), in the same loop.
  template <typename Owed>
  void poll(Orders& orders, uint64_t now_us, Work& work, Owed&& owed) noexcept {
    work.phase = Phase::none;
    work.count = 0;
    if (!find_job(orders)) return;
    Scope scope;
    const Order order = orders.read(job_.node, scope);
    if (order.ticket != job_.ticket || order.phase == Phase::none) return leave_job();
    work.refuse_to_us = scope.deadline_us;
    const uint32_t most = order.phase == Phase::send ? order.batch : kBurstMax;
    for (uint32_t looks = 0; looks < kWalkPerPoll && work.count < most; ++looks) {
      const uint32_t place = job_.cursor;
      if (place == kEnd || !is_before(places_[place].epoch, scope.before_epoch)) {
        job_.at_end = true;
        break;
      }
      const Kept& k = places_[place];
      job_.cursor = k.next;
      if (!owed(k.ledger_ref, k.stamp)) {
        drop(place);
      } else if (wants(order.phase, k, scope, now_us)) {
        work.place[work.count++] = place;
      } else if (k.deadline_us >= now_us) {
        ++job_.left;
      }
    }
    finish_poll(orders, order, work);
  }

  // Between poll() and done() or drop().
  const Kept& kept(uint32_t place) const noexcept { return places_[place]; }

  // The packet, writable and owned by the caller, its metadata in its Note. When the driver still
  // has the packet it is copied into an mbuf of `copies`; null: there was none, the packet stays.
  rte_mbuf* take_out(uint32_t place, rte_mempool* copies) noexcept;
  void done(uint32_t place) noexcept;  // frees the place
  void drop(uint32_t place) noexcept;  // frees the place and its packet

  // Frees everything; after the loop has ended.
  void clear() noexcept;

  uint32_t capacity() const noexcept { return static_cast<uint32_t>(places_.size()); }

  // Thread: any. Writer: the worker.
  uint32_t size() const noexcept { return size_.load(std::memory_order_relaxed); }
  // Commands that were dropped unanswered at their deadline.
  uint64_t expired() const noexcept { return expired_.read(); }
  Report report(NodeSlot node) const noexcept {
    const uint64_t word = reports_[node].load(std::memory_order_acquire);
    return {static_cast<uint16_t>(word >> 32), static_cast<uint32_t>(word)};
  }

 private:
  static constexpr uint32_t kEnd = 0xffffffff;

  // The order that is being carried out.
  struct Job {
    NodeSlot node = kNoNode;
    uint16_t ticket = 0;
    bool at_end = false;
    uint32_t cursor = kEnd;  // next place to look at
    uint32_t left = 0;       // for the report
  };
  struct List {
    uint32_t head = kEnd, tail = kEnd;
  };

  static bool is_before(uint16_t epoch, uint16_t limit) noexcept {
    return static_cast<int16_t>(epoch - limit) < 0;
  }
  static bool wants(Phase phase, const Kept& k, const Scope& scope, uint64_t now_us) noexcept {
    if (phase == Phase::send) return k.deadline_us >= now_us;
    return phase == Phase::refuse && k.deadline_us <= scope.deadline_us;
  }

  void resize(int by) noexcept { size_.store(size() + by, std::memory_order_relaxed); }
  // Gets what the next sweep touches on its way to the cache.
  template <typename Owed>
  void look_ahead(Owed&& owed) noexcept {
    for (uint32_t n = 0; n < 2 && hand_ + n < places_.size(); ++n) {
      const Kept& k = places_[hand_ + n];
      if (!k.mbuf) continue;
      __builtin_prefetch(k.mbuf);
      if (k.previous != kEnd) __builtin_prefetch(&places_[k.previous], 1);
      if (k.next != kEnd) __builtin_prefetch(&places_[k.next], 1);
      if constexpr (requires { owed.prefetch(uint64_t{}); }) owed.prefetch(k.ledger_ref);
    }
  }

  bool find_job(const Orders& orders) noexcept;
  void leave_job() noexcept { job_ = {}; }
  void finish_poll(Orders& orders, const Order& order, Work& work) noexcept;
  void append(uint32_t place) noexcept;
  void unlink(uint32_t place) noexcept;

  std::vector<Kept> places_;
  std::vector<List> lists_;                     // by node
  std::vector<std::atomic<uint64_t>> reports_;  // by node: [ticket:16][left:32]
  Job job_;
  uint32_t free_ = kEnd;
  uint32_t sweep_from_;  // size from which on keep() sweeps
  std::atomic<uint32_t> size_{0};
  uint32_t hand_ = 0;  // of the sweep
  Counter expired_;
  uint32_t search_from_ = 0;  // where the search for an order goes on
};

}  // namespace lf::replay
