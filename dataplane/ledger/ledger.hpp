// SPDX-License-Identifier: Apache-2.0
// The command ledger: which commands were seen within the window, which are in flight and to whom
// their replies go, which were answered and how. One for all workers, in memory of fixed size;
// every change is one compare-and-swap on one slot, nobody ever waits for anybody.
//
// A bucket is a ring of eight slots. New entries go into slot 0, 1, … 7, 0, … and nowhere else, so
// the slot that is next holds the bucket's oldest entry. Each slot has a lap bit that flips when it
// is filled; the place where the bits change is the next slot. Why at most one of two workers can
// enter the same command, and why one look at the bucket is enough:
//   A worker reads the first slot, then all others, finds lap bits that say that c is next, and its
//   command in none; it reads c once more and then the first slot, which has not changed; then it
//   swaps c's content as read for its own. That the first slot is as it was says that fewer than
//   eight entries were made since it was first read; so each other slot was filled at most once
//   meanwhile. Of those, one that was seen before it was filled would lie at c or after it in the
//   ring; but then c was filled too, its lap bit has flipped or the swap fails, and the worker looks
//   again. So when the swap succeeds, what the worker saw is what is there. (A slot that is given
//   back never looks as before. So the first slot, or c, could change and change back unnoticed
//   only if in exactly four laps of the ring, or a multiple, the same live entry is pushed out and
//   comes back to the same slot, while the worker is between two instructions; sweep() repairs what
//   that could do.)
// A live entry is not overwritten while its bucket has a free slot, while its owner is at work on
// it, or when the share rule protects it: then it is entered anew where it is (its lap bit flips)
// and the next slot is tried.
//
// The share rule: while all slots hold live entries, an organisation that has its share of a
// bucket's slots can only replace its own, so it can't push out another's.
//
// A lone worker (Settings::lone_worker) writes without compare-and-swap what nobody else can be
// changing: sweep(), the only other that changes slots, leaves live entries and empty slots alone.
//
// Threads: workers for everything but sweep() and restore(), which are control's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "dataplane/core/types.hpp"
#include "dataplane/core/worker_stats.hpp"
#include "dataplane/lcp/header.hpp"
#include "dataplane/ledger/bucket.hpp"
#include "dataplane/ledger/hash.hpp"

namespace lf::ledger {

struct View;

inline constexpr uint64_t kEntriesMin = uint64_t{1} << 10;
inline constexpr uint64_t kEntriesMax = uint64_t{1} << 28;
inline constexpr size_t kBytesPerEntry = sizeof(Bucket) / kWays;  // 80

// An entry by its place: [check:32][place:32]. The place counts 8-byte words from the beginning of
// the table to `hi` of the slot, so it is odd; the check is the upper half of the slot's `lo`, so
// that an entry that has gone is noticed. 0: none.
using Ref = uint64_t;

struct Settings {
  uint64_t entries = kEntriesMin;  // a power of two, kEntriesMin..kEntriesMax
  Tsc window_tsc = 1;              // how long a command is remembered after its last event
  double org_share = 0.5;          // of a bucket, rounded down to eighths, at least one
  Secret secret;
  // One worker alone admits commands, so that most of what it writes needs no compare-and-swap.
  bool lone_worker = false;
};

// One worker's counts. Writer: that worker.
struct alignas(kCacheLine) Counts {
  Counter fresh;
  Counter retries;
  Counter duplicates;       // in flight or answered
  Counter full;             // no slot could be had
  Counter occupied;         // entries made in slots that held none
  Counter vacated;          // entries given back
  Counter evicted_early;    // live entries overwritten by newer ones
  Counter evicted_epochs;   // sum of their ages, in epochs
  Counter share_evictions;  // own entries that an organisation at its share had to overwrite
  Counter passed_over;      // entries entered anew, because protected or being worked on
  Counter contended;        // compare-and-swaps lost to another worker
  Counter unrecorded;       // commands sent whose entry was gone or being written by another
};

struct Command {
  Hash hash;
  // hi of the slot that it would be entered into, but for lap, round, epoch and state
  uint64_t entry = 0;

