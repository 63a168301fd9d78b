// SPDX-License-Identifier: Apache-2.0
#include "dataplane/match/match.hpp"

#include <rte_mbuf.h>
#include <rte_udp.h>

#include <algorithm>
#include <bit>

#include "dataplane/core/inline.hpp"
#include "dataplane/core/metas.hpp"
#include "dataplane/core/outcome_word.hpp"
#include "dataplane/ledger/find.hpp"
#include "dataplane/net/address.hpp"

namespace lf::match {
namespace {

using forward::NodeLive;
using forward::Table;
using ledger::Entry;
using ledger::Ledger;
using ledger::Settled;
using ledger::Transmission;

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

// From where the LCP header is: nothing of the mbuf need be read.
LF_INLINE Sender sender_of(const Meta& m) noexcept {
  const auto* lcp = reinterpret_cast<const uint8_t*>(m.lcp);
  Sender sender;
  IpAddress to;
  net::load_addresses(lcp - m.lcp_offset + m.l3_offset, m.ip_version, sender.address, to);
  sender.port = reinterpret_cast<const rte_udp_hdr*>(lcp - sizeof(rte_udp_hdr))->src_port;
  return sender;
}

// By its address, or by the tag of the organisation that the node belongs to. Compared with the
// node itself: several services may have a node at one address.
LF_INLINE bool is_from(const Table& table, const Meta& m, NodeSlot slot) noexcept {
  if (slot >= table.nodes.size()) [[unlikely]]
    return false;
  const forward::Node& node = table.nodes[slot];
  if (!node.configured) [[unlikely]]
    return false;
  const Sender sender = sender_of(m);
  if (sender.address == node.address && sender.port == node.port) [[likely]]
    return true;
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

ledger::Name name_of(const Meta& m, bool proven) noexcept {
  return {m.lcp->command_id, ledger::space_of(m.org_id, proven)};
}

// Of those replies, a bit each by index, that were not found: the names in the other space.
[[gnu::noinline]] void look_for_others(const Ledger& ledger, State& state, const Burst& burst,
                                       const Selection& replies, uint64_t missing,
                                       uint32_t epoch) noexcept {
  uint32_t count = 0;
  for (uint64_t left = missing; left != 0; left &= left - 1) {
    const uint8_t i = replies.index[std::countr_zero(left)];
    state.names[count++] = name_of(burst.meta[i], (state.proven >> i & 1) == 0);
  }
  ledger.hasher().run(state.names, count, state.fresh_hashes);
  for (uint32_t k = 0; k < count; ++k) ledger.prefetch(state.fresh_hashes[k]);
  const ledger::Hash* hash = state.fresh_hashes;
  for (uint64_t left = missing; left != 0; left &= left - 1) {
    const int k = std::countr_zero(left);
    state.hashes[replies.index[k]] = *hash;
    state.entries[k] = ledger.look_for(*hash++, epoch);
  }
}

// All before the first of their flights is needed.
void look_up(const Ledger& ledger, State& state, const Burst& burst, const Selection& replies,
             uint32_t epoch) noexcept {
  uint64_t missing = 0;
  for (uint32_t k = 0; k < replies.count; ++k) {
    state.entries[k] = ledger.look_for(state.hashes[replies.index[k]], epoch);
    missing |= uint64_t{state.entries[k].ref == 0} << k;
  }
  if (missing != 0) [[unlikely]]
    look_for_others(ledger, state, burst, replies, missing, epoch);
}

// What became of one reply's command.
struct Outcome {
  Verdict verdict = Verdict::none;  // none: it is settled
  bool late = false;
  Transmission flight;  // what was settled; its client is in the state
};

// Looks again as long as the command changes.
[[gnu::noinline]] Outcome settle_any(const Table& table, Ledger& ledger, State& state,
                                     const Meta& m, uint32_t i, Entry entry,
                                     uint32_t epoch) noexcept {
  const auto status = static_cast<lcp::Status>(body_of(m).status);
  for (uint32_t looks = 0; looks < kLooksMax; ++looks) {
    if (entry.ref != 0 && entry.state() == ledger::State::answered)
      return {.verdict = Verdict::reply_duplicate};
    if (entry.ref == 0 || !entry.has_flight()) return {.verdict = Verdict::reply_unknown};
    const Transmission flight = ledger.flight_of(entry, state.clients[i]);
    if (is_from(table, m, flight.node)) {
      const Settled settled = ledger.settle(entry, status, epoch);
      if (settled != Settled::changed) return {Verdict::none, settled == Settled::late, flight};
    } else if (ledger.is_still(entry)) {
      return {.verdict = Verdict::reply_not_from_node};
    }
    entry = ledger.look_for(state.hashes[i], epoch);
  }
  return {.verdict = Verdict::reply_unknown};
}

// What nearly all are: in flight, to the node that replies.
LF_INLINE bool settle_usual(const Table& table, Ledger& ledger, State& state, const Meta& m,
                            uint32_t i, const Entry& entry, uint32_t epoch,
                            Transmission& flight) noexcept {
  if (entry.state() != ledger::State::in_flight) [[unlikely]]
    return false;
  flight = ledger.flight_of(entry, state.clients[i]);
  return is_from(table, m, flight.node) &&
         ledger.settle(entry, static_cast<lcp::Status>(body_of(m).status), epoch) ==
             Settled::answered;
}

LF_INLINE void record_outcome(const Table& table, const NodeLive& live_nodes, State& state,
                              const Transmission& flight, uint8_t status, Tsc now) noexcept {
  NodeStats& stats = state.nodes[flight.node];
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

}  // namespace

State::State(NodeStats* node_stats, WorkerStats* worker_stats, uint32_t watched_max,
             uint64_t tsc_hz)
    : timeouts(watched_max, tsc_hz),
      nodes(node_stats),
      stats(worker_stats),
      us_per_tick_q32(((uint64_t{1'000'000} << 32) + tsc_hz - 1) / tsc_hz) {}

void expect(const authenticate::Table& services, const Ledger& ledger, State& state,
            const Burst& burst, const Selection& replies, uint32_t first) noexcept {
  if (first == 0) state.proven = 0;
  const uint8_t* const positions = replies.index + first;
  const uint32_t count = replies.count - first;
  const Meta* const metadata = metas(burst);
  uint32_t service = 0x10000;  // no ServiceIndex
  uint64_t proven = 0;
  for (uint32_t k = 0; k < count; ++k) {
    const Meta& m = metadata[positions[k]];
    if (m.service != service) {
      service = m.service;
      proven = authenticate::mode_of(services, m.service) != authenticate::Mode::off;
    }
    state.names[k] = name_of(m, proven != 0);
    state.proven |= proven << positions[k];
  }
  // Mostly there is nothing between them.
  const bool are_neighbours = positions[count - 1] - positions[0] + 1u == count;
  ledger::Hash* const hashes =
      are_neighbours ? &state.hashes[positions[0]] : &state.fresh_hashes[0];
  ledger.hasher().run(state.names, count, hashes);
  for (uint32_t k = 0; k < count; ++k) ledger.prefetch(hashes[k]);
  if (are_neighbours) return;
  for (uint32_t k = 0; k < count; ++k) state.hashes[positions[k]] = hashes[k];
}

void run(const Table& table, const NodeLive& live_nodes, Ledger& ledger, State& state, Burst& burst,
         Selection& live, Selection& submitted, Tsc now) noexcept {
  const uint32_t epoch = ledger.epoch_of(now);
  look_up(ledger, state, burst, live, epoch);
  Meta* const metadata = metas(burst);
  uint32_t ended = 0;
  bool all_stay = true;
  for (uint32_t k = 0; k < live.count; ++k) {
    const uint32_t i = live.index[k];
    Meta& m = metadata[i];
    Outcome outcome;
    if (!settle_usual(table, ledger, state, m, i, state.entries[k], epoch, outcome.flight))
        [[unlikely]] {
      outcome = settle_any(table, ledger, state, m, i, state.entries[k], epoch);
      if (outcome.verdict != Verdict::none) {
        m.verdict = outcome.verdict;
        all_stay = false;
        continue;
      }
    }
    const Transmission& flight = outcome.flight;
    if (outcome.late) [[unlikely]] {
      state.nodes[flight.node].answered_late.add(1);
    } else {
      record_outcome(table, live_nodes, state, flight, body_of(m).status, now);
      ++ended;
    }
    m.node = flight.node;
    if ((flight.flags & ledger::kFlightFromControl) != 0) [[unlikely]] {
      m.verdict = Verdict::reply_to_control;
      submitted.add(i);
      all_stay = false;
    }
  }
  state.flights.ended.add(ended);
  if (!all_stay) keep_undecided(burst, live);
}

void find_senders(const Table& table, Burst& burst, Selection& live, Verdict stranger) noexcept {
  for (const uint8_t i : live) {
    Meta& m = burst.meta[i];
    if (m.kind == Kind::report) {
      m.node = reporter_of(table, m);
    } else {
      const Sender sender = sender_of(m);
      m.node = forward::find_node(table, sender.address, sender.port);
    }
    if (m.node == kNoNode) burst.decide(i, stranger);
  }
  keep_undecided(burst, live);
}

}  // namespace lf::match
