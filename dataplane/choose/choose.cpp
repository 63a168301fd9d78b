// SPDX-License-Identifier: Apache-2.0
#include "dataplane/choose/choose.hpp"

#include <cstddef>
#include <cstring>

#include "dataplane/choose/load.hpp"
#include "dataplane/core/metas.hpp"
#include "dataplane/forward/alias.hpp"

namespace lf::choose {
namespace {

using forward::BreakerFlag;
using forward::BreakerWord;
using forward::NodeLive;
using forward::Pool;
using forward::Service;
using forward::Table;

constexpr uint64_t kRefreshUs = 20;

// What a choice for one packet needs, and what it met on the way.
struct Chooser {
  const Table& table;
  NodeLive& live;
  State& state;
  Tsc now;
  forward::Balance balance = forward::Balance::weighted_random;
  uint16_t epoch = 0;         // of the admitted node's breaker
  bool trial_denied = false;  // a half-open node had no token left, for this packet
  bool retries = false;       // some packet of this burst is one
  bool counted = false;       // State::chosen is in use, in this burst

  // Writes down what was chosen; least-loaded must know it for the rest of the burst.
  Verdict chosen(Meta& m, const Service& service) noexcept {
    m.breaker_epoch = epoch;
    if (service.balance == forward::Balance::least_loaded) {
      ++state.chosen[m.node];
      counted = true;
    }
    return Verdict::none;
  }

  // Whether the node's breaker lets this command through; may take a trial token.
  bool admit(NodeSlot slot) noexcept {
    const BreakerWord word = live.breaker(slot);
    epoch = word.epoch;
    if (word.flag == BreakerFlag::closed) [[likely]]
      return true;
    if (word.flag == BreakerFlag::half_open) {
      if (live.take_trial(slot, word)) return true;
      trial_denied = true;
    }
    return false;
  }

  // The less loaded of two draws, loads compared in proportion to the weights; the first on ties,
  // so that idle nodes are chosen by weight alone.
  NodeSlot draw(Pool pool) noexcept {
    const NodeSlot a = forward::draw(table.columns.data(), pool, state.random.next());
    if (balance == forward::Balance::weighted_random || a == kNoNode) return a;
    const NodeSlot b = forward::draw(table.columns.data(), pool, state.random.next());
    if (b == kNoNode || b == a) return a;
    const auto load_a = static_cast<uint64_t>(load_of(state, live, a, now));
    const auto load_b = static_cast<uint64_t>(load_of(state, live, b, now));
    return load_b * table.weights[a] < load_a * table.weights[b] ? b : a;
  }

  // Every node of a pool owns one column, so a walk over the columns meets each once.
  NodeSlot search(Pool pool) noexcept {
    const auto start = static_cast<uint32_t>(((state.random.next() >> 32) * pool.count) >> 32);
    for (uint32_t k = 0; k < pool.count; ++k) {
      const uint32_t at = start + k < pool.count ? start + k : start + k - pool.count;
      const NodeSlot slot = table.columns[pool.first + at].self;
      if (slot != kNoNode && admit(slot)) return slot;
    }
    return kNoNode;
  }

  NodeSlot from_pool(Pool pool) noexcept {
    return pool.count == 0 ? kNoNode : from_pool(pool, draw(pool));
  }

  // `slot`: the first draw.
  NodeSlot from_pool(Pool pool, NodeSlot slot) noexcept {
    for (uint32_t k = 1;; ++k) {
      if (slot == kNoNode || admit(slot)) return slot;
      state.redrawn.add(1);
      if (k == kDraws) return search(pool);
      slot = draw(pool);
    }
  }

  bool keeps_node(const Meta& m) noexcept {
    return m.is_retry && m.node < table.weights.size() && table.weights[m.node] != 0 &&
           table.nodes[m.node].service == m.service && admit(m.node);
  }
};

// The node that primary gave, or what the failover pool has.
Verdict choose_node(Chooser& c, const Service& service, NodeSlot primary, Meta& m) noexcept {
  m.node = primary;
  if (m.node == kNoNode) {
    m.node = c.from_pool(service.failover);
    if (m.node == kNoNode)
      return service.unresolved ? Verdict::node_unresolved
             : c.trial_denied   ? Verdict::trial_taken
                                : Verdict::unroutable;
    c.state.to_failover.add(1);
  }
  return c.chosen(m, service);
}

// The first draw from the primary pool gave `slot`, which cannot take the command.
[[gnu::noinline]] Verdict choose_again(Chooser& c, const Service& service, NodeSlot slot,
                                       Meta& m) noexcept {
  c.trial_denied = false;
  c.balance = service.balance;
  return choose_node(c, service, c.from_pool(service.primary, slot), m);
}

// All but what most commands are.
[[gnu::noinline]] Verdict choose_any(Chooser& c, const Table& table, Meta& m) noexcept {
  c.trial_denied = false;
  c.retries |= m.is_retry;
  if (c.keeps_node(m)) return c.chosen(m, table.services[m.service]);
  m.node = kNoNode;
  if (m.service >= table.services.size()) return Verdict::unroutable;
  const Service& service = table.services[m.service];
  c.balance = service.balance;
  return choose_node(c, service, c.from_pool(service.primary), m);
}

// The pool of a service that draws by weight alone, as almost all do.
struct Draws {
  static constexpr uint32_t kNone = 0x10000;  // no ServiceIndex
  uint32_t service = kNone;
  uint32_t count = 0;
  const forward::AliasColumn* columns = nullptr;
};

Draws draws_of(const Table& table, ServiceIndex index) noexcept {
  if (index >= table.services.size()) return {};
  const Service& s = table.services[index];
  if (s.balance != forward::Balance::weighted_random || s.primary.count == 0) return {};
  return {index, s.primary.count, table.columns.data() + s.primary.first};
}

// Numbers for one burst's first draws: each follows from the one before in two instructions, and
// the first is from the worker's own. The lowest bits of such a sequence are poor, but draw() has its
// column from the upper half, and of the lower one the upper bits decide.
class BurstRandom {
 public:
  explicit BurstRandom(uint64_t first) noexcept : state_(first) {}
  uint64_t next() noexcept {
    return state_ = state_ * 6364136223846793005u + 1442695040888963407u;  // Knuth's, in MMIX
  }

