// SPDX-License-Identifier: Apache-2.0
// A timing wheel: items that come due later, kept by one worker. Delayed packets (quota) and the
// time-outs of commands in flight (ledger) wait here. Insert and expire are O(1) an item; all
// memory is taken at construction; nothing is allocated afterwards and nothing is shared.
//
// Time is cut into ticks of one slot width. An item is never handed out early and, when expire()
// is called often, at most one slot width late. An item further away than one revolution stays in
// its slot and is passed over once a revolution. An item that is due already when it is inserted
// comes out with the next expire(). `now` may jump: forward, everything due comes out in order;
// backward, nothing comes out before its time.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "dataplane/core/types.hpp"

namespace lf {

template <typename Item>
class TimingWheel {
  static_assert(std::is_trivially_copyable_v<Item>);

  static constexpr uint32_t kEnd = 0xffffffff;
  static constexpr size_t kAhead = 4 * kCacheLine;  // of the places that inserts fill
  static constexpr uint64_t kTickMax = UINT64_MAX - 1;  // so that one tick more is a number

  struct Entry {
    uint64_t tick;  // first tick at which it may come out
    uint32_t next;
    Item item;
  };
  struct List {
    uint32_t head = kEnd, tail = kEnd;
  };

 public:
  // capacity: most items at once. slot_tsc: slot width, rounded down to a power of two, at least 1.
  // slots: rounded up to a power of two. Best when slots * slot_tsc covers the usual delay.
  TimingWheel(uint32_t capacity, Tsc slot_tsc, uint32_t slots)
      : shift_(slot_tsc > 1 ? static_cast<uint32_t>(std::bit_width(slot_tsc)) - 1 : 0),
        mask_(std::bit_ceil(slots > 1 ? slots : 1u) - 1),
        free_mask_(std::bit_ceil(capacity > 1 ? capacity : 1u) - 1),
        slots_(mask_ + 1),
        entries_(capacity),
        free_(size_t{free_mask_} + 1) {
    for (uint32_t i = 0; i < capacity; ++i) free_[i] = i;
    free_end_ = capacity;
  }

  // False, and nothing kept, when the pool is full.
  bool insert(const Item& item, Tsc due) noexcept { return insert_at(item, tick_of(due)); }

  // The first tick at which an item that is due then may come out.
  uint64_t tick_of(Tsc due) const noexcept {
    const Tsc part = due & ((Tsc{1} << shift_) - 1);
    return std::min((due >> shift_) + (part != 0), kTickMax);
  }
  bool insert_at(const Item& item, uint64_t tick) noexcept { return Run(*this, tick).insert(item); }

  // Inserts items of one tick, one after the other; nothing else may be done with the wheel until
  // the run ends. Keeps what it needs at hand, so that an insert is a few stores.
  class Run {
   public:
    Run(TimingWheel& wheel, uint64_t tick) noexcept
        : wheel_(wheel),
          list_(tick < wheel.cursor_ ? wheel.overdue_ : wheel.slots_[tick & wheel.mask_]),
          entries_(wheel.entries_.data()),
          link_(list_.head == kEnd ? &list_.head : &entries_[list_.tail].next),
          last_(list_.tail),
          tick_(tick) {
      take_places();
    }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;
    ~Run() {
      *link_ = kEnd;
      list_.tail = last_;
      give_places_back();
    }
    bool insert(const Item& item) noexcept {
      if (place_ == places_end_) [[unlikely]] {
        give_places_back();
        if (!take_places()) return false;
      }
      const uint32_t e = *place_++;
      Entry& entry = entries_[e];
      // Free places mostly are next to each other, see free_.
      __builtin_prefetch(reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(&entry) + kAhead), 1);
      entry.tick = tick_;
      entry.item = item;
      *link_ = e;
      link_ = &entry.next;
      last_ = e;
      return true;
    }

