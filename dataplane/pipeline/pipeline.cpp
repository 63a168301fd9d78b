// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/pipeline.hpp"

#include <rte_udp.h>

#include "dataplane/answer/answer.hpp"
#include "dataplane/core/hold_end.hpp"
#include "dataplane/core/mbuf_note.hpp"
#include "dataplane/flow/send.hpp"
#include "dataplane/identity/identity.hpp"
#include "dataplane/parse/table.hpp"
#include "dataplane/pipeline/state.hpp"
#include "dataplane/policy/table.hpp"
#include "dataplane/rewrite/rewrite.hpp"
#include "dataplane/validate/validate.hpp"

namespace lf::pipeline {
namespace {

constexpr uint64_t kDelaySlotsPerSecond = 2000;  // a delayed packet leaves at most 0.5 ms late
constexpr uint64_t kDelayHorizonSeconds = 5;
constexpr uint32_t kWatchedMax = 1u << 20;  // commands in flight with a time-out, per worker

// Both ascending; `some` is part of `from`.
void take_out(Selection& from, const Selection& some) noexcept {
  if (some.count == 0) return;
  uint16_t kept = 0, k = 0;
  for (uint16_t i = 0; i < from.count; ++i) {
    if (k < some.count && from.index[i] == some.index[k])
      ++k;
    else
      from.index[kept++] = from.index[i];
  }
  from.count = kept;
}

// Whether control submitted the command and nobody on the wire waits for its answer: batch intake
// sends from UDP port 0. A held command that is released is still known by that.
bool is_submitted(const Burst& burst, uint32_t i) noexcept {
  const Meta& meta = burst.meta[i];
  if (meta.origin == Origin::wire) [[likely]]
    return false;
  const auto* udp = rte_pktmbuf_mtod_offset(burst.packets[i], const rte_udp_hdr*, meta.l4_offset);
  return meta.origin == Origin::intake || (was_held(meta.origin) && udp->src_port == 0);
}

// Neighbours in a burst mostly leave through the same port.
void send_as(Verdict verdict, Burst& burst, const Selection& live, Outbox& out) noexcept {
  PortOut* to = nullptr;
  uint16_t to_port = kPortsMax;
  for (const uint8_t i : live) {
    Meta& meta = burst.meta[i];
    meta.verdict = verdict;
    if (meta.out_port != to_port) to = &out.open(to_port = meta.out_port);
    to->add(burst.packets[i], i);
    burst.packets[i] = nullptr;
  }
}

}  // namespace

State::State(const Pipeline::Setup& s)
    : quota(s.delay_packets, s.shared->tsc_hz / kDelaySlotsPerSecond,
            s.shared->tsc_hz * kDelayHorizonSeconds),
      match(s.node_stats, s.stats,
            static_cast<uint32_t>(std::min<uint64_t>(s.shared->ledger->capacity(), kWatchedMax)),
            s.shared->tsc_hz),
      flow(s.flow_entries, s.seed, s.node_stats),
      too_big(s.shared->tsc_hz),
      kept(s.shared->orders != nullptr ? s.replay_packets : 0) {
  policy.worker = s.worker;
  audit.ring = s.audit;
  audit.worker = s.worker;
  audit.drop_outcomes = s.audit_drop_outcomes;
  choose::init(choose, s.all_node_stats, s.workers, s.worker, s.seed, s.shared->tsc_hz);
}

Pipeline::Pipeline(const Setup& setup) : setup_(setup), state_(new State(setup)) {}
Pipeline::~Pipeline() = default;

void Pipeline::run(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept {
  for (uint32_t i = 0; i < burst.count; ++i) burst.meta[i].origin = Origin::wire;
  stages(snapshot, burst, now, out);
}

void Pipeline::run_injected(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept {
  for (uint32_t i = 0; i < burst.count; ++i) {
    burst.meta[i].origin = note_of(burst.packets[i]).meta.origin;
  }
  stages(snapshot, burst, now, out);
}

void Pipeline::stages(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept {
  State& s = *state_;
  s.clock.begin(setup_.shared->sample_bursts.load(std::memory_order_relaxed));
  parse::run(*snapshot.parse, s.parse, burst, s.sorted, now);
  s.clock.mark(Stage::parse, burst.count);
  if (s.sorted.commands.count != 0) commands(snapshot, burst, s.sorted.commands, now, out);
  if (s.sorted.replies.count != 0) {
    const uint32_t count = s.sorted.replies.count;
    replies(snapshot, burst, now, out);
    s.clock.mark(Stage::replies, count);
  }
  if (s.sorted.flows.count != 0) {
    const uint32_t count = s.sorted.flows.count;
    flows(snapshot, burst, now, out);
    s.clock.mark(Stage::flows, count);
  }
  const uint32_t others = s.sorted.reports.count + s.sorted.approvals.count +
                          s.sorted.probe_replies.count + s.sorted.exceptions.count +
                          s.sorted.probes.count;
  from_nodes(snapshot, burst, now, out);
  if ((s.sorted.exceptions.count | s.sorted.probes.count) != 0) {
    exceptions(snapshot, burst, now, out);
  }
  s.clock.mark(Stage::others, others);
  free_rest(burst, out);
  s.clock.end(burst.count);
}

void Pipeline::set_backlog(uint64_t packets) noexcept {
  state_->backlog.store(packets, std::memory_order_relaxed);
}

// What one worker began another may end: of a single worker this can be negative, and wraps.
admission::Load Pipeline::own_load() const noexcept {
  const uint64_t unparked = setup_.stats->unparked.read();  // first: `parked` is never less
  return {.in_flight = static_cast<uint64_t>(state_->match.flights.balance()),
          .rx_backlog = state_->backlog.load(std::memory_order_relaxed),
          .delayed = setup_.stats->parked.read() - unparked};
}

admission::Load Pipeline::load() const noexcept {
  admission::Load load = own_load();
  const int64_t others = setup_.shared->others_busy[setup_.worker].load(std::memory_order_relaxed);
  load.in_flight =
      static_cast<uint64_t>(std::max<int64_t>(0, static_cast<int64_t>(load.in_flight) + others));
  return load;
}

// Only when there is no room for all of them is it worth asking the ledger who is a duplicate.
void Pipeline::shed(const Snapshot& snapshot, Burst& burst, Selection& live, Tsc now) noexcept {
  const admission::Load load = this->load();
  if (admission::room(snapshot.admission, load) >= live.count) [[likely]]
    return;
  State& s = *state_;
  Selection refused = live;
  const uint64_t known = dedup::duplicates(*setup_.shared->ledger, s.dedup, burst, live, now);
  admission::run(snapshot.admission, load, known, burst, live);
  take_out(refused, live);
  quota::tell(*snapshot.quota, *setup_.shared->windows, burst, refused, now);
}

// The life of a command. What dedup lets through owns a ledger entry until it is sent.
void Pipeline::commands(const Snapshot& snapshot, Burst& burst, const Selection& all, Tsc now,
                        Outbox& out) noexcept {
  State& s = *state_;
  Shared& shared = *setup_.shared;
  const uint64_t unix_us = shared.wall->unix_us(now);
  Selection live = all;
  dedup::expect(*shared.ledger, s.dedup, burst, all);
  authenticate::run(*snapshot.authenticate, s.authenticate, burst, live, now);
  s.clock.mark(Stage::authenticate, all.count);
  validate::run(*snapshot.parse, burst, live, unix_us);
  if (shared.draining.load(std::memory_order_relaxed)) {
    for (const uint8_t i : live) burst.decide(i, Verdict::stopping);
    live.count = 0;
  }
  shed(snapshot, burst, live, now);
  s.clock.mark(Stage::validate, all.count);
  // Retries of commands in this very burst have their turn when those are sent.
  Selection round = all;
  do {
    const uint32_t offered = live.count;
    dedup::run(*shared.ledger, s.dedup, burst, live, now);
    s.clock.mark(Stage::dedup, offered);
    const Selection later = s.dedup.deferred;
    take_out(round, later);
    const Selection owned = live;
    identity::run(snapshot.policy->identity, burst, live, unix_us);
    policy::run(*snapshot.policy, s.policy, burst, live);
    audit::admit(s.audit, burst, owned, live, round.count);
    s.clock.mark(Stage::policy, owned.count);
    const uint32_t allowed = live.count;
    quota::run(*snapshot.quota, *shared.windows, s.quota, burst, live, now, unix_us);
    s.clock.mark(Stage::quota, allowed);
    forward(snapshot, burst, live, now, out);

    const bool all_sent = live.count == round.count;
    if (!all_sent) give_back(burst, owned);
    audit::append(s.audit, burst, round, unix_us);
    s.clock.mark(Stage::audit, round.count);
    if (!all_sent) {
      const uint32_t stay = round.count - live.count;
      keep(snapshot, burst, owned, now, out);
      answer(snapshot, burst, round, now, out);
      s.clock.mark(Stage::answer, stay);
    }
    live = round = later;
  } while (live.count != 0);
}

// From an admitted command to a frame on its way to a node.
void Pipeline::forward(const Snapshot& snapshot, Burst& burst, Selection& live, Tsc now,
                       Outbox& out) noexcept {
  State& s = *state_;
  s.now = now;
  Shared& shared = *setup_.shared;
  const uint32_t admitted = live.count;
  choose::run(*snapshot.forward, *shared.live, s.choose, burst, live, now);
  s.clock.mark(Stage::choose, admitted);
  bool replayable = false;
  for (const uint8_t i : live) {
    replayable |= burst.meta[i].replayable;
    s.clients[i] = is_submitted(burst, i) ? rewrite::Client{}
                                          : rewrite::client_of(burst.packets[i], burst.meta[i]);
  }
  Selection too_big{};
  rewrite::to_nodes(*snapshot.forward, snapshot.parse->ports, burst, live, too_big);
  s.clock.mark(Stage::rewrite, admitted);
  match::record_sent(*snapshot.forward, *shared.ledger, s.match, burst, live, s.clients, now);
  if (replayable) keep_replayable(burst, live, now);
  uint32_t retries = 0;
  PortOut* to = nullptr;
  uint16_t to_port = kPortsMax;
  for (const uint8_t i : live) {
    Meta& meta = burst.meta[i];
    retries += meta.is_retry;
    meta.verdict = Verdict::forwarded;
    if (meta.out_port != to_port) to = &out.open(to_port = meta.out_port);
    to->add(burst.packets[i], i);
    burst.packets[i] = nullptr;
  }
  if (retries != 0) setup_.stats->retries_passed.add(retries);
  s.clock.mark(Stage::record, live.count);
  if (too_big.count == 0) return;
  for (const uint8_t i : too_big) {
    dedup::give_back(*shared.ledger, s.dedup, burst.meta[i]);
    burst.meta[i].ledger_ref = 0;
  }
  report_too_big(snapshot, burst, too_big, now, out);
}

// What does not fit goes back to its sender as the ICMP message that says so.
void Pipeline::report_too_big(const Snapshot& snapshot, Burst& burst, Selection& too_big, Tsc now,
                              Outbox& out) noexcept {
  too_big::run(*snapshot.forward, snapshot.parse->ports, state_->too_big, burst, too_big, now);
  for (const uint8_t i : too_big) send(burst, i, out);
}

// A refused or held command gives its id back, so that the sender's retry is no duplicate.
void Pipeline::give_back(Burst& burst, const Selection& owned) noexcept {
  for (const uint8_t i : owned) {
    const Meta& meta = burst.meta[i];
    if (meta.ledger_ref == 0 || meta.verdict == Verdict::forwarded) continue;
    if (meta.verdict == Verdict::none) {
      setup_.shared->ledger->park(meta.ledger_ref);  // delayed: it comes back
    } else {
      dedup::give_back(*setup_.shared->ledger, state_->dedup, meta);
    }
  }
}

// Commands that stay for a while: delayed ones go into the wheel, held ones to control. Their
// senders are told, when they want to know.
void Pipeline::keep(const Snapshot& snapshot, Burst& burst, const Selection& owned, Tsc now,
                    Outbox& out) noexcept {
  State& s = *state_;
  Selection kept{};
  for (const uint8_t i : owned) {
    if (burst.meta[i].verdict == Verdict::held) kept.add(i);
  }
  for (uint32_t k = 0; k < s.quota.delayed_count; ++k) {
    const uint8_t i = s.quota.delayed[k].position;
    burst.meta[i].reply_status = lcp::Status::delayed;
    kept.add(i);
  }
  if (kept.count == 0) return;
  notify(snapshot, burst, kept, out);
  for (const uint8_t i : kept) {
    if (burst.meta[i].verdict == Verdict::held) to_control(burst, i, ToControl::held, now, out);
  }
  if (s.quota.delayed_count == 0) return;
  setup_.stats->quota_delayed.add(s.quota.delayed_count);
  setup_.stats->parked.add(s.quota.delayed_count);
  quota::park(s.quota, burst);
  s.quota.delayed_count = 0;
}

// Refused commands become the REPLY to their sender, where that is authenticated and asked for it.
// Those that control submitted go back there.
void Pipeline::answer(const Snapshot& snapshot, Burst& burst, const Selection& commands, Tsc now,
                      Outbox& out) noexcept {
  Selection refused{};
  for (const uint8_t i : commands) {
    if (burst.packets[i] != nullptr && is_drop(burst.meta[i].verdict) &&
        burst.meta[i].verdict != Verdict::too_big) {
      if (is_submitted(burst, i)) [[unlikely]]
        to_control(burst, i, ToControl::reply, now, out);
      else
        refused.add(i);
    }
  }
  if (refused.count == 0) return;
  answer::build(burst, refused);
  sign_and_send(snapshot, burst, refused, out);
}

void Pipeline::notify(const Snapshot& snapshot, const Burst& burst, const Selection& kept,
                      Outbox& out) noexcept {
  Burst& notices = state_->notices;
  notices.count = 0;
  Selection live{};
  for (const uint8_t i : kept) {
    if (!answer::wanted(burst.meta[i]) || is_submitted(burst, i)) continue;
    rte_mbuf* fresh = rte_pktmbuf_alloc(setup_.pool);
    if (fresh == nullptr) break;
    if (answer::copy(burst, i, notices, fresh)) {
      live.add(notices.count - 1u);
    } else {
      out.drop(fresh);
    }
  }
  if (live.count == 0) return;
  answer::build(notices, live);
  sign_and_send(snapshot, notices, live, out);
  for (uint32_t i = 0; i < notices.count; ++i) {
    if (notices.packets[i] != nullptr) out.drop(notices.packets[i]);
  }
}

void Pipeline::sign_and_send(const Snapshot& snapshot, Burst& burst, const Selection& live,
                             Outbox& out) noexcept {
  lcp::Header* headers[kBurstMax];
  for (uint32_t k = 0; k < live.count; ++k) headers[k] = burst.meta[live.index[k]].lcp;
  authenticate::sign(*snapshot.authenticate, state_->authenticate, headers, live.count);
  answer::finish(burst, live);
  for (const uint8_t i : live) {
    out.send(burst.meta[i].out_port, burst.packets[i], kNoPosition);
    burst.packets[i] = nullptr;
  }
  setup_.stats->answers_sent.add(live.count);
}

void Pipeline::replies(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept {
  State& s = *state_;
  Shared& shared = *setup_.shared;
  Selection& live = s.sorted.replies;
  authenticate::run(*snapshot.authenticate, s.authenticate, burst, live, now);
  Selection submitted{}, too_big{};
  match::run(*snapshot.forward, *shared.live, *shared.ledger, s.match, burst, live, submitted, now);
  rewrite::to_clients(snapshot.parse->ports, s.match.clients, burst, live, too_big);
  for (const uint8_t i : live) {
    burst.decide(i, Verdict::replied);
    send(burst, i, out);
  }
  for (const uint8_t i : submitted) to_control(burst, i, ToControl::reply, now, out);
  if (too_big.count != 0) report_too_big(snapshot, burst, too_big, now, out);
}

// REPORTs, APPROVALs and PROBE_REPLYs: checked here, understood by control.
void Pipeline::from_nodes(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept {
  State& s = *state_;
  Selection& reports = s.sorted.reports;
  if (reports.count != 0) {
    authenticate::run(*snapshot.authenticate, s.authenticate, burst, reports, now);
    match::find_senders(*snapshot.forward, burst, reports, Verdict::report_not_from_node);
    for (const uint8_t i : reports) {
      burst.decide(i, Verdict::report_taken);
      to_control(burst, i, ToControl::report, now, out);
    }
  }
  Selection& approvals = s.sorted.approvals;
  if (approvals.count != 0) {
    authenticate::run(*snapshot.authenticate, s.authenticate, burst, approvals, now);
    for (const uint8_t i : approvals) {
      burst.decide(i, Verdict::approval_taken);
      to_control(burst, i, ToControl::approval, now, out);
    }
  }
  Selection& probes = s.sorted.probe_replies;
  if (probes.count != 0) {
    authenticate::run(*snapshot.authenticate, s.authenticate, burst, probes, now);
    match::find_senders(*snapshot.forward, burst, probes, Verdict::probe_unexpected);
    for (const uint8_t i : probes) {
      burst.decide(i, Verdict::probe_reply_taken);
      to_control(burst, i, ToControl::probe_reply, now, out);
    }
  }
}

// New flows that policy or the quota refuses are dropped; further packets of the same flow in this
// burst with them. Nothing of a flow can be parked: what a command would be held for is denied, and
// what it would be delayed for goes on at once. Gives the flows that policy was asked about.
Selection Pipeline::admit_flows(const Snapshot& snapshot, Burst& burst, Tsc now) noexcept {
  State& s = *state_;
  Selection judged{}, counted{};
  flow::gather_new(*snapshot.flow, s.flow, burst, s.flow.fresh, judged, counted);
  if ((judged.count | counted.count) == 0) return judged;
  const uint64_t unix_us = setup_.shared->wall->unix_us(now);
  const auto refuse = [&](const Selection& asked) {
    for (const uint8_t i : asked)
      if (burst.meta[i].verdict != Verdict::none)
        flow::refuse(s.flow, burst, s.flow.fresh, i, burst.meta[i].verdict);
  };
  if (judged.count != 0) {
    Selection live = judged;
    identity::run(snapshot.policy->identity, burst, live, unix_us);
    policy::run(*snapshot.policy, s.policy, burst, live);
    for (const uint8_t i : judged)
      if (burst.meta[i].verdict == Verdict::held) burst.decide(i, Verdict::policy_denied);
    audit::admit(s.audit, burst, judged, live, judged.count);
    refuse(judged);
    keep_undecided(burst, counted);
  }
  if (counted.count != 0) {
    const Selection asked = counted;
    quota::run(*snapshot.quota, *setup_.shared->windows, s.quota, burst, counted, now, unix_us);
    s.quota.delayed_count = 0;
    refuse(asked);
  }
  keep_undecided(burst, s.flow.fresh);
  return judged;
}

// Packets of flow services, both ways. A packet to an own port that belongs to no flow is no flow's
// packet: it becomes an exception.
void Pipeline::flows(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept {
  State& s = *state_;
  const flow::Table& table = *snapshot.flow;
  flow::Nat& nat = *setup_.shared->nat;
  Selection& live = s.sorted.flows;
  Selection too_big{}, back{}, judged{};
  flow::find(table, nat, s.flow, burst, live, now);
  if (s.flow.fresh.count != 0) {
    judged = admit_flows(snapshot, burst, now);
    flow::open(table, *snapshot.forward, nat, s.flow, burst, s.flow.fresh, live, now);
  }
  flow::to_nodes(table, *snapshot.forward, s.flow, burst, live, too_big);
  flow::to_clients(table, snapshot.parse->ports, s.flow, burst, back, too_big, s.sorted.exceptions);
  send_as(Verdict::flow_forwarded, burst, live, out);
  send_as(Verdict::flow_returned, burst, back, out);
  if (judged.count != 0) {
    audit::append(s.audit, burst, judged, setup_.shared->wall->unix_us(now));
    for (const uint8_t i : judged) burst.meta[i].lcp = nullptr;
  }
  if (too_big.count == 0) return;
  too_big::run(*snapshot.forward, snapshot.parse->ports, s.too_big, burst, too_big, now);
  for (const uint8_t i : too_big) send(burst, i, out);
}

void Pipeline::exceptions(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept {
  State& s = *state_;
  exception::run(*snapshot.parse, burst, s.sorted.exceptions, s.sorted.probes, s.exceptions);
  for (const uint8_t i : s.exceptions.transmit) send(burst, i, out);
  for (const uint8_t i : s.exceptions.neighbours) {
    copy_to_kernel(snapshot, burst, i, out);
    to_control(burst, i, ToControl::neighbour, now, out);
  }
  for (const uint8_t i : s.exceptions.icmp_errors) {
    to_control(burst, i, ToControl::icmp_error, now, out);
  }
}

// The kernel behind an exception port resolves neighbours for itself: it needs their answers too.
void Pipeline::copy_to_kernel(const Snapshot& snapshot, const Burst& burst, uint8_t position,
                              Outbox& out) noexcept {
  const uint8_t port = snapshot.parse->ports[burst.meta[position].in_port].kernel_port;
  if (port == net::kNoPort) return;
  rte_mbuf* copy = rte_pktmbuf_copy(burst.packets[position], setup_.pool, 0, UINT32_MAX);
  if (copy != nullptr) out.send(port, copy, kNoPosition);
}

uint32_t Pipeline::due(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept {
  State& s = *state_;
  s.match.flights.ended.add(
      s.match.timeouts.expire(*setup_.shared->ledger, *setup_.shared->live, s.match.nodes, now));
  if (snapshot.flow) flow::sweep(*snapshot.flow, s.flow, now);
  Selection returned{};
  take_returned(snapshot, burst, returned, now);
  Selection live = returned;
  const uint32_t released = quota::release(s.quota, now, burst, live);
  if (live.count == 0) return 0;
  if (released != 0) setup_.stats->unparked.add(released);
  const Selection owned = live;
  keep_undecided(burst, live);
  forward(snapshot, burst, live, now, out);
  if (returned.count != 0) count_returned(burst, returned);
  give_back(burst, owned);
  audit::append(s.audit, burst, owned, setup_.shared->wall->unix_us(now));
  answer(snapshot, burst, owned, now, out);
  free_rest(burst, out);
  return owned.count;
}

void Pipeline::to_control(Burst& burst, uint8_t position, ToControl kind, Tsc now,
                          Outbox& out) noexcept {
  rte_mbuf* m = burst.packets[position];
  Note& note = note_of(m);
  note.meta = burst.meta[position];
  note.received = now;
  note.kind = kind;
  note.worker = setup_.worker;
  out.to_control(m, position);
  burst.packets[position] = nullptr;
}

void Pipeline::send(Burst& burst, uint8_t position, Outbox& out) noexcept {
  out.send(burst.meta[position].out_port, burst.packets[position], position);
  burst.packets[position] = nullptr;
}

void Pipeline::free_rest(Burst& burst, Outbox& out) noexcept {
  for (uint32_t i = 0; i < burst.count; ++i) {
    if (burst.packets[i] == nullptr) continue;
    out.drop(burst.packets[i]);
    burst.packets[i] = nullptr;
  }
}

void Pipeline::not_sent(Burst& burst, uint8_t position) noexcept {
  if (position == kNoPosition) return;
  Meta& meta = burst.meta[position];
  if (meta.verdict == Verdict::forwarded)
    match::not_sent(*setup_.shared->ledger, state_->match, burst, position, state_->now);
  if (meta.verdict != Verdict::too_big) {
    meta.verdict =
        meta.verdict == Verdict::to_kernel ? Verdict::kernel_port_full : Verdict::tx_full;
  }
}

void Pipeline::not_taken(Burst& burst, uint8_t position, rte_mbuf* packet, Outbox& out) noexcept {
  Verdict& verdict = burst.meta[position].verdict;
  switch (note_of(packet).kind) {
    case ToControl::report:
      verdict = Verdict::report_ring_full;
      break;
    case ToControl::approval:
      verdict = Verdict::approval_ring_full;
      break;
    case ToControl::held:
      verdict = Verdict::hold_full;
      break;
    default:
      verdict = Verdict::control_ring_full;
  }
  out.drop(packet);
}

}  // namespace lf::pipeline
