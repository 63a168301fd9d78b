// SPDX-License-Identifier: Apache-2.0
// Sliding windows of 60 steps, shared by all workers, lock-free and exact: never more than the
// bound is admitted in any window, whatever the workers do and wherever one stalls.
//
// A key has a counter that only grows, T, and a ring that remembers T as it was when each step
// began. The window's count is T now less T when its oldest step began; that step counts whole, so
// the count covers 60 to 61 steps and never less than 60. One word holds {current step, T}, and
// admitting k commands is one compare-and-swap of it, which also moves the key to a new step: who
// wins it then writes T of before into the ring for the steps that have begun. Ring entries carry
// their step. They are facts that never change, so a winner may stall before it writes them: until
// it does, readers use an older entry (which counts more) or refuse. Time of a key never goes
// back: whoever comes with an older step counts into the key's current one.
//
// With a single worker nobody else admits: it writes with plain stores, a command at a time, and
// control's readers see the same facts (Options::alone). It works with grants: up to which T a key
// may be counted without a further look at its limit and its ring. A grant holds for an era, that
// is, for one step and one table of limits.
//
// Workers call reserve and the like; control opens keys and reads. Memory is taken at creation;
// a key costs 48 bytes and, once opened, 516 more. What every command touches is in 16 of them, so
// that an organisation and its first three intents share a cache line.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "dataplane/core/types.hpp"
#include "dataplane/quota/table.hpp"

namespace lf::quota {

using Step = uint32_t;
inline constexpr uint32_t kWindowSteps = 60;
inline constexpr uint32_t kRingSteps = 64;
inline constexpr Step kFirstStep = 2 * kRingSteps;  // steps before it are in every new ring

struct Reservation {
  Step step = 0;         // that the commands count into
  uint32_t used = 0;     // admitted in the window before them
  uint32_t granted = 0;  // at most what was asked for
};

class Windows {
 public:
  static constexpr uint32_t kBytesOfOrg = kKeysPerOrg * 16;  // of what every command touches

  struct Options {
    uint32_t orgs = 1024;   // keys are those of org indices below this
    uint32_t rings = 8192;  // keys that can be open
    Tsc step_tsc = 1;       // length of a step: a sixtieth of the window
    Tsc start = 0;          // any time not later than the first use
    bool alone = false;     // a single thread admits
  };

  // Thread: control, before workers start. Null when the memory cannot be had.
  static std::unique_ptr<Windows> create(const Options& options);
  ~Windows();
  Windows(const Windows&) = delete;
  Windows& operator=(const Windows&) = delete;

  // Gives a key its window, empty. Thread: control, before a Table that limits the key is
  // published. True when it is open (also when it was before); false when no ring is left.
  bool open(Key key, Step now) noexcept;
  // Empties an open window, for an organisation that takes over another's index.
  void reset(Key key, Step now) noexcept;
  bool is_open(Key key) const noexcept;

  Step step_at(Tsc now) const noexcept {
    return now <= start_ ? kFirstStep : kFirstStep + static_cast<Step>((now - start_) / step_tsc_);
  }
  // When a step begins.
  Tsc begin_of(Step step) const noexcept { return start_ + Tsc{step - kFirstStep} * step_tsc_; }
  Tsc step_tsc() const noexcept { return step_tsc_; }

  void prefetch(Key key) const noexcept { __builtin_prefetch(&heads_[key], 1); }
  // What a step's first look at a key needs besides its head: where its ring is, and then the ring.
  void prefetch_details(Key key) const noexcept { __builtin_prefetch(&details_[key]); }
  void prefetch_ring(Key key, Step now) const noexcept {
    const uint32_t ring = details_[key].ring.load(std::memory_order_relaxed);
    if (ring == 0) return;
    __builtin_prefetch(&ring_memory_[ring - 1].begin[now % kRingSteps], 1);
    __builtin_prefetch(&ring_memory_[ring - 1].begin[(now - kWindowSteps) % kRingSteps]);
  }
  [[gnu::always_inline]] void prefetch(OrgIndex org, IntentIndex intent) const noexcept {
    const Head* const all = heads_ + uint64_t{org} * kKeysPerOrg;
    __builtin_prefetch(all, 1);
    __builtin_prefetch(all + uint64_t{intent} + 1, 1);
  }

  bool alone() const noexcept { return alone_; }

