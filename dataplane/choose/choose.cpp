// SPDX-License-Identifier: Apache-2.0
#include "dataplane/choose/choose.hpp"

#include <immintrin.h>

#include <bit>
#include <cstddef>
#include <cstring>

#include "dataplane/choose/load.hpp"
#include "dataplane/core/metas.hpp"
#include "dataplane/forward/alias.hpp"
#include "dataplane/net/offsets.hpp"

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
  static constexpr ServiceIndex kNone = kNoService - 1;  // no service's, and not a packet's without
  static_assert(kServicesMax <= kNone);
  ServiceIndex service = kNone;
  uint64_t count = 0;
  const forward::AliasColumn* columns = nullptr;
};

Draws draws_of(const Table& table, ServiceIndex index) noexcept {
  if (index >= table.services.size()) return {};
  const Service& s = table.services[index];
  if (s.balance != forward::Balance::weighted_random || s.primary.count == 0) return {};
  return {index, s.primary.count, table.columns.data() + s.primary.first};
}

// Numbers for one burst's first draws: each follows from the one before by a multiplication, and
// the first is from the worker's own, made odd. The lowest bits of such a sequence are poor, but of
// a pool of n columns draw() uses the upper 32 + log2(n) bits.
class BurstRandom {
 public:
  explicit BurstRandom(uint64_t first) noexcept : state_(first | 1) {
    asm("" : "+r"(factor_));  // or GCC loads it anew for each
  }
  uint64_t next() noexcept { return state_ *= factor_; }
  uint64_t last() const noexcept { return state_; }

 private:
  uint64_t state_;
  uint64_t factor_ = 6364136223846793005u;  // Knuth's, in MMIX
};

// Of all commands that have a node, by OR and AND of neighbouring members.
class Seen {
 public:
  [[gnu::always_inline]] void add(Meta& m, const forward::Image& image) noexcept {
    m.out_port = image.common.out_port;
    uint64_t common;
    std::memcpy(&common, &image.common, sizeof common);
    any_node_ |= common;
    all_nodes_ &= common;
    const auto* parsed = reinterpret_cast<const uint8_t*>(&m) + kFirst;
    parsed_ =
        _mm256_or_si256(parsed_, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(parsed)));
  }

  Some some(bool retries) const noexcept {
    Meta any;
    std::memcpy(reinterpret_cast<uint8_t*>(&any) + kFirst, &parsed_, sizeof parsed_);
    const auto some_node = std::bit_cast<forward::Image::Common>(any_node_),
               least_node = std::bit_cast<forward::Image::Common>(all_nodes_);
    const net::Layout layout{any.ip_version, some_node.tagged != 0};
    static_assert(forward::Mode::proxy == forward::Mode{0});
    // Some may still be of IPv4 where all look like those of IPv6, see is_all_of().
    const bool usual = net::offsets_of(any) == layout.offsets() &&
                       some_node.mode == static_cast<uint8_t>(forward::Mode::proxy) &&
                       some_node.ip_version == any.ip_version &&
                       least_node.ip_version == any.ip_version &&
                       some_node.tagged == least_node.tagged;
    const uint32_t headers = layout.lcp() - layout.ip() + sizeof(lcp::Header);
    return {.replayable = any.replayable,
            .not_from_wire = any.origin != Origin::wire,
            .retry = retries,
            .several_ports = some_node.out_port != least_node.out_port,
            .all_usual = usual,
            .layout = layout,
            .all_fit = headers + any.payload_length <= least_node.mtu,
            .least_mtu = least_node.mtu};
  }

 private:
  static constexpr size_t kFirst = offsetof(Meta, payload_length);  // up to the verdict
  static_assert(offsetof(Meta, verdict) == kFirst + sizeof(__m256i) - 1);

  __m256i parsed_ = _mm256_setzero_si256();
  uint64_t any_node_ = 0, all_nodes_ = ~uint64_t{0};
};

