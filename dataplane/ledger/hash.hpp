// SPDX-License-Identifier: Apache-2.0
// What the ledger keeps of (org_id, command_id): 128 bits, keyed by a secret drawn at each start.
// Called by the dedup and match stages on workers, a burst at a time; reads nothing shared.
//
//   hash = AES-128_k(command_id xor (space * s)),   product in GF(2^128), k and s secret
//
// The space is the org_id, and 2^32 more for commands whose organisation nobody has proven: those
// live in a space of their own, so they can't burn the ids of anybody who signs.
//
// Why no fresh command is taken for another one: the bound that semantics asks for is 2^-90.
// Take a command K that is not in the table, and a table of N = 8 * 2^b entries in buckets of 8,
// b <= 25. An entry E is taken for K only if E lies in K's bucket and the 94 bits agree that a slot
// keeps (ledger/slot.hpp); those bits and the b bits of the bucket are disjoint parts of the hash.
//  - Same inputs to AES: impossible for two ids of one organisation. For two organisations it needs
//    (space xor space') * s = id xor id', which holds for one s in 2^128. Over all entries: at most
//    N * 2^-128 <= 2^-100.
//  - Different inputs: AES under a secret key gives what a random permutation gives, so the 94 + b
//    bits agree with probability 2^-(94+b), up to a factor 1 + 2^-30 for outputs never being equal.
//    Over all entries: N * 2^-(94+b) = 2^-91.
// Together below 2^-90 for each command. That takes AES-128 to be a pseudorandom permutation, as
// AES-CMAC does. Ids can't be crafted to meet: whoever sends them knows neither k nor s, and
// verdicts tell nothing about either.
#pragma once

#include <cstdint>

#include "dataplane/core/types.hpp"

namespace lf::ledger {

// Random bytes of one start. A warm restart takes over the one that its entries were hashed with.
struct Secret {
  uint8_t aes_key[16] = {};
  uint64_t tweak[2] = {};  // s, low word first
};

struct Hash {
  uint64_t lo = 0, hi = 0;
  bool operator==(const Hash&) const = default;
};

// Of an organisation's id in host order.
constexpr uint64_t space_of(uint32_t org_id, bool proven) noexcept {
  return org_id | uint64_t{!proven} << 32;
}

// One command's name, where it lies.
struct Name {
  const uint8_t* command_id = nullptr;  // 16 bytes
  uint64_t space = 0;                   // below 2^33
};

class Hasher {
 public:
  static constexpr uint32_t kLanes = 8;  // blocks in flight: hides the latency of a round

  explicit Hasher(const Secret& secret) noexcept;

  void run(const Name* names, uint32_t count, Hash* out) const noexcept;
  // kLanes names that are not there as such, see hash_lanes.hpp. `id`: lane -> its 16 bytes;
  // `space`: lane -> vector.
  template <typename Id, typename Space>
  void lanes(Id&& id, Space&& space, Hash* out) const noexcept;
  // The same, two names in each register; `spaces`: lane -> vector of its space and the next one's.
  // For CPUs where is_wide() only.
  template <typename Id, typename Spaces>
  void wide_lanes(Id&& id, Spaces&& spaces, Hash* out) const noexcept;
  bool is_wide() const noexcept { return wide_; }

  Hash one(const Name& name) const noexcept {
    Hash h;
    run(&name, 1, &h);
    return h;
  }

 private:
  static constexpr uint32_t kRounds = 10;
  alignas(16) uint8_t round_keys_[kRounds + 1][16];
  uint64_t tweak_[2];
  bool wide_;
};

}  // namespace lf::ledger
