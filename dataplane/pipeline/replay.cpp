// SPDX-License-Identifier: Apache-2.0
// Replay in the pipeline: commands of replayable intents keep their packet while they wait for
// their answer. When the breaker of their node opens, control gives an order; then the worker that
// keeps them takes them away from that node in the ledger, puts the packets back into the state in
// which they were received, and they go on like delayed commands whose time has come: to another
// node, or back to their sender with a reason. Thread: the worker.
#include "dataplane/core/mbuf_note.hpp"
#include "dataplane/dedup/dedup.hpp"
#include "dataplane/parse/table.hpp"
#include "dataplane/pipeline/pipeline.hpp"
#include "dataplane/pipeline/state.hpp"
#include "dataplane/rewrite/rewrite.hpp"

namespace lf::pipeline {
namespace {

constexpr uint32_t kSweepsPerSecond = 1000;
constexpr uint32_t kPlacesPerSweep = 64;  // so 64,000 answered commands a second are let go

// What the pool asks the ledger, and tells the audit.
struct Owed {
  const ledger::Ledger& ledger;
  audit::State& audit;
  uint64_t unix_us;
  bool operator()(uint64_t ref, uint32_t stamp) const noexcept {
    return ledger.is_owed(ref, stamp);
  }
  void prefetch(uint64_t ref) const noexcept { ledger.prefetch(ref); }
  void expired(const replay::Kept& kept) const noexcept {
    audit::append_end(audit, note_of(kept.mbuf).meta, Verdict::none, unix_us);
  }
};

// A kept packet as it came in, with its metadata.
void restore(const net::Ports& ports, const rewrite::Client& client, rte_mbuf* m,
             Meta& meta) noexcept {
  meta = note_of(m).meta;
  rewrite::to_received(ports, client, m, meta);
  meta.lcp = rte_pktmbuf_mtod_offset(m, lcp::Header*, meta.lcp_offset);  // it may be a copy
  meta.verdict = Verdict::none;
  meta.reply_status = lcp::Status::ok;
  meta.node = kNoNode;
  meta.is_retry = false;  // the caller owns its entry as if it was fresh
}

// An order that refuses whatever is left says that the plan is at its end.
Verdict why_refused(const replay::Work& work, const replay::Kept& kept, uint64_t now_us) noexcept {
  const bool in_time = kept.deadline_us >= now_us;
  return work.refuse_to_us == UINT64_MAX && in_time ? Verdict::replay_exhausted
                                                    : Verdict::replay_late;
}

bool no_node(Verdict verdict) noexcept {
  return verdict == Verdict::unroutable || verdict == Verdict::node_unresolved ||
         verdict == Verdict::trial_taken;
}

}  // namespace

// Of commands that may be kept, before they are rewritten.
void Pipeline::note_clients(const Burst& burst, const Selection& live,
                            uint64_t from_control) noexcept {
  for (const uint8_t i : live) {
    const bool on_the_wire = (from_control >> i & 1) == 0;
    state_->clients[i] =
        on_the_wire ? rewrite::client_of(burst.packets[i], burst.meta[i]) : rewrite::Client{};
  }
}

// A command that is kept may be refused long after: its sender is told what was left now.
void Pipeline::tell_replayable(const Snapshot& snapshot, Burst& burst,
                               const Selection& admitted) noexcept {
  Selection replayable{};
  for (const uint8_t i : admitted)
    if (burst.meta[i].replayable) replayable.add(i);
  quota::tell_left(*snapshot.quota, *setup_.shared->windows, state_->quota, burst, replayable);
}

// For commands that were recorded as sent and are not handed to the port yet.
void Pipeline::keep_replayable(Burst& burst, const Selection& sent, Tsc now) noexcept {
  State& s = *state_;
  if (s.kept.capacity() == 0) return;
  const uint64_t unix_us = setup_.shared->wall->unix_us(now);
  const Owed owed{*setup_.shared->ledger, s.audit, unix_us};
  for (const uint8_t i : sent) {
    Meta& meta = burst.meta[i];
    if (!meta.replayable) continue;
    meta.unkept = false;
    // Without a record of the flight nobody can tell whether it is answered.
    const bool watched = (s.match.unwatched >> i & 1) == 0;
    if (watched &&
        s.kept.keep(burst.packets[i], meta, s.clients[i], ledger::stamp_of(now), unix_us, owed))
      continue;
    meta.unkept = true;
    setup_.stats->replay_unkept.add(1);
  }
}

// Kept commands that an order is about: appends them to the burst and to `live`, the ones to be
// refused decided already.
void Pipeline::take_returned(const Snapshot& snapshot, Burst& burst, Selection& live,
                             Tsc now) noexcept {
  State& s = *state_;
  if (setup_.shared->orders == nullptr) return;
  replay::Orders& orders = *setup_.shared->orders;
  if (s.kept.size() == 0 && orders.active() == 0) return;
  ledger::Ledger& ledger = *setup_.shared->ledger;
  const uint64_t unix_us = setup_.shared->wall->unix_us(now);
  const Owed owed{ledger, s.audit, unix_us};
  if (s.kept.size() != 0 && now - s.kept_swept >= setup_.shared->tsc_hz / kSweepsPerSecond) {
    s.kept_swept = now;
    s.kept.sweep(kPlacesPerSweep, kPlacesPerSweep, unix_us, owed);
  }
  if (orders.active() == 0) return;
  replay::Work& work = s.kept_work;
  s.kept.poll(orders, unix_us, work, owed);
  for (uint32_t k = 0; k < work.count; ++k) {
    const uint32_t place = work.place[k];
    const replay::Kept kept = s.kept.kept(place);
    const ledger::Withdrawn withdrawn = ledger.withdraw(kept.ledger_ref, kept.stamp);
    if (withdrawn.left != kNoNode) {
      s.match.nodes[withdrawn.left].left.add(1);
      s.match.flights.ended.add(1);
    }
    if (!withdrawn.owned) {
      s.kept.drop(place);  // answered in this very moment
      continue;
    }
    rte_mbuf* m = s.kept.take_out(place, setup_.pool);
    if (m == nullptr) {
      refuse_uncopied(place, unix_us);
      continue;
    }
    s.kept.done(place);
    const uint32_t i = burst.count++;
    restore(snapshot.parse->ports, kept.client, m, burst.meta[i]);
    burst.packets[i] = m;
    if (work.phase == replay::Phase::refuse) burst.decide(i, why_refused(work, kept, unix_us));
    live.add(i);
  }
}

// A packet that the driver still has, and no buffer to copy it to, nor one to answer from: nobody
// is told, but the id is free for the sender's retry.
void Pipeline::refuse_uncopied(uint32_t place, uint64_t unix_us) noexcept {
  State& s = *state_;
  Meta meta = note_of(s.kept.kept(place).mbuf).meta;
  meta.is_retry = false;  // as restore() has it
  dedup::give_back(*setup_.shared->ledger, s.dedup, meta);
  audit::append_end(s.audit, meta, Verdict::replay_uncopied, unix_us);
  setup_.stats->verdicts[static_cast<uint8_t>(Verdict::replay_uncopied)].add(1);
  setup_.stats->replay_refused.add(1);
  s.kept.drop(place);
}

// What the choice of a node refused is a replay's own outcome, too.
void Pipeline::count_returned(Burst& burst, const Selection& returned) noexcept {
  uint32_t sent = 0;
  for (const uint8_t i : returned) {
    Meta& meta = burst.meta[i];
    if (no_node(meta.verdict)) meta.verdict = Verdict::replay_unroutable;
    sent += meta.verdict == Verdict::forwarded;
  }
  if (sent != 0) setup_.stats->replays.add(sent);
  if (sent != returned.count) setup_.stats->replay_refused.add(returned.count - sent);
}

}  // namespace lf::pipeline
