// SPDX-License-Identifier: Apache-2.0
#include "dataplane/match/match.hpp"

#include <rte_mbuf.h>
#include <rte_udp.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "dataplane/core/metas.hpp"
#include "dataplane/core/outcome_word.hpp"
#include "dataplane/match/flight_of.hpp"
#include "dataplane/net/address.hpp"

namespace lf::match {
namespace {

using forward::NodeLive;
using forward::Table;
using ledger::Flight;
using ledger::FlightWords;
using ledger::Found;
using ledger::Ledger;
using ledger::Settled;
using ledger::Timeouts;

constexpr uint32_t kLooksMax = 8;  // at a command that changes while it is being answered

uint64_t to_us(const State& state, Tsc ticks) noexcept {
  return static_cast<uint64_t>((Int128{state.us_per_tick_q32} * ticks) >> 32);
}

const lcp::ReplyBody& body_of(const Meta& m) noexcept {
  return *reinterpret_cast<const lcp::ReplyBody*>(m.lcp + 1);
}

struct Sender {
  IpAddress address;
  uint16_t port = 0;  // wire order
};

Sender sender_of(const Burst& burst, uint32_t i) noexcept {
  const Meta& m = burst.meta[i];
  const auto* frame = rte_pktmbuf_mtod(burst.packets[i], const uint8_t*);
  Sender sender;
  IpAddress to;
  net::load_addresses(frame + m.l3_offset, m.ip_version, sender.address, to);
  sender.port = reinterpret_cast<const rte_udp_hdr*>(frame + m.l4_offset)->src_port;
  return sender;
}

// By its address, or by the tag of the organisation that the node belongs to. Compared with the
// node itself: several services may have a node at one address.
bool is_from(const Table& table, const Burst& burst, uint32_t i, NodeSlot slot) noexcept {
  if (slot >= table.nodes.size() || !table.nodes[slot].configured) return false;
  const forward::Node& node = table.nodes[slot];
  const Sender sender = sender_of(burst, i);
  if (sender.address == node.address && sender.port == node.port) [[likely]]
    return true;
  const Meta& m = burst.meta[i];
  return m.authenticated && m.org != kNoOrg && m.org == node.owner;
}

// Who sent a REPORT: it says so itself, from whatever port, signed by the node's owner.
NodeSlot reporter_of(const Table& table, const Meta& m) noexcept {
  const auto* body = reinterpret_cast<const lcp::ReportBody*>(m.lcp + 1);
  const uint32_t id = lcp::be32(body->node_id);
  if (!m.authenticated || m.org == kNoOrg) return kNoNode;
  for (uint32_t slot = 0; slot < table.nodes.size(); ++slot) {
    const forward::Node& node = table.nodes[slot];
    if (node.configured && node.node_id == id && node.owner == m.org)
      return static_cast<NodeSlot>(slot);
  }
  return kNoNode;
}

// Proven commands first, for nearly all are; the names that are left in the other space.
void look_up(const Ledger& ledger, State& state, const Burst& burst, const Selection& replies,
             Tsc now) noexcept {
  uint8_t missing[kBurstMax];
  uint32_t missing_count = 0;
  for (uint32_t k = 0; k < replies.count; ++k) {
    const Meta& m = burst.meta[replies.index[k]];
    state.names[k] = {m.lcp->command_id, ledger::space_of(m.org_id, true)};
  }
  ledger.hasher().run(state.names, replies.count, state.hashes);
  for (uint32_t k = 0; k < replies.count; ++k) ledger.prefetch(state.hashes[k]);
  ledger.find(state.hashes, replies.count, now, state.found);
  for (uint32_t k = 0; k < replies.count; ++k) {
    if (state.found[k].ref != 0) continue;
    const Meta& m = burst.meta[replies.index[k]];
    state.names[missing_count] = {m.lcp->command_id, ledger::space_of(m.org_id, false)};
    missing[missing_count++] = static_cast<uint8_t>(k);
  }
  if (missing_count == 0) return;
  ledger::Hash hashes[kBurstMax];
  ledger.hasher().run(state.names, missing_count, hashes);
  for (uint32_t k = 0; k < missing_count; ++k) ledger.prefetch(hashes[k]);
  for (uint32_t k = 0; k < missing_count; ++k) {
    state.hashes[missing[k]] = hashes[k];
    ledger.find(&hashes[k], 1, now, &state.found[missing[k]]);
  }
}

// Settles the command; on success `found` is what was settled.
Verdict settle(const Table& table, Ledger& ledger, const Burst& burst, uint32_t i,
               const ledger::Hash& hash, Found& found, bool& late, Tsc now) noexcept {
  const auto status = static_cast<lcp::Status>(body_of(burst.meta[i]).status);
  for (uint32_t looks = 0; looks < kLooksMax; ++looks) {
    if (found.ref != 0 && found.state() == ledger::State::answered) return Verdict::reply_duplicate;
    if (found.ref == 0 || !found.has_flight()) return Verdict::reply_unknown;
    if (!is_from(table, burst, i, found.flight.node)) return Verdict::reply_not_from_node;
    const Settled settled = ledger.settle(found, status, now);
    late = settled == Settled::late;
    if (settled != Settled::changed) return Verdict::none;
    ledger.find(&hash, 1, now, &found);
  }
  return Verdict::reply_unknown;
}

void record_outcome(const Table& table, const NodeLive& live_nodes, State& state,
                    const Flight& flight, uint8_t status, bool late, Tsc now) noexcept {
  NodeStats& stats = state.nodes[flight.node];
  if (late) return stats.answered_late.add(1);
  const forward::Service* service =
      flight.service < table.services.size() ? &table.services[flight.service] : nullptr;
  // Another worker's clock may have been ahead when the command was sent.
  Tsc ticks = static_cast<int64_t>(now - flight.sent) > 0 ? now - flight.sent : 0;
  if (service != nullptr && service->slow_tsc != 0 && ticks > service->slow_tsc) stats.slow.add(1);
  bool good = false;
  switch (static_cast<lcp::Status>(status)) {
    case lcp::Status::ok:
      stats.ok.add(1);
      good = true;
      break;
    case lcp::Status::failed:
      stats.failed.add(1);
      break;
    case lcp::Status::busy:
      stats.busy.add(1);
      break;
    default:
      stats.other.add(1);
      good = true;
  }
  if (!good && service != nullptr) ticks = std::max(ticks, service->timeout_tsc);
  const uint64_t us = to_us(state, ticks);
  stats.latency_sum_us.add(us);
  stats.latency[latency_bucket(us)].add(1);
  count_outcomes(stats.outcomes_in_epoch, live_nodes.breaker(flight.node).epoch,
                 flight.breaker_epoch, good, !good);
}

// Of one that control submitted: there is no client on the wire.
[[gnu::noinline]] FlightWords submitted_flight(const Meta& m, Tsc now) noexcept {
  return {{.client = {},
           .sent = now,
           .service = m.service,
           .node = m.node,
           .breaker_epoch = m.breaker_epoch,
           .attempt = m.attempt,
           .flags = static_cast<uint8_t>(ledger::kFlightFromControl |
                                         (m.replayable ? ledger::kFlightReplayable : 0))}};
}

// Mostly all are watched, in this burst and in those before.
void note_unwatched(State& state, const Selection& commands, uint64_t unwatched) noexcept {
  if ((state.unwatched | unwatched) == 0) return;
  uint64_t seen = 0;
  for (const uint8_t i : commands) seen |= uint64_t{1} << i;
  state.unwatched = (state.unwatched & ~seen) | unwatched;
}

// Records a burst's commands, run by run of one service's.
class Recorder {
 public:
  Recorder(const Table& table, Ledger& ledger, State& state, const Burst& burst,
           const Selection& commands, uint64_t from_control, Tsc now) noexcept
      : table_(table),
        ledger_(ledger),
        state_(state),
        burst_(burst),
        commands_(commands),
        from_control_(from_control),
        now_(now),
        moment_(now),
        stamp_(ledger::stamp_of(now)),
        epoch_(ledger.epoch_of(now)) {}