  Command() noexcept = default;
  // group: of the organisation, group_of().
  Command(const Hash& hash_, uint16_t group, uint8_t attempt) noexcept
      : hash(hash_),
        entry(hash_in_hi(hash_) | uint64_t{group} << 20 | uint64_t{attempt} << 4) {}
  uint32_t group() const noexcept { return Word{0, entry}.group(); }
  uint8_t attempt() const noexcept { return Word{0, entry}.attempt(); }
};

enum class Lookup : uint8_t {
  fresh,                // entered: the caller sends, parks or releases it
  retry,                // higher attempt of a command in flight
  unsent,               // higher attempt of a command that is not sent yet
  duplicate_in_flight,  // not a higher attempt
  duplicate_answered,
  full,  // no slot could be had
};

struct Admission {
  Ref ref = 0;  // of the entry; 0: full
  Lookup result = Lookup::full;
  lcp::Status status = lcp::Status::duplicate;  // of an answered one: what it was answered with
  NodeSlot node = kNoNode;                      // of a retry: where it is in flight
};

// An entry as it was at one moment.
struct Entry {
  Ref ref = 0;  // 0: no such command
  Word word;

  State state() const noexcept { return word.state(); }
  bool has_flight() const noexcept {
    return state() == State::in_flight || state() == State::timed_out;
  }
};

// And with it, when has_flight(), its flight.
struct Found : Entry {
  Flight flight;
};

enum class Settled : uint8_t {
  answered,  // this call moved it from in flight to answered
  late,      // the same, after its time-out had been counted
  changed,   // it is not as it was found: look again
};

struct Sent {
  bool recorded = false;
  NodeSlot left = kNoNode;  // where it was in flight until now
};

struct Withdrawn {
  bool owned = false;
  NodeSlot left = kNoNode;  // where it was in flight until now; none when it had timed out
};

// What a walk over a part of the table saw.
struct Swept {
  uint64_t slots = 0, unsent = 0, in_flight = 0, timed_out = 0, answered = 0;
  uint64_t expired = 0;   // entries older than the window, cleared by this walk
  uint64_t repaired = 0;  // buckets whose lap bits were of no use
};

class Ledger {
 public:
  // memory: zeroed, entries * kBytesPerEntry bytes, aligned to 128; outlives the ledger.
  Ledger(const Settings& settings, void* memory) noexcept;

  uint64_t capacity() const noexcept { return buckets_mask_ * kWays + kWays; }
  const Hasher& hasher() const noexcept { return hasher_; }
  bool is_alone() const noexcept { return lone_worker_; }
  Tsc window_tsc() const noexcept { return epoch_tsc_ * kWindowEpochs; }
  Tsc epoch_tsc() const noexcept { return epoch_tsc_; }
  uint32_t epoch_of(Tsc now) const noexcept {
    return static_cast<uint32_t>(now / epoch_tsc_) & (kEpochs - 1);
  }
  // Organisations 4096 apart share a group, and 4094 and 4095 do; commands without a proven one are
  // one group together, 0.
  static constexpr uint16_t group_of(OrgIndex org, bool proven) noexcept {
    constexpr uint32_t kLast = kGroups - 1;
    const uint32_t group = (org & kLast) + ((org & kLast) != kLast);
    return static_cast<uint16_t>(group & -uint32_t{proven});
  }

  // Gets a command's bucket on its way to the cache.
  void prefetch(const Hash& hash) const noexcept {
    const auto* lines = reinterpret_cast<const char*>(&bucket(hash));
    __builtin_prefetch(lines, 1);
    __builtin_prefetch(lines + kCacheLine, 1);
  }

  // Looks a burst of commands up and enters those that are new. Prefetch them before. The flights
  // of the new ones are on their way to the cache afterwards.
  // Returns how many of them are fresh.
  uint32_t admit(const Command* commands, uint32_t count, Tsc now, Counts& counts,
                 Admission* out) noexcept;
  // The short way (ledger/enter.hpp): enters commands from the front as long as they are fresh and
  // there is little to it. `command_at`: bool(k, Command&), false: stop before it; `entered`:
  // void(k, Ref). Returns how many were entered; admit() takes those that are left. kAlone: as
  // is_alone() says.
  template <bool kAlone, typename CommandAt, typename Entered>
  uint32_t admit_front(uint32_t count, Tsc now, Counts& counts, CommandAt&& command_at,
                       Entered&& entered) noexcept;

