// SPDX-License-Identifier: Apache-2.0
#include "dataplane/match/match.hpp"

#include <rte_udp.h>

#include "dataplane/core/outcome_word.hpp"
#include "dataplane/net/address.hpp"

namespace lf::match {
namespace {

// Somebody else may settle the same command between our look and our change: look again, but not
// for ever.
constexpr uint32_t kLooksMax = 4;

struct Sender {
  IpAddress address;
  uint16_t port;  // wire order
};

Sender sender_of(const rte_mbuf* m, const Meta& meta) noexcept {
  const auto* frame = rte_pktmbuf_mtod(m, const uint8_t*);
  Sender s;
  IpAddress destination;
  net::load_addresses(frame + meta.l3_offset, meta.ip_version, s.address, destination);
  s.port = reinterpret_cast<const rte_udp_hdr*>(frame + meta.l4_offset)->src_port;
  return s;
}

bool is_from(const forward::Table& table, NodeSlot slot, const Sender& sender) noexcept {
  if (slot >= table.nodes.size()) return false;
  const forward::Node& node = table.nodes[slot];
  return node.configured && node.address == sender.address && node.port == sender.port;
}

// What the reply says of the node: latency and outcome.
void count(const forward::Table& table, const forward::NodeLive& live, State& state,
           const ledger::Flight& flight, lcp::Status status, ledger::Settled how,
           Tsc now) noexcept {
  NodeStats& node = state.nodes[flight.node];
  const Tsc ticks = now > flight.sent ? now - flight.sent : 0;
  const bool good = status != lcp::Status::failed && status != lcp::Status::busy;
  const bool known = flight.service < table.services.size();
  // A failure is as slow as a time-out: a node that fails fast must not look fast.
  const Tsc charged =
      good || !known ? ticks : std::max(ticks, table.services[flight.service].timeout_tsc);
  const uint64_t us = charged * 1'000'000 / state.tsc_hz;
  node.latency[latency_bucket(us)].add(1);
  // Late: the time-out was counted as its outcome already.
  if (how == ledger::Settled::late) return node.answered_late.add(1);
  node.latency_sum_us.add(us);
  switch (status) {
    case lcp::Status::ok:
      node.ok.add(1);
      break;
    case lcp::Status::failed:
      node.failed.add(1);
      break;
    case lcp::Status::busy:
      node.busy.add(1);
      break;
    default:
      node.other.add(1);
  }
  const Tsc slow = known ? table.services[flight.service].slow_tsc : 0;
  if (slow != 0 && ticks > slow) node.slow.add(1);
  count_outcomes(node.outcomes_in_epoch, live.breaker(flight.node).epoch, flight.breaker_epoch,
                 good ? 1 : 0, good ? 0 : 1);
}

}  // namespace

State::State(NodeStats* node_stats, WorkerStats* worker_stats, uint32_t watched, uint64_t hz)
    : nodes(node_stats), stats(worker_stats), tsc_hz(hz), timeouts(watched, hz) {}

void run(const forward::Table& table, const forward::NodeLive& nodes, ledger::Ledger& ledger,
         State& s, Burst& burst, Selection& live, Selection& to_control, Tsc now) noexcept {
  for (uint32_t k = 0; k < live.count; ++k) {
    const Meta& meta = burst.meta[live.index[k]];
    s.names[k] = {meta.lcp->command_id, meta.org_id};
  }
  ledger.hasher().run(s.names, live.count, s.hashes);
  for (uint32_t k = 0; k < live.count; ++k) ledger.prefetch(s.hashes[k]);
  ledger.find(s.hashes, live.count, now, s.found);
  for (uint32_t k = 0; k < live.count; ++k) {
    const uint8_t i = live.index[k];
    Meta& meta = burst.meta[i];
    const auto status =
        static_cast<lcp::Status>(reinterpret_cast<const lcp::ReplyBody*>(meta.lcp + 1)->status);
    ledger::Found& found = s.found[k];
    for (uint32_t looks = 0;; ++looks) {
      if (found.ref == 0 || looks == kLooksMax ||
          (!found.has_flight() && found.state() != ledger::State::answered)) {
        burst.decide(i, Verdict::reply_unknown);
        break;
      }
      if (found.state() == ledger::State::answered) {
        burst.decide(i, Verdict::reply_duplicate);
        break;
      }
      if (!is_from(table, found.flight.node, sender_of(burst.packets[i], meta))) {
        burst.decide(i, Verdict::reply_not_from_node);
        break;
      }
      const ledger::Settled how = ledger.settle(found, status, now);
      if (how == ledger::Settled::changed) {
        ledger.find(&s.hashes[k], 1, now, &found);
        continue;
      }
      count(table, nodes, s, found.flight, status, how, now);
      meta.node = found.flight.node;
      s.clients[i] = found.flight.client;
      if ((found.flight.flags & ledger::kFlightFromControl) != 0) {
        to_control.add(i);
        burst.decide(i, Verdict::reply_to_control);
      }
      break;
    }
  }
  keep_undecided(burst, live);
}

void find_senders(const forward::Table& table, Burst& burst, Selection& live,
                  Verdict stranger) noexcept {
  for (const uint8_t i : live) {
    Meta& meta = burst.meta[i];
    const Sender sender = sender_of(burst.packets[i], meta);
    meta.node = forward::find_node(table, sender.address, sender.port);
    if (meta.node == kNoNode) burst.decide(i, stranger);
  }
  keep_undecided(burst, live);
}

void record_sent(const forward::Table& table, ledger::Ledger& ledger, State& s, const Burst& burst,
                 const Selection& live, const rewrite::Client* clients, Tsc now) noexcept {
  for (const uint8_t i : live) {
    const Meta& meta = burst.meta[i];
    ledger::Flight flight;
    flight.client = clients[i];
    flight.sent = now;
    flight.service = meta.service;
    flight.node = meta.node;
    flight.breaker_epoch = meta.breaker_epoch;
    flight.attempt = meta.attempt;
    flight.flags =
        static_cast<uint8_t>((meta.replayable ? ledger::kFlightReplayable : 0) |
                             (meta.origin == Origin::intake ? ledger::kFlightFromControl : 0));
    const ledger::Sent sent =
        ledger.record_sent(meta.ledger_ref, flight, meta.is_retry, now, s.counts);
    NodeStats& node = s.nodes[meta.node];
    node.sent.add(1);
    if (sent.left != kNoNode) s.nodes[sent.left].left.add(1);
    // A node that answers the client itself owes us nothing.
    if (!sent.recorded || table.nodes[meta.node].mode == forward::Mode::dsr_l2) {
      node.left.add(1);
      continue;
    }
    if (!s.timeouts.watch(meta.ledger_ref, now, table.services[meta.service].timeout_tsc, meta.node,
                          meta.breaker_epoch)) {
      s.stats->timeouts_untracked.add(1);
    }
  }
}

}  // namespace lf::match