  enum class How : uint8_t {
    usual_alone,   // of a lone worker, off the wire, and nothing is between them
    usual_shared,  // of several workers, the same
    any
  };
  template <How kHow>
  void record() noexcept {
    constexpr bool kUsual = kHow != How::any;
    const Meta* const meta = metas(burst_);
    const uint32_t base = kUsual ? commands_.index[0] : 0, count = commands_.count;
    const auto at = [this, base](uint32_t k) { return kUsual ? base + k : commands_.index[k]; };
    for (uint32_t k = 0; k < count;) {
      const ServiceIndex service = meta[at(k)].service;
      const auto is_next = [=](uint32_t n) { return n < count && meta[at(n)].service == service; };
      const forward::Service& to = table_.services[service];
      if (to.mode != forward::Mode::proxy) [[unlikely]] {
        do record_any(at(k), false);
        while (is_next(++k));
      } else if (kUsual) {
        k += record_usual<kHow == How::usual_alone>(meta + at(k), count - k);
      } else {
        auto watch = watch_for(to);
        do
          if (record_any(at(k), true)) insert(watch, meta[at(k)]);
        while (is_next(++k));
      }
    }
    note_unwatched(state_, commands_, unwatched_);
    state_.flights.began.add(count);
    if (left_ != 0) state_.flights.ended.add(left_);
  }