 private:
  uint64_t state_;
};

// Most commands are new, and go where the first draw says; most are for the service of the one
// before. What that needs stays in registers.
class Usual {
 public:
  Usual(Chooser& chooser, const Table& table) noexcept
      : c_(chooser), table_(table), random_(chooser.state.random.next()) {}

  [[gnu::always_inline]] Verdict choose(Meta& m) noexcept {
    if (m.is_retry || m.service != draws_.service) [[unlikely]] {
      if (!m.is_retry) draws_ = draws_of(table_, m.service);
      if (draws_.service != m.service || m.is_retry) return choose_any(c_, table_, m);
    }
    const NodeSlot slot = forward::draw(draws_.columns, {0, draws_.count}, random_.next());
    if (slot != kNoNode) [[likely]] {
      uint16_t epoch;
      if (c_.live.is_closed(slot, epoch)) [[likely]] {
        m.node = slot;
        m.breaker_epoch = epoch;
        return Verdict::none;
      }
    }
    return choose_again(c_, table_.services[draws_.service], slot, m);
  }

 private:
  Chooser& c_;
  const Table& table_;
  Draws draws_;
  BurstRandom random_;
};

// Of all commands that have a node. Its row is read here for the first time; rewrite reads more.
class Seen {
 public:
  [[gnu::always_inline]] void add(Meta& m, const forward::Node& node) noexcept {
    m.out_port = node.out_port;
    any_port_ |= node.out_port;
    all_ports_ &= node.out_port;
    mtus_ &= node.mtu;
    uint64_t eight;
    std::memcpy(&eight, reinterpret_cast<const uint8_t*>(&m) + kFirst, sizeof eight);
    parsed_ |= eight;
  }
  Some some(bool retries) const noexcept {
    return {.replayable = in_some(offsetof(Meta, replayable)),
            .not_from_wire = in_some(offsetof(Meta, origin)),
            .retry = retries,
            .several_ports = any_port_ != all_ports_,
            .least_mtu = mtus_};
  }

 private:
  static constexpr size_t kFirst = offsetof(Meta, kind);  // and the seven bytes behind it
  bool in_some(size_t member) const noexcept {
    return (parsed_ >> 8 * (member - kFirst) & 0xff) != 0;
  }

  uint64_t parsed_ = 0;  // by OR: the byte of a member is 0 when it is so in all
  uint8_t any_port_ = 0, all_ports_ = 0xff;
  uint16_t mtus_ = 0xffff;  // by AND
};

}  // namespace

void init(State& state, const NodeStats* const* workers, uint32_t worker_count, uint32_t self,
          uint64_t seed, uint64_t tsc_hz) noexcept {
  state.random = FastRandom(seed);
  state.own = workers[self];
  state.peer_count = 0;
  for (uint32_t w = 0; w < worker_count; ++w)
    if (w != self) state.peers[state.peer_count++] = workers[w];
  state.refresh_ticks = static_cast<uint32_t>((tsc_hz * kRefreshUs / 1'000'000) >> kStampShift);
}

Some run(const Table& table, NodeLive& live, State& state, Burst& burst, Selection& selection,
         Tsc now) noexcept {
  state.refreshes_left = state.peer_count > 0 ? kRefreshesPerBurst : 0;
  const forward::Node* const nodes = table.nodes.data();
  Chooser chooser{table, live, state, now};
  Seen seen;
  bool all_chosen = true;
  Usual usual(chooser, table);
  for_each(burst, selection, [&](Meta& m) __attribute__((always_inline)) {
    const Verdict verdict = usual.choose(m);
    if (verdict != Verdict::none) [[unlikely]] {
      m.reply_status = lcp::Status::unroutable;
      m.verdict = verdict;
      all_chosen = false;
      return;
    }
    seen.add(m, nodes[m.node]);
  });
  if (!all_chosen) keep_undecided(burst, selection);
  if (chooser.counted)
    for (const uint8_t i : selection) state.chosen[burst.meta[i].node] = 0;
  return seen.some(chooser.retries);
}

}  // namespace lf::choose