  // Only when alone(), up to count_granted().
  // The era of this step and this table (Table::number). Grants of the one before hold no more.
  uint64_t era(Step now, uint32_t table) noexcept {
    if (now != era_step_ || table != era_table_) {
      era_step_ = now;
      era_table_ = table;
      era_ = word_of(step_in(era_) + 1, 0);  // there are fewer than kEra of them
    }
    return era_;
  }
  // How many commands the key may count: what is left of its grant, or else of allow_max.
  uint32_t room(Key key, Step now, uint32_t allow_max, uint64_t era) noexcept;
  // Of a key that is not counted: no end, unless it has a window that was used, which must stay as
  // it is. (One that was opened and not used yet begins with its first use, whatever T is now.)
  uint32_t room_uncounted(Key key) noexcept;
  void grant(Key key, uint32_t room, uint64_t era) noexcept;
  // Counts one command, of the organisation and of its intent. False, and nothing is counted: one
  // of the two keys has no grant.
  bool count_granted(OrgIndex org, IntentIndex intent, uint64_t era) noexcept {
    // As org_key() and intent_key(), in fewer steps: 64 bits wide, and by one multiplication.
    uint64_t bytes = kBytesOfOrg;
    asm("" : "+r"(bytes));
    Head* const all = reinterpret_cast<Head*>(reinterpret_cast<char*>(heads_) + org * bytes);
    Head* const own = all + uint64_t{intent} + 1;
    if (all->base.load(std::memory_order_relaxed) <= era) return false;
    if (own->base.load(std::memory_order_relaxed) <= era) return false;
    for (Head* const h : {all, own}) {
      add_alone(h->count, 1);  // a grant ends before T comes round to 0: this never changes the step
      add_alone(h->base, -1);
    }
    return true;
  }

  // Admits up to `want` commands, as long as the window's count stays within admit_max. A key that
  // is not open admits nothing.
  Reservation reserve(Key key, Step now, uint32_t want, uint32_t admit_max) noexcept {
    Head& h = heads_[key];
    uint64_t word = h.count.load(std::memory_order_acquire);
    const uint64_t base = h.base.load(std::memory_order_acquire);
    // Mostly the key is in this step, all of it is granted and nobody interferes.
    if (step_in(word) == now && step_in(base) == now) {
      const uint32_t used = total_in(word) - total_in(base);
      if (used < admit_max && want <= admit_max - used &&
          replace(h.count, word, word_of(now, total_in(word) + want), alone_))
        return {now, used, want};
    }
    return reserve_slowly(key, now, want, admit_max, alone_);
  }
  // The usual case of it: as reserve() would, where the key is in this step and all of `want` stays
  // within allow_max, at most admit_max, and nobody interferes. False: nothing was done.
  bool reserve_simply(Key key, Step now, uint32_t want, uint32_t allow_max,
                      Reservation* got = nullptr) noexcept {
    Head& h = heads_[key];
    uint64_t word = h.count.load(std::memory_order_acquire);
    const uint64_t base = h.base.load(std::memory_order_acquire);
    if (step_in(word) != now || step_in(base) != now) return false;
    const uint32_t used = total_in(word) - total_in(base);
    if (uint64_t{used} + want > allow_max) return false;
    if (!replace(h.count, word, word_of(now, total_in(word) + want), alone_)) return false;
    if (got != nullptr) *got = {now, used, want};
    return true;
  }
  // Takes back commands of a reservation that were not admitted after all. When another step has
  // begun since, they stay counted: too many for a minute, never too few.
  void give_back(Key key, Step step, uint32_t count) noexcept;

  // Commands in the window. Thread: any.
  uint32_t used(Key key, Step now) const noexcept;
  // First step after this one in which, with nothing more admitted, the window holds at most
  // `target` commands. Thread: any.
  Step room_at(Key key, Step now, uint32_t target) const noexcept;

  // Latest time at which a delayed command of the key leaves: later ones must not overtake it.
  Tsc last_due(Key key) const noexcept {
    return details_[key].last_due.load(std::memory_order_relaxed);
  }
  // The same over all keys: not later than now, then no key need be asked.
  Tsc latest_due() const noexcept { return latest_due_.load(std::memory_order_relaxed); }
  void raise_last_due(Key key, Tsc due) noexcept;

  // Counts rejected commands, and marks the key for control (take_marked) once a step.
  void note_rejected(Key key, Step now, uint32_t count) noexcept;
  uint64_t rejected(Key key) const noexcept;
  // Calls f(Key) for every key that has rejected commands since it was last taken. Thread: control.
  template <typename F>
  void take_marked(F&& f) {
    const uint32_t words = (rings_used_ + 63) / 64;
    for (uint32_t w = 0; w < words; ++w) {
      if (marked_[w].load(std::memory_order_relaxed) == 0) continue;
      uint64_t bits = marked_[w].exchange(0, std::memory_order_acquire);
      for (; bits != 0; bits &= bits - 1)
        f(key_of_ring_[w * 64 + static_cast<uint32_t>(__builtin_ctzll(bits))]);
    }
  }

