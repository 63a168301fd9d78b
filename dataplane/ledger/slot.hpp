// SPDX-License-Identifier: Apache-2.0
// A slot of the ledger: 16 bytes that say which command it is about and what became of it, always
// replaced as a whole by one compare-and-swap (cmpxchg16b). Eight slots are a bucket, filled as a
// ring. Read and written by all workers; the control thread sweeps.
//
//   lo  64 bits of the command's hash
//   hi  [lap:1][30 more bits of the hash][round:1][group:12][epoch:8][attempt or status:8][state:3]
//       [turn:1]
// lap and round count the times that the slot was filled, modulo 4; turn flips when a command is
// sent again, so that the flight is known to be another one. A slot that was given back holds no
// entry and a number instead that makes its hi different from all before.
#pragma once

#include <immintrin.h>

#include <atomic>
#include <cstdint>

#include "dataplane/core/types.hpp"
#include "dataplane/ledger/hash.hpp"
#include "dataplane/ledger/words.hpp"

namespace lf::ledger {

// What became of a command (docs/dedup.md has the picture).
enum class State : uint8_t {
  none = 0,       // never used, given back, or swept
  accepted = 1,   // passed dedup on a worker that has not sent it yet; that worker owns the flight
  parked = 2,     // the data plane keeps it for a while (delay); nobody owns the flight
  writing = 3,    // was sent before and is being sent again; the sending worker owns the flight
  in_flight = 4,  // sent to a node; the flight can be read
  timed_out = 5,  // sent, and its time-out was counted; a reply still finds its way
  answered = 6,   // the byte that held the attempt holds the reply's status
};

inline constexpr uint32_t kWays = 8;           // slots in a bucket
inline constexpr uint32_t kGroups = 1u << 12;  // of organisations, for the share of the table
inline constexpr uint32_t kEpochs = 256;       // numbers before the epoch wraps
inline constexpr uint32_t kWindowEpochs = 64;  // a window's length
inline constexpr uint32_t kAheadEpochs = 32;   // another worker's clock may be ahead by that

// The value of a slot, and of its parts.
struct Word {
  uint64_t lo = 0, hi = 0;

  bool operator==(const Word&) const = default;
  State state() const noexcept { return static_cast<State>(hi >> 1 & 7); }
  uint8_t attempt() const noexcept { return static_cast<uint8_t>(hi >> 4); }
  uint8_t status() const noexcept { return static_cast<uint8_t>(hi >> 4); }
  uint32_t epoch() const noexcept { return static_cast<uint8_t>(hi >> 12); }
  uint32_t group() const noexcept { return static_cast<uint32_t>(hi >> 20) & (kGroups - 1); }
  uint32_t lap() const noexcept { return static_cast<uint32_t>(hi >> 63); }

