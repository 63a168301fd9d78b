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
//
// The items of a slot lie in chunks, one behind the other in the order of insertion, so that an
// insert is a store and expiry reads memory in order. Chunks that have become free are used again
// first, while the caches still have them.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "dataplane/core/types.hpp"

namespace lf {

// kTogether: items in a chunk.
template <typename Item, uint32_t kTogether = 8>
class TimingWheel {
  static_assert(std::is_trivially_copyable_v<Item>);

  static constexpr uint32_t kEnd = 0xffffffff;
  static constexpr size_t kAhead = 4 * kCacheLine;  // of the places that inserts fill
  static constexpr uint64_t kTickMax = UINT64_MAX - 1;  // so that one tick more is a number
  // That a list may have hardly filled: one that expire() has begun to empty, one it stopped in,
  // one that inserts fill. Of the others more than half is in use.
  static constexpr uint32_t kHardlyFilled = 3;

  struct Entry {
    uint64_t tick;  // first tick at which it may come out
    Item item;
  };
  struct Chunk {
    uint32_t next;
    uint16_t begin, end;  // the entries that are used; some, while it is in a list
    Entry entries[kTogether];
  };
  static_assert(kTogether <= UINT16_MAX);
  struct List {
    uint32_t head = kEnd, tail = kEnd;
  };
  // Entries that inserts fill: those from begin on are new, those from next on are free.
  struct Span {
    Entry *begin, *next, *end;
  };
  // A place in a list.
  struct Place {
    uint32_t chunk, entry;
    bool operator==(const Place&) const = default;
  };

 public:
  // capacity: most items at once. slot_tsc: slot width, rounded down to a power of two, at least 1.
  // slots: rounded up to a power of two. Best when slots * slot_tsc covers the usual delay.
  TimingWheel(uint32_t capacity, Tsc slot_tsc, uint32_t slots)
      : capacity_(capacity),
        shift_(slot_tsc > 1 ? static_cast<uint32_t>(std::bit_width(slot_tsc)) - 1 : 0),
        mask_(std::bit_ceil(slots > 1 ? slots : 1u) - 1),
        slots_(mask_ + 1),
        chunks_(2 * size_t{capacity} / kTogether +
                kHardlyFilled * std::min<size_t>(capacity, size_t{mask_} + 2)) {
    for (uint32_t c = 0; c < chunks_.size(); ++c)
      chunks_[c].next = c + 1 < chunks_.size() ? c + 1 : kEnd;
    free_ = chunks_.empty() ? kEnd : 0;
  }

  // False, and nothing kept, when it is full.
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
          span_(wheel.open(list_)),
          tick_(tick) {}
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;
    ~Run() { wheel_.close(list_, span_); }
    bool insert(const Item& item) noexcept {
      if (!make_places()) [[unlikely]]
        return false;
      Places next = places();
      next.put(item);
      left(next);
      return true;
    }
    // For a loop that shall call nothing: the next places, which it fills with put(), and what it
    // left of them given back. make_places(): sees to it that there are some; false: no room.
    class Places {
     public:
      uint32_t count() const noexcept { return static_cast<uint32_t>(end_ - next_); }
      void put(const Item& item) noexcept {
        // Mostly the next places are next to these, in this chunk or the one behind it.
        const auto place = reinterpret_cast<uintptr_t>(next_);
        __builtin_prefetch(reinterpret_cast<void*>(place + kAhead), 1);
        next_->tick = tick_;
        next_->item = item;
        ++next_;
      }

     private:
      friend Run;
      Places(Entry* next, Entry* end, uint64_t tick) noexcept
          : next_(next), end_(end), tick_(tick) {}
      Entry *next_, *end_;
      uint64_t tick_;
    };
    Places places() const noexcept { return {span_.next, span_.end, tick_}; }
    void left(const Places& places) noexcept { span_.next = places.next_; }
    bool has_places() const noexcept { return span_.next != span_.end; }
    bool make_places() noexcept {
      // Given and taken as values, so that it need not be in memory.
      if (!has_places()) [[unlikely]]
        span_ = wheel_.open_another(list_, span_);
      return has_places();
    }