 private:
  Timeouts::Run watch_for(const forward::Service& to) noexcept {
    return state_.timeouts.watch(state_.timeouts.tick_of(now_ + to.timeout_tsc));
  }
  [[gnu::always_inline]] static ledger::Watched watched_of(const Meta& m, uint32_t stamp) noexcept {
    static_assert(offsetof(Meta, breaker_epoch) == offsetof(Meta, node) + 2 &&
                  offsetof(ledger::Watched, breaker_epoch) == offsetof(ledger::Watched, node) + 2);
    ledger::Watched watched{.ref = m.ledger_ref, .stamp = stamp};
    std::memcpy(&watched.node, &m.node, 4);  // and the epoch: as four bytes
    return watched;
  }
  [[gnu::always_inline]] void insert(Timeouts::Run& watch, const Meta& m) noexcept {
    if (!watch.insert(watched_of(m, stamp_))) [[unlikely]]
      state_.stats->timeouts_untracked.add(1);
  }

  // One more command sent to a node: as stats[node].sent.add(1), in two instructions instead of
  // eight.
  [[gnu::always_inline]] static void count_sent(NodeStats* stats, NodeSlot node) noexcept {
    uint64_t distance;
    asm("imulq %2, %1, %0"
        : "=r"(distance)
        : "r"(uint64_t{node}), "i"(sizeof(NodeStats))
        : "cc");
    auto& sent = reinterpret_cast<NodeStats*>(reinterpret_cast<char*>(stats) + distance)->sent;
    asm("addq $1, %0" : "+m"(sent) : : "cc");
  }

  // The commands from `first` on that are for the same service. Returns how many.
  template <bool kAlone>
  uint32_t record_usual(const Meta* first, uint32_t count) noexcept {
    auto watch = watch_for(table_.services[first->service]);
    const Meta* m = first;
    const Meta* const end = first + count;
    do {
      if (watch.make_places()) [[likely]] {
        m = record_front<kAlone>(m, end, watch);
        if (m == end || m->service != first->service) break;
        if (!watch.has_places()) continue;  // that was why it stopped
      }
      if (record_any(static_cast<uint32_t>(m - burst_.meta), true)) insert(watch, *m);
      ++m;
    } while (m != end && m->service == first->service);
    return static_cast<uint32_t>(m - first);
  }

  // The short way, as far as it goes and there are places to watch them from. A function of its
  // own, which calls nothing, and copies, which no store can change: so what its loop needs is in
  // registers.
  template <bool kAlone>
  [[gnu::noinline]] const Meta* record_front(const Meta* m, const Meta* end,
                                             Timeouts::Run& watch) noexcept {
    auto places = watch.places();
    end = m + std::min(end - m, ptrdiff_t{places.count()});
    Ledger ledger = ledger_;
    const Moment moment = moment_;
    const uint32_t stamp = stamp_, epoch = epoch_;
    NodeStats* const nodes = state_.nodes;
    const ServiceIndex service = m->service;
    do {
      if (m->service != service || m->is_retry ||
          !ledger.record_fresh<kAlone>(m->ledger_ref, flight_of(*m, moment), epoch)) [[unlikely]]
        break;
      count_sent(nodes, m->node);
      places.put(watched_of(*m, stamp));
    } while (++m != end);
    watch.left(places);
    return m;
  }

