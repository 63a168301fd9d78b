// SPDX-License-Identifier: Apache-2.0
// The NAT table: which client stands behind an own address and port, for mode nat. All workers
// share it, so a node's packet finds its way back through whichever worker gets it. Lock-free: an
// own address, port and node have exactly one place, a new flow tries a few ports that follow from
// its key until the place of one is free, and whoever swaps the place's version owns it. Any worker
// can find a flow again from its key alone, without another table. Fixed memory; a place is free
// again when its flow has been silent for as long as its state allows.
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/core/types.hpp"
#include "dataplane/core/zeroed_array.hpp"
#include "dataplane/flow/key.hpp"
#include "dataplane/flow/table.hpp"
#include "dataplane/forward/table.hpp"
#include "dataplane/rewrite/client.hpp"

namespace lf::flow {

inline constexpr uint32_t kNatTries =
    32;  // ports for a flow; half full, all of them are taken once in 2^32

// A flow as its node sees it.
struct NodeSide {
  IpAddress node, own;
  uint16_t node_port = 0, own_port = 0;  // wire order
  uint8_t protocol = 0, ip_version = 0;
  uint16_t zero = 0;

  bool operator==(const NodeSide& o) const noexcept {
    return std::memcmp(this, &o, sizeof(NodeSide)) == 0;
  }
};
static_assert(sizeof(NodeSide) == 40);

// What a packet from the node needs.
struct Mapping {
  NodeSide side;
  rewrite::Client client;
  NodeSlot node = kNoNode;
  ServiceIndex service = kNoService;
  uint32_t zero = 0;
};
static_assert(sizeof(Mapping) == 96);

// Of a mapping; set by either side's worker.
inline constexpr uint32_t kNatAnswered = 1, kNatClientEnded = 2, kNatNodeEnded = 4, kNatReset = 8;

class Nat {
 public:
  // `entries`: rounded up to a power of two.
  explicit Nat(uint64_t entries);
  bool is_usable() const noexcept { return records_.size() != 0; }
  uint64_t capacity() const noexcept { return records_.size(); }

  struct Opened {
    uint32_t index = kNone;  // kNone: no port could be had
    uint16_t own_port = 0;   // wire order
    bool fresh = false;      // the mapping was not there
  };
  static constexpr uint32_t kNone = 0xffffffff;

  // The flow's mapping to its node, made where there is none. `starts`: the packet begins a
  // connection, so what is left of an earlier one is over.
  Opened open(const Table& table, const Mapping& wanted, uint64_t hash, bool starts,
              Stamp now) noexcept;
  // The mapping of a flow, without making one.
  Opened find(const Table& table, const Mapping& wanted, uint64_t hash, Stamp now) const noexcept;

  void prefetch(const NodeSide& side) const noexcept {
    const Record& r = records_[place_of(side)];
    __builtin_prefetch(&r);
    __builtin_prefetch(reinterpret_cast<const uint8_t*>(&r) + kCacheLine);
  }
  // The mapping behind a packet from a node; kNone when there is none.
  uint32_t find_back(const Table& table, const NodeSide& side, Stamp now,
                     Mapping& out) const noexcept;

  // A packet of the mapping was seen; flags are kNat*. False: the place is another flow's by now.
  bool touch(uint32_t index, uint16_t own_port, const rewrite::Client& client, uint32_t flags,
             Stamp now) noexcept;
  void mark(uint32_t index, uint32_t flags, Stamp now) noexcept;

 private:
  static constexpr uint32_t kWords = sizeof(Mapping) / 8;
  // The first line says all that a search needs of a place that is somebody else's.
  struct alignas(2 * kCacheLine) Record {
    std::atomic<uint32_t> version;  // 0: never used; odd: being written
    std::atomic<uint32_t> flags;
    std::atomic<Stamp> seen;
    std::atomic<uint32_t> mark;  // of the flow's key; others may have the same
    std::atomic<uint64_t> word[kWords];
  };
  static_assert(sizeof(Record) == 2 * kCacheLine);

  struct Search {
    Opened known;
    uint32_t free = kNone;  // the first place that could be had, where the flow is not known
    uint32_t free_version = 0;
    uint16_t free_port = 0;
  };
  Search search(const Table& table, const Mapping& wanted, uint64_t hash, Stamp now) const noexcept;
  static uint64_t hash_of(const NodeSide& side) noexcept;  // of all but its own port
  uint64_t place_of(uint64_t side_hash, uint16_t own_port) const noexcept;
  uint64_t place_of(const NodeSide& side) const noexcept {
    return place_of(hash_of(side), side.own_port);
  }
  bool load(const Record& record, uint32_t& version, Mapping& out) const noexcept;
  static uint8_t protocol_of(const Record& record) noexcept;
  bool is_free(const Table& table, const Record& record, uint8_t protocol,
               Stamp now) const noexcept;
  static Opened claim(Record& record, uint32_t version, uint32_t index, const Mapping& wanted,
                      uint32_t mark, Stamp now) noexcept;

  ZeroedArray<Record> records_;
  uint64_t mask_ = 0;
};

}  // namespace lf::flow
