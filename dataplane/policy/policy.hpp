// SPDX-License-Identifier: Apache-2.0
// Stage: decides for each command whether its operator may do this: allow (goes on), deny
// (policy_denied) or hold (held: the pipeline hands it to control). Runs behind identity, on the
// worker. Packets of Origin::released were approved and pass. A payload is scanned only when the
// first rule that could still match asks for a pattern.
#pragma once

#include "dataplane/core/burst.hpp"
#include "dataplane/core/worker_stats.hpp"
#include "dataplane/policy/match.hpp"
#include "dataplane/policy/table.hpp"

namespace lf::policy {

inline constexpr uint16_t kRuleReleased = 0xffff;  // Meta.rule of a command that was held

struct State {
  uint32_t worker = 0;  // index into Program::scratch
  Counter scans;        // payloads scanned for patterns
  Classes classes;
};

void run(const Table& table, State& state, Burst& burst, Selection& live) noexcept;

}  // namespace lf::policy