  // Just before a command is sent, for the first time or again: keeps its flight. Not recorded:
  // the entry has gone, or another worker is writing this very flight; the command may be sent, its
  // reply will be unknown or go where the other one's goes.
  // `again`: it was sent before (retry, replay).
  Sent record_sent(Ref ref, const FlightWords& f, bool again, Tsc now, Counts& counts) noexcept;

  // The short way of record_sent(), for a command that was admitted as fresh in this burst. False:
  // it takes the other. `epoch`: of now. kAlone: as above.
  template <bool kAlone>
  bool record_fresh(Ref ref, const FlightWords& f, uint32_t epoch) noexcept {
    Slot& s = slot(ref);
    const Word word{s.lo.load(std::memory_order_acquire), s.hi.load(std::memory_order_acquire)};
    const uint64_t accepted_now =
        uint64_t{epoch} << 12 | static_cast<uint64_t>(State::accepted) << 1;
    if (check_of(word.lo) != check_of(ref) || (word.hi & kStateAndEpoch) != accepted_now)
        [[unlikely]]
      return false;
    flight(ref).store(f);
    const uint64_t sent = word.hi ^ kFreshToSent;
    if (!kAlone) return s.replace_hi(word.hi, sent);  // it may be passed over meanwhile
    s.hi.store(sent, std::memory_order_release);      // too young for sweep() to look at
    return true;
  }

  // Gives the id of a command back that was admitted as fresh and will not be sent.
  void release(Ref ref, Counts& counts) noexcept;
  // The same for one admitted as a retry: the same attempt may come again.
  void release_retry(Ref ref, uint8_t attempt) noexcept;
  // The same for a command whose transmission `stamp` was recorded but never left: a fresh one is
  // given back, one sent before counts as timed out.
  bool take_back(Ref ref, uint32_t stamp, bool again, Counts& counts) noexcept;
  // Takes the transmission `stamp` of a command away from its node, exactly once over all workers,
  // while it still waits for its reply: the caller owns the command as if it was admitted as fresh.
  // record_sent() or release() end it; a reply that comes meanwhile is unknown.
  Withdrawn withdraw(Ref ref, uint32_t stamp) noexcept;
  // A command admitted as fresh that is kept for a while: no retry of it passes, and it does not
  // hold its slot against newer ones. record_sent() or release() end it.
  void park(Ref ref) noexcept;

  // Finds a command, without a change (ledger/find.hpp). Prefetch it before; afterwards its flight
  // is on its way to the cache.
  Entry look_for(const Hash& hash, uint32_t epoch) const noexcept;
  // The flight of an entry with has_flight(). It is another one's, or in pieces, where the entry
  // has changed since: is_still() and settle() tell.
  Transmission flight_of(const Entry& entry, rewrite::Client& client) const noexcept {
    return flight(entry.ref).load(client);
  }
  bool is_still(const Entry& entry) const noexcept {
    return slot(entry.ref).load() == entry.word;
  }
  // Finds a burst of commands with their flights.
  void find(const Hash* hashes, uint32_t count, Tsc now, Found* out) const noexcept;
  // Moves what was found in flight to answered, exactly once over all workers.
  Settled settle(const Entry& found, lcp::Status status, uint32_t epoch) noexcept;

  // Of entries that are looked at soon, by is_owed() or mark_timed_out().
  void prefetch(Ref ref) const noexcept {
    __builtin_prefetch(&slot(ref), 1);
    __builtin_prefetch(&flight(ref));
  }
  // Whether the transmission `stamp` of a command still waits for its reply.
  bool is_owed(Ref ref, uint32_t stamp) const noexcept;
  // Counts the time-out of the transmission `stamp` of a command: true once, if it is still owed.
  bool mark_timed_out(Ref ref, uint32_t stamp) noexcept;

  // Control, a part at a time, each slot at least once in two windows: clears what is older than
  // the window, before its epoch comes around again, and counts the rest.
  Swept sweep(uint64_t first_bucket, uint64_t buckets, Tsc now) noexcept;
  uint64_t buckets() const noexcept { return buckets_mask_ + 1; }

  // Control: what a slot holds, for saving.
  Word peek(uint64_t bucket, uint32_t way) const noexcept {
    return buckets_[bucket].way(way).load();
  }
  // Control, before workers start: enters an answered command of a former run, over the oldest
  // entry of a full bucket. False: it is there already.
  bool restore(uint64_t bucket, const Word& saved) noexcept;