   private:
    // The free places that lie together in the queue. False: there are none.
    bool take_places() noexcept {
      const uint64_t begin = wheel_.free_begin_ & wheel_.free_mask_;
      const uint64_t count = wheel_.free_end_ - wheel_.free_begin_;
      place_ = wheel_.free_.data() + begin;
      places_end_ = place_ + std::min<uint64_t>(count, wheel_.free_.size() - begin);
      return count != 0;
    }
    void give_places_back() noexcept {
      const uint64_t begin = wheel_.free_begin_ & wheel_.free_mask_;
      wheel_.free_begin_ += static_cast<uint64_t>(place_ - wheel_.free_.data()) - begin;
    }

    TimingWheel& wheel_;
    List& list_;
    Entry* entries_;
    const uint32_t *place_, *places_end_;
    uint32_t* link_;  // where the next item's place belongs
    uint32_t last_;
    uint64_t tick_;
  };

  // Takes out at most max items whose time has come: first those that were due already when they
  // were inserted, then in order of ticks; within each, in order of insertion. When it returns max
  // there may be more: call again.
  uint32_t expire(Tsc now, Item* out, uint32_t max) noexcept {
    const uint64_t now_tick = std::min(now >> shift_, kTickMax);
    uint32_t taken = take_due(overdue_, now_tick, out, max);
    uint64_t idle = 0;  // ticks passed since the last one that gave an item
    while (cursor_ <= now_tick) {
      if (taken == max) break;  // the caller has not heard yet that nothing else is due
      if (size() == 0) {
        cursor_ = now_tick + 1;
        break;
      }
      const uint32_t got = take_due(slots_[cursor_ & mask_], cursor_, out + taken, max - taken);
      taken += got;
      if (taken == max) break;  // this tick may hold more
      ++cursor_;
      idle = got > 0 ? 0 : idle + 1;
      if (idle > mask_) {  // a whole revolution for nothing: go where the next item is
        skip_to_next(now_tick);
        idle = 0;
      }
    }
    return taken;
  }

  uint32_t size() const noexcept {
    return static_cast<uint32_t>(entries_.size() - (free_end_ - free_begin_));
  }
  uint32_t capacity() const noexcept { return static_cast<uint32_t>(entries_.size()); }
  Tsc slot_tsc() const noexcept { return Tsc{1} << shift_; }

 private:
  // Moves up to max entries with tick <= limit out of a list; the others keep their order.
  uint32_t take_due(List& list, uint64_t limit, Item* out, uint32_t max) noexcept {
    uint32_t taken = 0;
    uint32_t previous = kEnd;
    for (uint32_t e = list.head; e != kEnd && taken < max;) {
      Entry& entry = entries_[e];
      const uint32_t next = entry.next;
      if (entry.tick > limit) {
        previous = e;
      } else {
        out[taken++] = entry.item;
        (previous == kEnd ? list.head : entries_[previous].next) = next;
        if (list.tail == e) list.tail = previous;
        free_[free_end_++ & free_mask_] = e;
      }
      e = next;
    }
    return taken;
  }

  // Moves the cursor to the earliest item in the wheel, or past now when none is due. Only reached
  // after a jump in time or with items further away than one revolution.
  void skip_to_next(uint64_t now_tick) noexcept {
    uint64_t earliest = now_tick + 1;
    for (const List& list : slots_)
      for (uint32_t e = list.head; e != kEnd; e = entries_[e].next)
        if (entries_[e].tick < earliest) earliest = entries_[e].tick;
    if (earliest > cursor_) cursor_ = earliest;
  }

  uint32_t shift_;
  uint32_t mask_;
  uint32_t free_mask_;
  uint64_t cursor_ = 0;  // next tick to look at; all items of earlier ones are in overdue_
  List overdue_;
  std::vector<List> slots_;
  std::vector<Entry> entries_;
  // Free places, a queue: known without a look at them, and taken in the order in which they were
  // given back, which mostly is that in which they lie. Of a power of two.
  std::vector<uint32_t> free_;
  uint64_t free_begin_ = 0, free_end_ = 0;
};

}  // namespace lf