  // Whatever it is. Returns whether its time-out is to be watched.
  [[gnu::noinline]] bool record_any(uint32_t i, bool answers_pass) noexcept {
    const Meta& m = burst_.meta[i];
    const bool from_control = (from_control_ >> i & 1) != 0;
    const FlightWords flight =
        from_control ? submitted_flight(m, now_) : flight_of(m, moment_);
    bool kept = !m.is_retry && !from_control && !ledger_.is_alone() &&
                ledger_.record_fresh<false>(m.ledger_ref, flight, epoch_);
    if (!kept) {
      const ledger::Sent sent =
          ledger_.record_sent(m.ledger_ref, flight, m.is_retry, now_, state_.counts);
      kept = sent.recorded;
      if (sent.left != kNoNode) {
        state_.nodes[sent.left].left.add(1);
        ++left_;
      }
    }
    NodeStats& stats = state_.nodes[m.node];
    stats.sent.add(1);
    if (answers_pass && kept) return true;
    stats.left.add(1);  // no reply to it will come by, or be known
    ++left_;
    unwatched_ |= uint64_t{1} << i;
    return false;
  }

  const Table& table_;
  Ledger& ledger_;
  State& state_;
  const Burst& burst_;
  const Selection& commands_;
  const uint64_t from_control_;
  const Tsc now_;
  const Moment moment_;
  const uint32_t stamp_, epoch_;
  uint64_t unwatched_ = 0;
  uint32_t left_ = 0;  // transmissions that are no longer waited for
};

}  // namespace

State::State(NodeStats* node_stats, WorkerStats* worker_stats, uint32_t watched_max,
             uint64_t tsc_hz)
    : timeouts(watched_max, tsc_hz),
      nodes(node_stats),
      stats(worker_stats),
      us_per_tick_q32(((uint64_t{1'000'000} << 32) + tsc_hz - 1) / tsc_hz) {}

void run(const Table& table, const NodeLive& live_nodes, Ledger& ledger, State& state, Burst& burst,
         Selection& live, Selection& submitted, Tsc now) noexcept {
  look_up(ledger, state, burst, live, now);
  uint32_t ended = 0;
  for (uint32_t k = 0; k < live.count; ++k) {
    const uint8_t i = live.index[k];
    Found& found = state.found[k];
    bool late = false;
    const Verdict verdict = settle(table, ledger, burst, i, state.hashes[k], found, late, now);
    if (verdict != Verdict::none) {
      burst.decide(i, verdict);
      continue;
    }
    Meta& m = burst.meta[i];
    record_outcome(table, live_nodes, state, found.flight, body_of(m).status, late, now);
    ended += !late;
    m.node = found.flight.node;
    if ((found.flight.flags & ledger::kFlightFromControl) != 0) {
      burst.decide(i, Verdict::reply_to_control);
      submitted.add(i);
    } else {
      state.clients[i] = found.flight.client;
    }
  }
  state.flights.ended.add(ended);
  keep_undecided(burst, live);
}

void find_senders(const Table& table, Burst& burst, Selection& live, Verdict stranger) noexcept {
  for (const uint8_t i : live) {
    Meta& m = burst.meta[i];
    if (m.kind == Kind::report) {
      m.node = reporter_of(table, m);
    } else {
      const Sender sender = sender_of(burst, i);
      m.node = forward::find_node(table, sender.address, sender.port);
    }
    if (m.node == kNoNode) burst.decide(i, stranger);
  }
  keep_undecided(burst, live);
}

void record_sent(const Table& table, Ledger& ledger, State& state, const Burst& burst,
                 const Selection& commands, uint64_t from_control, Tsc now) noexcept {
  if (commands.count == 0) return;
  Recorder recorder(table, ledger, state, burst, commands, from_control, now);
  if (from_control != 0 || !is_run(commands)) [[unlikely]]
    recorder.record<Recorder::How::any>();
  else if (ledger.is_alone())
    recorder.record<Recorder::How::usual_alone>();
  else
    recorder.record<Recorder::How::usual_shared>();
}

void not_sent(Ledger& ledger, State& state, const Burst& burst, uint32_t i, Tsc sent) noexcept {
  const Meta& meta = burst.meta[i];
  if (!ledger.take_back(meta.ledger_ref, ledger::stamp_of(sent), meta.is_retry, state.counts))
    return;
  // What is not watched has left the node's books already.
  if ((state.unwatched >> i & 1) != 0) return;
  state.nodes[meta.node].left.add(1);
  state.flights.ended.add(1);
}

}  // namespace lf::match
