// SPDX-License-Identifier: Apache-2.0
// What is neither a command, a reply nor a flow's packet: messages to control, and what the data
// plane answers or hands to the kernel. Thread: the worker.
#include "dataplane/core/mbuf_note.hpp"
#include "dataplane/parse/table.hpp"
#include "dataplane/pipeline/pipeline.hpp"
#include "dataplane/pipeline/state.hpp"

namespace lf::pipeline {

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