   private:
    TimingWheel& wheel_;
    List& list_;
    Span span_;
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
      if (size_ == 0) {
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

  uint32_t size() const noexcept { return size_; }
  uint32_t capacity() const noexcept { return capacity_; }
  Tsc slot_tsc() const noexcept { return Tsc{1} << shift_; }

 private:
  // What is free in the list's last chunk, as far as there is room for more items.
  Span open(List& list) noexcept {
    if (list.tail == kEnd) return {nullptr, nullptr, nullptr};
    Chunk& c = chunks_[list.tail];
    Entry* const next = c.entries + c.end;
    return {next, next, next + std::min(kTogether - c.end, capacity_ - size_)};
  }
  void close(List& list, const Span& filled) noexcept {
    if (filled.next == filled.begin) return;
    const auto count = static_cast<uint32_t>(filled.next - filled.begin);
    Chunk& c = chunks_[list.tail];
    c.end = static_cast<uint16_t>(c.end + count);
    size_ += count;
  }
  // Nothing is free in it when there is no room.
  [[gnu::noinline]] Span open_another(List& list, Span filled) noexcept {
    close(list, filled);
    if (size_ != capacity_) append_chunk(list);
    return open(list);
  }

  // Moves up to max entries with tick <= limit out of a list; the others keep their order, and move
  // up to fill the places of those.
  uint32_t take_due(List& list, uint64_t limit, Item* out, uint32_t max) noexcept {
    if (list.head == kEnd) return 0;
    uint32_t taken = 0;
    Place from{list.head, chunks_[list.head].begin}, to = from;
    bool any_kept = false;
    while (taken < max) {
      Chunk& c = chunks_[from.chunk];
      if (from.entry == c.end) {
        if (c.next == kEnd) break;
        const uint32_t next = c.next;
        from = {next, chunks_[next].begin};
        if (!any_kept) drop_head(list), to = from;
        continue;
      }
      const Entry& entry = c.entries[from.entry];
      if (entry.tick <= limit) {
        out[taken++] = entry.item;
        ++from.entry;
        if (!any_kept) to = from;
      } else {
        if (!any_kept) c.begin = static_cast<uint16_t>(from.entry);
        any_kept = true;
        keep(to, from);
        ++from.entry;
      }
    }
    size_ -= taken;
    close_gap(list, to, from, any_kept);
    return taken;
  }

  // The entry at `from` stays, at `to`, which moves on.
  void keep(Place& to, const Place& from) noexcept {
    if (to.entry == kTogether) {
      chunks_[to.chunk].end = kTogether;
      to = {chunks_[to.chunk].next, 0};
      chunks_[to.chunk].begin = 0;
    }
    if (to != from) chunks_[to.chunk].entries[to.entry] = chunks_[from.chunk].entries[from.entry];
    ++to.entry;
  }

  // What is kept ends at `to`, what was not looked at begins at `from`. Chunks between them are
  // free. Two that then are neighbours are one if they fit into it, so that more than half of a
  // long list is in use.
  void close_gap(List& list, Place to, Place from, bool any_kept) noexcept {
    Chunk& last = chunks_[to.chunk];
    Chunk& rest = chunks_[from.chunk];
    if (!any_kept) {
      rest.begin = static_cast<uint16_t>(from.entry);
      if (rest.begin == rest.end) drop_head(list);
      return;
    }
    if (to == from) return;
    const uint32_t left = rest.end - from.entry;
    if (to.entry + left > kTogether) {
      free_between(to.chunk, from.chunk);
      rest.begin = static_cast<uint16_t>(from.entry);
      last.end = static_cast<uint16_t>(to.entry);
      return;
    }
    std::copy_n(rest.entries + from.entry, left, last.entries + to.entry);
    last.end = static_cast<uint16_t>(to.entry + left);
    if (to.chunk == from.chunk) return;
    const uint32_t behind = rest.next;
    free_between(to.chunk, from.chunk);
    give_back(from.chunk);
    last.next = behind;
    if (behind == kEnd) list.tail = to.chunk;
  }

  void free_between(uint32_t first, uint32_t last) noexcept {
    for (uint32_t c = chunks_[first].next; c != last;) {
      const uint32_t next = chunks_[c].next;
      give_back(c);
      c = next;
    }
    chunks_[first].next = last;
  }

  void append_chunk(List& list) noexcept {
    const uint32_t c = free_;
    if (c == kEnd) return;
    free_ = chunks_[c].next;
    chunks_[c].next = kEnd;
    chunks_[c].begin = chunks_[c].end = 0;
    (list.head == kEnd ? list.head : chunks_[list.tail].next) = c;
    list.tail = c;
  }
  void drop_head(List& list) noexcept {
    const uint32_t c = list.head;
    list.head = chunks_[c].next;
    if (list.head == kEnd) list.tail = kEnd;
    give_back(c);
  }
  void give_back(uint32_t c) noexcept {
    chunks_[c].next = free_;
    free_ = c;
  }

  // Moves the cursor to the earliest item in the wheel, or past now when none is due. Only reached
  // after a jump in time or with items further away than one revolution.
  void skip_to_next(uint64_t now_tick) noexcept {
    uint64_t earliest = now_tick + 1;
    for (const List& list : slots_)
      for (uint32_t c = list.head; c != kEnd; c = chunks_[c].next)
        for (uint32_t e = chunks_[c].begin; e != chunks_[c].end; ++e)
          earliest = std::min(earliest, chunks_[c].entries[e].tick);
    if (earliest > cursor_) cursor_ = earliest;
  }

  uint32_t capacity_;
  uint32_t size_ = 0;
  uint32_t shift_;
  uint32_t mask_;
  uint64_t cursor_ = 0;  // next tick to look at; all items of earlier ones are in overdue_
  List overdue_;
  std::vector<List> slots_;
  std::vector<Chunk> chunks_;
  uint32_t free_;  // a stack
};

}  // namespace lf
