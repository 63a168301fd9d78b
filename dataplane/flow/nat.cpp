// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow/nat.hpp"

#include <netinet/in.h>

#include <bit>
#include <cstddef>

namespace lf::flow {
namespace {

constexpr Stamp kTouchEvery = 8;  // stamps; the shared line is not written more often

uint16_t swap16(uint16_t v) noexcept {
  return __builtin_bswap16(v);
}

// Ports to try, each as good as drawn by lot, but the same for the same flow on every worker. (A
// fixed step from one to the next would come back to the first port too soon where it divides the
// number of ports.)
class Ports {
 public:
  Ports(const Table& t, uint64_t hash) noexcept
      : first_(t.nat_first),
        count_(t.nat_last >= t.nat_first ? uint32_t{t.nat_last} - t.nat_first + 1 : 0),
        lot_(hash) {}

  bool any() const noexcept { return count_ != 0; }
  uint16_t next() noexcept {  // wire order
    lot_ = fold_product(lot_ ^ 0x1d8e4e27c47d124f, 0x9e3779b97f4a7c15);
    return swap16(static_cast<uint16_t>(first_ + place_in(lot_, count_)));
  }

 private:
  uint32_t first_, count_;
  uint64_t lot_;
};

bool same_client(const rewrite::Client& a, const rewrite::Client& b) noexcept {
  return a.address == b.address && a.local == b.local && a.port == b.port &&
         a.local_port == b.local_port;
}

uint32_t mark_of(uint64_t hash) noexcept {
  return static_cast<uint32_t>(hash);
}

bool same_but_port(NodeSide a, const NodeSide& b) noexcept {
  a.own_port = b.own_port;
  return a == b;
}

}  // namespace

Nat::Nat(uint64_t entries)
    : records_(std::bit_ceil(entries)), mask_(records_.size() == 0 ? 0 : records_.size() - 1) {}

uint64_t Nat::hash_of(const NodeSide& s) noexcept {
  const uint64_t rest = uint64_t{s.node_port} << 16 | uint64_t{s.protocol} << 8 | s.ip_version;
  uint64_t h = fold_product(s.node.lo ^ 0x2d358dccaa6c78a5, s.node.hi ^ 0x8bb84b93962eacc9);
  h ^= fold_product(s.own.lo ^ 0x4b33a62ed433d4a3, s.own.hi ^ 0x4d5a2da51de1aa47);
  return fold_product(h ^ 0xa0761d6478bd642f, rest ^ 0xe7037ed1a0b428db);
}

uint64_t Nat::place_of(uint64_t side_hash, uint16_t own_port) const noexcept {
  const uint64_t h = fold_product(side_hash ^ own_port, 0xd6e8feb86659fd93);
  // Once more: of one product alone a node's ports would lie in a few rows and share places.
  return fold_product(h ^ 0x8ebc6af09c88c6e3, 0x589965cc75374cc3) & mask_;
}

bool Nat::load(const Record& r, uint32_t& version, Mapping& out) const noexcept {
  version = r.version.load(std::memory_order_acquire);
  if (version == 0 || version % 2 != 0) return false;
  uint64_t words[kWords];
  for (uint32_t i = 0; i < kWords; ++i) words[i] = r.word[i].load(std::memory_order_acquire);
  std::memcpy(static_cast<void*>(&out), words, sizeof(out));
  return r.version.load(std::memory_order_relaxed) == version;
}

// What a place holds that is being written meanwhile is looked at again by whoever needs it.
uint8_t Nat::protocol_of(const Record& r) noexcept {
  constexpr size_t kWord = offsetof(NodeSide, protocol) / 8;
  static_assert(offsetof(Mapping, side) == 0 &&
                offsetof(Record, word) + (kWord + 1) * 8 <= kCacheLine);
  uint8_t bytes[8];
  const uint64_t word = r.word[kWord].load(std::memory_order_acquire);
  std::memcpy(bytes, &word, sizeof(bytes));
  return bytes[offsetof(NodeSide, protocol) % 8];
}

bool Nat::is_free(const Table& t, const Record& r, uint8_t protocol, Stamp now) const noexcept {
  const uint32_t flags = r.flags.load(std::memory_order_relaxed);
  constexpr uint32_t kBoth = kNatClientEnded | kNatNodeEnded;
  Stamp age = protocol == IPPROTO_TCP ? t.ages.tcp_idle : t.ages.udp_idle;
  if (flags & kNatReset) {
    age = t.ages.reset;
  } else if ((flags & kBoth) == kBoth) {
    age = t.ages.closing;
  } else if (!(flags & kNatAnswered)) {
    age = t.ages.opening;
  }
  // Another worker's time may be ahead of ours by a stamp.
  return static_cast<int32_t>(now - r.seen.load(std::memory_order_relaxed)) >
         static_cast<int32_t>(age);
}

// `version`: of the record when it was found free; whoever was quicker has changed it.
Nat::Opened Nat::claim(Record& r, uint32_t version, uint32_t index, const Mapping& wanted,
                       uint32_t mark, Stamp now) noexcept {
  if (!r.version.compare_exchange_strong(version, version + 1, std::memory_order_acq_rel))
    return {};
  uint64_t words[kWords];
  std::memcpy(words, &wanted, sizeof(words));
  for (uint32_t i = 0; i < kWords; ++i) r.word[i].store(words[i], std::memory_order_release);
  r.mark.store(mark, std::memory_order_release);
  r.flags.store(0, std::memory_order_relaxed);
  r.seen.store(now, std::memory_order_relaxed);
  const uint32_t next = version + 2;
  r.version.store(next == 0 ? 2 : next, std::memory_order_release);
  return {index, wanted.side.own_port, true};
}

// One pass over the ports of a flow: its mapping, or the first free place for one. In a full table
// all ports are looked at, so it reads one line of each place, and all are on their way at once;
// the second line only where the mark says that the place is the flow's.
Nat::Search Nat::search(const Table& table, const Mapping& wanted, uint64_t hash,
                        Stamp now) const noexcept {
  Search found;
  Ports ports(table, hash);
  if (!ports.any()) return found;
  const uint64_t side_hash = hash_of(wanted.side);
  struct Try {
    uint64_t place;
    uint16_t own_port;
  } tries[kNatTries];
  for (Try& t : tries) {
    t.own_port = ports.next();
    t.place = place_of(side_hash, t.own_port);
    __builtin_prefetch(&records_[t.place]);
  }
  for (const Try& t : tries) {
    const Record& r = records_[t.place];
    uint32_t version = r.version.load(std::memory_order_acquire);
    if (version % 2 != 0) continue;  // another worker writes it
    const bool free = version == 0 || is_free(table, r, protocol_of(r), now);
    if (!free && r.mark.load(std::memory_order_acquire) == mark_of(hash)) {
      Mapping seen;
      if (load(r, version, seen) && same_but_port(seen.side, wanted.side) &&
          same_client(seen.client, wanted.client)) {
        found.known = {static_cast<uint32_t>(t.place), seen.side.own_port, false};
        return found;
      }
    }
    if (free && found.free == kNone) {
      found.free = static_cast<uint32_t>(t.place);
      found.free_version = version;
      found.free_port = t.own_port;
    }
    if (version == 0) break;  // a flow takes the first free place: it would have taken this one
  }
  return found;
}

Nat::Opened Nat::find(const Table& table, const Mapping& wanted, uint64_t hash,
                      Stamp now) const noexcept {
  return search(table, wanted, hash, now).known;
}

Nat::Opened Nat::open(const Table& table, const Mapping& wanted, uint64_t hash, bool starts,
                      Stamp now) noexcept {
  for (uint32_t attempt = 0; attempt < kNatTries; ++attempt) {
    const Search found = search(table, wanted, hash, now);
    if (found.known.index != kNone) {
      Record& r = records_[found.known.index];
      if (starts) r.flags.store(0, std::memory_order_relaxed);
      r.seen.store(now, std::memory_order_relaxed);
      return found.known;
    }
    if (found.free == kNone) return {};
    Mapping fresh = wanted;
    fresh.side.own_port = found.free_port;
    const Opened made =
        claim(records_[found.free], found.free_version, found.free, fresh, mark_of(hash), now);
    if (made.index != kNone) return made;  // else another worker was quicker: look again
  }
  return {};
}

uint32_t Nat::find_back(const Table& table, const NodeSide& side, Stamp now,
                        Mapping& out) const noexcept {
  const uint64_t p = place_of(side);
  const Record& r = records_[p];
  uint32_t version;
  if (!load(r, version, out) || !(out.side == side) || is_free(table, r, side.protocol, now))
    return kNone;
  return static_cast<uint32_t>(p);
}

bool Nat::touch(uint32_t index, uint16_t own_port, const rewrite::Client& client, uint32_t flags,
                Stamp now) noexcept {
  Mapping seen;
  uint32_t version;
  if (!load(records_[index], version, seen) || seen.side.own_port != own_port ||
      !same_client(seen.client, client))
    return false;
  mark(index, flags, now);
  return true;
}

void Nat::mark(uint32_t index, uint32_t flags, Stamp now) noexcept {
  Record& r = records_[index];
  if ((r.flags.load(std::memory_order_relaxed) & flags) != flags)
    r.flags.fetch_or(flags, std::memory_order_relaxed);
  if (now - r.seen.load(std::memory_order_relaxed) >= kTouchEvery)
    r.seen.store(now, std::memory_order_relaxed);
}

}  // namespace lf::flow
