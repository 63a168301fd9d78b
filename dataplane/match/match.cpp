// SPDX-License-Identifier: Apache-2.0
#include "dataplane/match/match.hpp"

#include <rte_mbuf.h>
#include <rte_udp.h>

#include <algorithm>

#include "dataplane/core/outcome_word.hpp"
#include "dataplane/net/address.hpp"

namespace lf::match {
namespace {

using forward::NodeLive;
using forward::Table;
using ledger::Flight;
using ledger::Found;
using ledger::Ledger;
using ledger::Settled;

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

}  // namespace lf::match
