// SPDX-License-Identifier: Apache-2.0
// Packets of flow services: which node, with what headers, and whether a new flow may begin at all.
// Thread: the worker.
#include "dataplane/flow/send.hpp"
#include "dataplane/identity/identity.hpp"
#include "dataplane/parse/table.hpp"
#include "dataplane/pipeline/pipeline.hpp"
#include "dataplane/pipeline/state.hpp"
#include "dataplane/policy/table.hpp"

namespace lf::pipeline {
namespace {

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

}  // namespace lf::pipeline