  [[nodiscard]] Word with_state(State s) const noexcept {
    return {lo, (hi & ~uint64_t{0xe}) | static_cast<uint64_t>(s) << 1};
  }
  [[nodiscard]] Word with_byte(uint8_t attempt_or_status) const noexcept {
    return {lo, (hi & ~uint64_t{0xff0}) | uint64_t{attempt_or_status} << 4};
  }
  [[nodiscard]] Word with_epoch(uint32_t epoch) const noexcept {
    return {lo, (hi & ~uint64_t{0xff000}) | uint64_t{epoch & 0xff} << 12};
  }
  // Filled once more: flips lap, and round every other time.
  [[nodiscard]] Word entered_anew() const noexcept {
    return {lo, hi ^ uint64_t{1} << 63 ^ (hi >> 31 & uint64_t{1} << 32)};
  }
  // Lap and round of that, alone; the lap still has to be flipped.
  uint64_t turned_lap() const noexcept {
    return (hi ^ hi >> 31) & (uint64_t{1} << 63 | uint64_t{1} << 32);
  }
  // No entry any more. number: another one each time, in all bits but lap, round, state and turn.
  [[nodiscard]] Word given_back(uint64_t number) const noexcept {
    const uint64_t bits = (number << 33 & uint64_t{0x3fffffff} << 33) | (number >> 30 & 0xfffffff) << 4;
    return {lo, (hi & (uint64_t{1} << 63 | uint64_t{1} << 32 | 1)) | bits};
  }
  // The reply has come.
  [[nodiscard]] Word answered(uint8_t status, uint32_t epoch) const noexcept {
    return with_state(State::answered).with_byte(status).with_epoch(epoch);
  }
  [[nodiscard]] Word other_turn() const noexcept { return {lo, hi ^ 1}; }
  // The owner has sent the command.
  [[nodiscard]] Word sent(uint32_t epoch) const noexcept {
    return with_state(State::in_flight).with_epoch(epoch).other_turn();
  }
};

inline constexpr uint64_t kHashInHi = uint64_t{0x3fffffff} << 33;
inline constexpr uint64_t kStateInHi = 0xe;
inline constexpr uint64_t kStateAndEpoch = 0xff00e;
inline constexpr uint64_t kLapInHi = uint64_t{1} << 63 | uint64_t{1} << 32;

constexpr uint64_t hash_in_hi(const Hash& h) noexcept {
  return h.hi >> 1 & kHashInHi;
}

inline bool is_about(const Word& w, const Hash& h) noexcept {
  return w.lo == h.lo && ((w.hi ^ h.hi >> 1) & kHashInHi) == 0;
}

// What sent() changes in hi when the epoch stays.
inline constexpr uint64_t kFreshToSent =
    (static_cast<uint64_t>(State::accepted) ^ static_cast<uint64_t>(State::in_flight)) << 1 | 1;

// Epochs since the entry was stamped; 0 for one that another worker's clock stamped ahead of ours.
inline uint32_t age_of(const Word& w, uint32_t epoch) noexcept {
  const uint32_t age = (epoch - w.epoch()) & (kEpochs - 1);
  return age >= kEpochs - kAheadEpochs ? 0 : age;
}

inline bool is_live(const Word& w, uint32_t epoch) noexcept {
  return w.state() != State::none && age_of(w, epoch) <= kWindowEpochs;
}

// So old that sweep() may be at it, whose clock may be an epoch ahead.
inline bool is_aging(const Word& w, uint32_t epoch) noexcept {
  return age_of(w, epoch) + 1 >= kWindowEpochs;
}

struct alignas(16) Slot {
  std::atomic<uint64_t> lo{0}, hi{0};

  // Both words of one moment. A change and a change back of hi around the read of lo gives hi and
  // lo of different moments only if two commands in this slot agree in all of hi, 30 bits of hash
  // included; every decision that changes something is checked again by compare-and-swap.
  Word load() const noexcept {
    for (;;) {
      const uint64_t h = hi.load(std::memory_order_acquire);
      const uint64_t l = lo.load(std::memory_order_acquire);
      if (hi.load(std::memory_order_relaxed) == h) [[likely]]
        return {l, h};
    }
  }

  bool replace(const Word& expected, const Word& desired) noexcept {
    return __sync_bool_compare_and_swap(reinterpret_cast<Both*>(this), both(expected),
                                        both(desired));
  }

  // hi alone, which takes less time, by the owner of an accepted entry, whose lo stays: another
  // command's hi would have to be equal, epoch, lap, round and 30 bits of hash included.
  bool replace_hi(uint64_t expected, uint64_t desired) noexcept {
    return hi.compare_exchange_strong(expected, desired, std::memory_order_acq_rel,
                                      std::memory_order_relaxed);
  }

  // Without a look at what is there: for the only thread that changes this slot now. One store of
  // both words; where a reader sees them apart, load() notices.
  void set(const Word& desired) noexcept {
#ifdef LF_WORDS_ONE_BY_ONE
    lo.store(desired.lo, std::memory_order_release);
    hi.store(desired.hi, std::memory_order_release);
#else
    const __m128i words = _mm_set_epi64x(static_cast<int64_t>(desired.hi),
                                         static_cast<int64_t>(desired.lo));
    std::atomic_signal_fence(std::memory_order_seq_cst);  // no store moves across
    _mm_store_si128(reinterpret_cast<__m128i*>(this), words);
    std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
  }

 private:
  __extension__ typedef unsigned __int128 __attribute__((may_alias)) Both;
  static Both both(const Word& w) noexcept { return static_cast<Both>(w.hi) << 64 | w.lo; }
};
static_assert(sizeof(Slot) == 16 && std::atomic<uint64_t>::is_always_lock_free);

}  // namespace lf::ledger