  // Calls f(Key) for every open key. Thread: control.
  template <typename F>
  void for_each_open(F&& f) const {
    for (uint32_t r = 0; r < rings_used_; ++r) f(key_of_ring_[r]);
  }

  // The same by number, from 0 to open_keys() - 1.
  Key open_key(uint32_t number) const noexcept { return key_of_ring_[number]; }

  uint32_t keys() const noexcept { return keys_; }
  uint32_t open_keys() const noexcept { return rings_used_; }
  uint32_t rings() const noexcept { return rings_; }
  // Address space reserved; resident is what open keys need (512 + 48 + 4 bytes each).
  uint64_t bytes_reserved() const noexcept;

 private:
  // All that a burst touches of a key, unless a step begins or something is refused or delayed.
  struct Head {
    // {step, T}. Step 0: not open, or, of a lone worker, not used since it is: then T counts what
    // nobody asks for.
    std::atomic<uint64_t> count;
    // {step, T when the window of that step began}: a cache. Or a lone worker's {era, what is left
    // of its grant}.
    std::atomic<uint64_t> base;
  };
  struct Details {
    std::atomic<Tsc> last_due;
    std::atomic<uint32_t> ring;       // 1 + index; 0: not open
    std::atomic<Step> rejected_step;  // last step that note_rejected marked
    std::atomic<uint64_t> rejected;   // commands, since start
    uint64_t unused;
  };
  static_assert(sizeof(Head) == 16 && sizeof(Details) == 32);
  static_assert(kBytesOfOrg == kKeysPerOrg * sizeof(Head) && kBytesOfOrg % kCacheLine == 0);
  struct alignas(kCacheLine) Ring {
    std::atomic<uint64_t> begin[kRingSteps];  // {step, T when it began}, by step % kRingSteps
  };

  static constexpr uint64_t word_of(Step step, uint32_t total) noexcept {
    return uint64_t{step} << 32 | total;
  }
  static constexpr Step step_in(uint64_t word) noexcept { return static_cast<Step>(word >> 32); }
  static constexpr uint32_t total_in(uint64_t word) noexcept { return static_cast<uint32_t>(word); }

  // Eras are beyond all steps: a cached base is no grant. (A step is a second.) So there is a grant
  // when the word is greater than that of the era: what is of an earlier one, or cached, is less.
  static constexpr uint32_t kEra = 0x40000000;
  // What a lone worker adds to a word, in one instruction where an atomic's load and store are
  // three. As those it is not atomic against control, which may move a key on meanwhile: at worst a
  // base that it just wrote is one less, so one command too many is counted until the next step.
  static void add_alone(std::atomic<uint64_t>& word, int64_t by) noexcept {
    asm("addq %1, %0" : "+m"(word) : "er"(by) : "cc");
  }

  Windows() = default;
  Ring& ring_of(Key key) const noexcept {
    return ring_memory_[details_[key].ring.load(std::memory_order_relaxed) - 1];
  }
  // Compare and swap; a plain store for a worker that is alone: control moves a key on when it
  // changes owner (reset), but never raises a T, so that no count can be lost.
  static bool replace(std::atomic<uint64_t>& word, uint64_t& expected, uint64_t next,
                      bool alone) noexcept {
    if (!alone)
      return word.compare_exchange_weak(expected, next, std::memory_order_acq_rel,
                                        std::memory_order_acquire);
    word.store(next, std::memory_order_release);
    return true;
  }
  static std::optional<uint32_t> total_at(const Ring& ring, Step step) noexcept;
  static std::optional<uint32_t> base_of(const Ring& ring, Step from, uint32_t total,
                                         Step step) noexcept;
  static void begin_steps(Ring& ring, Step from, Step to, uint32_t total, bool alone) noexcept;
  Reservation reserve_slowly(Key key, Step now, uint32_t want, uint32_t admit_max,
                             bool alone) noexcept;
  void begin_alone(Key key, Step now) noexcept;

  alignas(kCacheLine) std::atomic<Tsc> latest_due_{0};
  alignas(kCacheLine) Head* heads_ = nullptr;
  Details* details_ = nullptr;
  Ring* ring_memory_ = nullptr;
  std::atomic<uint64_t>* marked_ = nullptr;  // one bit a ring
  Key* key_of_ring_ = nullptr;
  uint32_t keys_ = 0, rings_ = 0, rings_used_ = 0;
  Tsc start_ = 0, step_tsc_ = 1;
  bool alone_ = false;
  // Of the worker that is alone.
  uint64_t era_ = word_of(kEra, 0);
  Step era_step_ = 0;
  uint32_t era_table_ = 0;
};

}  // namespace lf::quota
