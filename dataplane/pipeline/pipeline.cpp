// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/pipeline.hpp"

#include "dataplane/core/mbuf_note.hpp"
#include "dataplane/identity/identity.hpp"
#include "dataplane/parse/table.hpp"
#include "dataplane/pipeline/state.hpp"
#include "dataplane/pipeline/submitted.hpp"
#include "dataplane/policy/table.hpp"
#include "dataplane/rewrite/rewrite.hpp"
#include "dataplane/validate/validate.hpp"

namespace lf::pipeline {
namespace {

constexpr uint64_t kDelaySlotsPerSecond = 2000;  // a delayed packet leaves at most 0.5 ms late
constexpr uint64_t kDelayHorizonSeconds = 5;
// Packets parsed before their commands are hashed, a lane each.
constexpr uint32_t kPart = parse::kPartMax;
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

// The positions of those that control submitted, a bit each.
uint64_t submitted(const Burst& burst, const Selection& live) noexcept {
  uint64_t bits = 0;
  for (const uint8_t i : live) bits |= uint64_t{is_submitted(burst, i)} << i;
  return bits;
}

// Neighbours in a burst mostly leave through the same port.
void send_all(Burst& burst, const Selection& live, bool several_ports, Outbox& out) noexcept {
  if (live.count == 0) return;
  if (!several_ports && is_run(live)) [[likely]] {
    const uint8_t first = live.index[0];
    out.open(burst.meta[first].out_port).add_all(&burst.packets[first], live.index, live.count);
    std::fill_n(&burst.packets[first], live.count, nullptr);
    return;
  }
  PortOut* to = nullptr;
  uint16_t to_port = kPortsMax;
  for (const uint8_t i : live) {
    const uint8_t port = burst.meta[i].out_port;
    if (port != to_port) to = &out.open(to_port = port);
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
  begin(snapshot, burst);
  stages(snapshot, burst, now, out);
}

void Pipeline::run_injected(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept {
  begin(snapshot, burst);
  for (uint32_t i = 0; i < burst.count; ++i) {
    burst.meta[i].origin = note_of(burst.packets[i]).meta.origin;
  }
  stages(snapshot, burst, now, out);
}

void Pipeline::begin(const Snapshot& snapshot, Burst& burst) noexcept {
  State& s = *state_;
  s.clock.begin(setup_.shared->sample_bursts.load(std::memory_order_relaxed));
  s.all_sent = false;
  parse_all(snapshot, burst);
  s.clock.mark(Stage::parse, burst.count);
}

void Pipeline::stages(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept {
  State& s = *state_;
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

// In parts, so that the ledger's buckets of one part arrive while the next is parsed.
void Pipeline::parse_all(const Snapshot& snapshot, Burst& burst) noexcept {
  State& s = *state_;
  const ledger::Ledger& ledger = *setup_.shared->ledger;
  const Selection &commands = s.sorted.commands, &replies = s.sorted.replies;
  parse::begin(*snapshot.parse, s.parse, burst, s.sorted);
  for (uint32_t first = 0; first < burst.count; first += kPart) {
    const uint32_t known = commands.count, known_replies = replies.count;
    parse::part(*snapshot.parse, s.parse, burst, first,
                std::min<uint32_t>(first + kPart, burst.count), s.sorted);
    if (commands.count != known)
      dedup::expect(ledger, s.dedup, burst, commands, known);
    if (replies.count != known_replies)
      match::expect(*snapshot.authenticate, ledger, s.match, burst, replies, known_replies);
  }
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

// Asks for what identity and quota will read of each command, where that pays.
void Pipeline::validate_and_expect(const Snapshot& snapshot, Burst& burst, Selection& live,
                                   uint64_t unix_us) noexcept {
  const quota::Expect of_quota(*snapshot.quota, *setup_.shared->windows);
  const identity::Expect of_ids(snapshot.policy->identity);
  if (!of_quota.pays() && !of_ids.pays())
    return validate::run(*snapshot.parse, burst, live, unix_us);
  validate::run(*snapshot.parse, burst, live, unix_us,
                [&](const Meta& m) __attribute__((always_inline)) {
                  of_quota(m);
                  of_ids(m);
                });
}

// The life of a command. What dedup lets through owns a ledger entry until it is sent.
void Pipeline::commands(const Snapshot& snapshot, Burst& burst, const Selection& all, Tsc now,
                        Outbox& out) noexcept {
  State& s = *state_;
  Shared& shared = *setup_.shared;
  const uint64_t unix_us = shared.wall->unix_us(now);
  Selection live = all;
  authenticate::run(*snapshot.authenticate, s.authenticate, burst, live, now);
  s.clock.mark(Stage::authenticate, all.count);
  validate_and_expect(snapshot, burst, live, unix_us);
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
    // Each command that is kept may find one of which the end is to be recorded, too.
    const uint32_t ends = s.kept.capacity() != 0 ? live.count : 0;
    audit::admit(s.audit, burst, owned, live, round.count + ends);
    s.clock.mark(Stage::policy, owned.count);
    const uint32_t allowed = live.count;
    quota::run(*snapshot.quota, *shared.windows, s.quota, burst, live, now, unix_us);
    if (s.kept.capacity() != 0) tell_replayable(snapshot, burst, live);
    s.clock.mark(Stage::quota, allowed);
    const Selection admitted = live;
    forward(snapshot, burst, live, now, out);

    const bool all_sent = live.count == round.count;
    if (!all_sent) {
      give_back(burst, owned);
      Selection refused = admitted;
      take_out(refused, live);
      quota::tell_left(*snapshot.quota, *shared.windows, s.quota, burst, refused);
    }
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

void Pipeline::count_retries(const Burst& burst, const Selection& live) noexcept {
  uint32_t retries = 0;
  for (const uint8_t i : live) retries += burst.meta[i].is_retry;
  setup_.stats->retries_passed.add(retries);
}

// From an admitted command to a frame on its way to a node.
void Pipeline::forward(const Snapshot& snapshot, Burst& burst, Selection& live, Tsc now,
                       Outbox& out) noexcept {
  State& s = *state_;
  s.now = now;
  Shared& shared = *setup_.shared;
  const uint32_t admitted = live.count;
  const choose::Some some =
      choose::run(*snapshot.forward, *shared.live, s.choose, burst, live, now);
  Selection too_big{};
  if (!some.all_fit) rewrite::fit(*snapshot.forward, burst, some.least_mtu, live, too_big);
  s.clock.mark(Stage::choose, admitted);
  const uint64_t from_control = some.not_from_wire ? submitted(burst, live) : 0;
  if (some.replayable) note_clients(burst, live, from_control);
  match::record_sent(*snapshot.forward, *shared.ledger, s.match, burst, live, from_control, now);
  s.clock.mark(Stage::record, live.count);
  rewrite::to_nodes(*snapshot.forward, snapshot.parse->ports, burst, live, some);
  if (some.replayable) keep_replayable(burst, live, now);
  if (some.retry) count_retries(burst, live);
  send_all(burst, live, some.several_ports, out);
  s.all_sent = live.count == burst.count;
  s.clock.mark(Stage::rewrite, live.count);
  if (too_big.count == 0) return;
  for (const uint8_t i : too_big) {
    dedup::give_back(*shared.ledger, s.dedup, burst.meta[i]);
    burst.meta[i].ledger_ref = 0;
  }
  report_too_big(snapshot, burst, too_big, now, out);
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

void Pipeline::replies(const Snapshot& snapshot, Burst& burst, Tsc now, Outbox& out) noexcept {
  State& s = *state_;
  Shared& shared = *setup_.shared;
  Selection& live = s.sorted.replies;
  authenticate::run(*snapshot.authenticate, s.authenticate, burst, live, now);
  Selection submitted{}, too_big{};
  match::run(*snapshot.forward, *shared.live, *shared.ledger, s.match, burst, live, submitted, now);
  rewrite::to_clients(snapshot.parse->ports, s.match.clients, burst, live, too_big);
  for (const uint8_t i : live) burst.decide(i, Verdict::replied);
  send_all(burst, live, true, out);  // clients may be anywhere
  for (const uint8_t i : submitted) to_control(burst, i, ToControl::reply, now, out);
  if (too_big.count != 0) report_too_big(snapshot, burst, too_big, now, out);
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

// Mostly all packets are on their way to somewhere.
void Pipeline::free_rest(Burst& burst, Outbox& out) noexcept {
  if (state_->all_sent) return;
  uintptr_t left = 0;
  for (uint32_t i = 0; i < burst.count; ++i) left |= reinterpret_cast<uintptr_t>(burst.packets[i]);
  if (left == 0) return;
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

}  // namespace lf::pipeline
