// SPDX-License-Identifier: Apache-2.0
// Where a node is between full service and none, by its health: active, ejected, warming up. A
// pure state machine over monotonic time; the health engine steps it once a tick. Draining and
// open breakers lie over it (see engine.hpp): they take a node's traffic away without a change of
// phase, and when they end the node warms up.
#pragma once

#include <optional>
#include <string_view>

#include "control/base/clock.hpp"
#include "control/config/config.hpp"

namespace lf::health {

enum class Phase : uint8_t { active, warming, ejected };

// Why something changed; the node's history shows it. X(identifier, name, help)
#define LF_HEALTH_CAUSES(X)                                                                    \
  X(started, "started", "known since the daemon started")                                      \
  X(joined, "joined", "added by a reload of the configuration")                                \
  X(moved, "moved", "its address changed: another node under the same name")                   \
  X(health_low, "health-low", "health fell below eject_below")                                 \
  X(health_back, "health-back", "health reached readmit_at again")                             \
  X(retried, "retried", "no probes measure it while it is out, so it is let in to see")        \
  X(limit_reached, "limit-reached", "health is low, but max_ejected keeps it in")              \
  X(warm_up_done, "warm-up-done", "the ramp reached 100 %")                                    \
  X(drained, "drained", "drained by an operator")                                              \
  X(undrained, "undrained", "undrained by an operator")                                        \
  X(drained_self, "drained-self", "the node reports that it is in maintenance")                \
  X(undrained_self, "undrained-self", "the node no longer reports maintenance")                \
  X(breaker_opened, "breaker-opened", "its circuit breaker opened")                            \
  X(breaker_half_open, "breaker-half-open", "its circuit breaker lets trial commands through") \
  X(breaker_closed, "breaker-closed", "its circuit breaker closed")                            \
  X(weight_set, "weight-set", "an operator set its weight")

enum class Cause : uint8_t {
#define LF_X(id, name, help) id,
  LF_HEALTH_CAUSES(LF_X)
#undef LF_X
};
std::string_view name(Cause cause);
std::string_view explain(Cause cause);

struct PhaseState {
  Phase phase = Phase::active;
  MonoNs stepped = 0;                // when it was last stepped
  MonoNs ramp_ns = 0;                // what the warm-up's clock shows
  std::optional<MonoNs> readmit_at;  // ejected, health is back: when it is let in
  MonoNs ejected_at = 0;
  uint32_t retries = 0;  // of nodes that nothing can measure, since they were last active
  bool held_in = false;  // health is low, but max_ejected keeps it in
};

struct PhaseSignals {
  std::optional<double> health;  // nothing: not measured yet, counts as well
  bool in_service = true;        // neither draining nor behind a breaker that is not closed
  bool may_eject = true;         // max_ejected allows one more
  bool blind = false;            // gets no samples while it gets no commands: no probes
  double random = 0;             // [0, 1), for the jitter of re-admission
};

struct PhaseStep {
  PhaseState state;
  std::optional<Cause> cause;  // when the phase or held_in changed
};

PhaseStep step(PhaseState state, const PhaseSignals& signals, const config::Health& settings,
               MonoNs now);

// A node that starts over at 10 %.
PhaseState warm_up(MonoNs now);
// After draining or an open breaker: warms up, unless its health keeps it out anyway.
PhaseState come_back(const PhaseState& state, MonoNs now);

// 0.1 * 10^(t/T): 10 % at the start, 100 % from the end on. T <= 0: no warm-up.
double ramp(MonoNs t, MonoNs warmup);
double ramp(const PhaseState& state, const config::Health& settings);

}  // namespace lf::health