 private:
  Bucket& bucket(const Hash& hash) const noexcept { return buckets_[hash.hi & buckets_mask_]; }
  static constexpr uint32_t place_of(Ref ref) noexcept { return static_cast<uint32_t>(ref); }
  static constexpr uint32_t check_of(uint64_t lo_or_ref) noexcept {
    return static_cast<uint32_t>(lo_or_ref >> 32);
  }
  uint64_t* words() const noexcept { return reinterpret_cast<uint64_t*>(buckets_); }
  Slot& slot(Ref ref) const noexcept {
    return *reinterpret_cast<Slot*>(words() + place_of(ref) - 1);
  }
  // A bucket begins at a multiple of 16 words, so a slot's place in it is in the low bits.
  FlightRecord& flight(Ref ref) const noexcept {
    constexpr uint64_t kSlot = sizeof(Slot) / 8, kFlight = sizeof(FlightRecord) / 8;
    static_assert(alignof(Bucket) == 16 * 8 && offsetof(Bucket, flight) == 16 * 8 && kSlot == 2);
    const uint64_t way_and_1 = place_of(ref) % 16;  // way * kSlot + 1
    constexpr uint64_t kTimes = kFlight / kSlot;
    return *reinterpret_cast<FlightRecord*>(words() + place_of(ref) + (kTimes - 1) * way_and_1 +
                                            (16 - kTimes));
  }
  // `place` in the bucket of a hash. Added up: the parts have no bit in common.
  Ref ref_of(const Hash& hash, uint32_t place) const noexcept {
    constexpr uint64_t kWords = sizeof(Bucket) / 8, kSlot = sizeof(Slot) / 8;
    static_assert(kEntriesMax / kWays * kWords <= uint64_t{1} << 32);
    return (hash.lo >> 32 << 32) + ((hash.hi & buckets_mask_) * kWords + place * kSlot + 1);
  }
  Ref ref_of(const Hash& hash, const Slot& slot) const noexcept {
    const uint64_t distance = reinterpret_cast<uintptr_t>(&slot) - reinterpret_cast<uintptr_t>(buckets_);
    return (hash.lo >> 32 << 32) + (distance / 8 + 1);
  }
  static bool is_about(const Word& word, Ref ref) noexcept {
    return check_of(word.lo) == check_of(ref) && word.state() != State::none;
  }

  struct Plan;
  struct Tally;

  void look_up(const Command& command, uint32_t epoch, Plan& plan) noexcept;
  template <bool kAlone>
  void admit_in_turn(const Command* commands, uint32_t count, uint32_t epoch, Tally& tally,
                     Admission* out) noexcept;
  template <bool kAlone, typename CommandAt, typename Entered>
  uint32_t enter(uint32_t count, uint32_t epoch, Tally& tally, CommandAt&& command_at,
                 Entered&& entered) noexcept;
  Ref enter_over_live(const Command& command, Bucket& b, const View& view, uint32_t first,
                      uint32_t epoch, Tally& tally) noexcept;
  Ref enter_over_other(const Command& command, const View& view, Slot& slot, const Word& victim,
                       uint32_t epoch, Tally& tally) noexcept;
  void admit_slowly(const Command& command, uint32_t epoch, Tally& tally, Admission& out) noexcept;
  uint32_t enter_over_own(const Command& command, uint32_t epoch, uint32_t most, Plan& plan,
                          Tally& tally) noexcept;
  bool change(Slot& slot, const Word& from, const Word& to, uint32_t epoch) noexcept;
  bool admit_known(const Command& command, uint32_t way, uint32_t epoch, Admission& out) noexcept;
  bool own(Slot& slot, Ref ref, bool again, Sent& sent) noexcept;
  Sent finish_sent(Ref ref, Tsc now, Sent sent, Counts& counts) noexcept;
  bool end_flight(Ref ref, uint32_t stamp, State to) noexcept;
  void sweep_one(Slot& slot, uint32_t epoch, Swept& swept) noexcept;
  bool repair(Bucket& bucket) noexcept;

  Bucket* buckets_;
  uint64_t buckets_mask_;
  Tsc epoch_tsc_;
  uint32_t share_ways_;
  bool lone_worker_;
  Hasher hasher_;
};

}  // namespace lf::ledger
