// SPDX-License-Identifier: Apache-2.0
// Answer stage: turns a command that the data plane refused, held or delayed into the REPLY to its
// sender, in place. Only for senders that are authenticated and asked for it, so that nobody can
// use us as a reflector. In three steps: build() makes the REPLY, authenticate::sign() tags it,
// finish() computes the checksums. Called by the pipeline on a worker, for packets that have not
// been rewritten.
#pragma once

#include "dataplane/core/burst.hpp"
#include "dataplane/core/verdicts.hpp"
#include "dataplane/lcp/header.hpp"

namespace lf::answer {

// What a sender is told when the deciding stage said nothing more exact in meta.reply_status.
constexpr lcp::Status status_of(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::auth_missing:
    case Verdict::auth_unknown_org:
    case Verdict::auth_unknown_key:
    case Verdict::auth_bad_tag:
      return lcp::Status::unauthenticated;
    case Verdict::deadline_expired:
    case Verdict::held_expired:
      return lcp::Status::expired;
    case Verdict::duplicate_in_flight:
      return lcp::Status::duplicate;
    case Verdict::policy_denied:
    case Verdict::held_refused:
      return lcp::Status::denied;
    case Verdict::held:
      return lcp::Status::held;
    case Verdict::quota_rejected:
    case Verdict::quota_zero:
    case Verdict::delay_full:
    case Verdict::delay_past_deadline:
      return lcp::Status::throttled;
    case Verdict::unroutable:
    case Verdict::node_unresolved:
    case Verdict::trial_taken:
    case Verdict::replay_late:
    case Verdict::replay_exhausted:
    case Verdict::replay_unroutable:
    case Verdict::replay_uncopied:
      return lcp::Status::unroutable;
    case Verdict::ledger_full:
    case Verdict::hold_full:
    case Verdict::shed:
    case Verdict::audit_full:
    case Verdict::tx_full:
    case Verdict::stopping:
      return lcp::Status::busy;
    case Verdict::none:
      return lcp::Status::delayed;
    default:
      return lcp::Status::invalid;
  }
}

// Whether a packet may be answered at all.
constexpr bool wanted(const Meta& meta) noexcept {
  return meta.authenticated && (meta.flags & lcp::kFlagWantsReply) && meta.kind == Kind::command &&
         meta.origin != Origin::intake;
}

// Turns the packets of `live` into REPLYs to their senders, without tag and UDP checksum, and
// takes those out that may not be answered. Meta.verdict stays: it is the reason that the REPLY
// names. Sets out_port.
void build(Burst& burst, Selection& live) noexcept;

// Checksums, once the tags are there.
void finish(Burst& burst, const Selection& live) noexcept;

// Copies the headers of a command into an empty mbuf and appends it to `to`, as long as that has
// room: for the REPLY to a command that itself is kept (delayed, held). Decides nothing.
bool copy(const Burst& from, uint32_t i, Burst& to, rte_mbuf* fresh) noexcept;

}  // namespace lf::answer
