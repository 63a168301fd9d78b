// SPDX-License-Identifier: Apache-2.0
// What goes back to the senders of commands: REPLYs to those that are refused, held or delayed, and
// ICMP messages about those that do not fit. Thread: the worker.
#include "dataplane/answer/answer.hpp"
#include "dataplane/pipeline/pipeline.hpp"
#include "dataplane/pipeline/state.hpp"
#include "dataplane/pipeline/submitted.hpp"

namespace lf::pipeline {

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

// What does not fit goes back to its sender as the ICMP message that says so.
void Pipeline::report_too_big(const Snapshot& snapshot, Burst& burst, Selection& too_big, Tsc now,
                              Outbox& out) noexcept {
  too_big::run(*snapshot.forward, snapshot.parse->ports, state_->too_big, burst, too_big, now);
  for (const uint8_t i : too_big) send(burst, i, out);
}

}  // namespace lf::pipeline