// Most commands are new, and go where the first draw says; most are for the service of the one
// before. What is needed for these stays in registers.
class Usual {
 public:
  // `first`: service of the first command.
  Usual(Chooser& chooser, const Table& table, ServiceIndex first) noexcept
      : c_(chooser),
        table_(table),
        draws_(draws_of(table, first)),
        random_(chooser.state.random.next()) {}

  // Neighbours in a burst. False: some have no node, and are decided.
  bool choose(Meta* m, Meta* const end) noexcept {
    bool all_chosen = true;
    for (;;) {
      m = choose_usual(m, end);
      if (m == end) return all_chosen;
      if (!m->is_retry && m->service != draws_.service) {
        draws_ = draws_of(table_, m->service);
        if (draws_.service == m->service) continue;
      }
      all_chosen &= choose_other(*m++);
    }
  }

  Some some() const noexcept { return seen_.some(c_.retries); }

 private:
  // As long as they are usual, and their first draws can take them. Returns where that ends.
  [[gnu::always_inline]] Meta* choose_usual(Meta* m, Meta* const end) noexcept {
    const Draws draws = draws_;
    const forward::Image* const images = table_.images.data();
    const NodeLive* live = &c_.live;
    asm("" : "+r"(live));  // or it is looked up for each
    BurstRandom random = random_;
    Seen seen = seen_;
    for (; m != end; ++m) {
      if (m->is_retry || m->service != draws.service) [[unlikely]]
        break;
      const NodeSlot slot = forward::draw(draws.columns, draws.count, random.next());
      uint16_t epoch;
      if (slot == kNoNode || !live->is_closed(slot, epoch)) [[unlikely]]
        break;
      m->node = slot;
      m->breaker_epoch = epoch;
      seen.add(*m, images[slot]);
    }
    random_ = random;
    seen_ = seen;
    return m;
  }

  // The one where choose_usual() ended.
  [[gnu::noinline]] bool choose_other(Meta& m) noexcept {
    const bool drawn = !m.is_retry && m.service == draws_.service;
    const Verdict verdict =
        drawn ? choose_again(c_, table_.services[m.service],
                             forward::draw(draws_.columns, draws_.count, random_.last()), m)
              : choose_any(c_, table_, m);
    if (verdict != Verdict::none) {
      m.reply_status = lcp::Status::unroutable;
      m.verdict = verdict;
      return false;
    }
    seen_.add(m, table_.images[m.node]);
    return true;
  }

  Chooser& c_;
  const Table& table_;
  Draws draws_;
  BurstRandom random_;
  Seen seen_;
};

// By OR offsets of IPv4 disappear in those of IPv6.
bool is_all_of(const Burst& burst, const Selection& live, uint32_t offsets) noexcept {
  for (const uint8_t i : live)
    if (net::offsets_of(burst.meta[i]) != offsets) return false;
  return true;
}

// Calls f(first, end) for neighbours in a burst.
template <typename F>
void for_each_run(Burst& burst, const Selection& live, F&& f) noexcept {
  for (uint32_t k = 0; k < live.count;) {
    const uint32_t first = live.index[k];
    uint32_t count = live.count - k;
    if (live.index[live.count - 1] - first != count - 1)
      for (count = 1; k + count < live.count && live.index[k + count] == first + count;) ++count;
    f(burst.meta + first, burst.meta + first + count);
    k += count;
  }
}

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
  if (selection.count == 0) return {};
  state.refreshes_left = state.peer_count > 0 ? kRefreshesPerBurst : 0;
  Chooser chooser{table, live, state, now};
  Usual usual(chooser, table, burst.meta[selection.index[0]].service);
  bool all_chosen = true;
  for_each_run(burst, selection,
               [&](Meta* first, Meta* end) { all_chosen &= usual.choose(first, end); });
  if (!all_chosen) keep_undecided(burst, selection);
  if (chooser.counted)
    for (const uint8_t i : selection) state.chosen[burst.meta[i].node] = 0;
  Some some = usual.some();
  if (some.all_usual && some.layout.ip_version == 6) [[unlikely]]
    some.all_usual = is_all_of(burst, selection, some.layout.offsets());
  return some;
}

}  // namespace lf::choose
