// SPDX-License-Identifier: Apache-2.0
// Circuit breaker of one node: a pure state machine of (state, event, now). Closed, it counts
// failures; open, it waits; half-open, it lets exactly `trials` commands through and goes by what
// becomes of them. The board feeds it on the control thread, and tests do with a fake clock; it
// knows neither workers nor tables, reads no clock and needs nothing of the other components.
//
// Each transition begins an epoch. Results carry the epoch in which their command was sent; those
// of an earlier one do not count. Time that runs backwards counts as no time passing.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "control/base/clock.hpp"
#include "control/resilience/breaker_window.hpp"

namespace lf::resilience {

struct BreakerSettings {
  uint32_t failures = 5;  // within the window open it; 0: never by count
  MonoNs window_ns = 30'000'000'000;
  double failure_rate = 0;  // > 0: replaces the count by this share of at least min_calls calls
  double slow_rate = 0;     // > 0: so large a share of slow calls opens it too
  uint32_t min_calls = 20;
  MonoNs open_ns = 30'000'000'000;  // first opening; doubled by each re-opening
  MonoNs open_max_ns = 300'000'000'000;
  double jitter = 0;    // adds up to this share to an open time, at random
  uint32_t trials = 3;  // commands that half-open lets through; as many successes close it
  MonoNs trial_timeout_ns = 1'000'000'000;  // a trial unanswered for so long has failed
  bool operator==(const BreakerSettings&) const = default;
};

enum class BreakerState : uint8_t { closed, open, half_open };

enum class BreakerCause : uint8_t {
  none,
  failures,       // closed -> open: so many failures in the window
  failure_rate,   // closed -> open
  slow_rate,      // closed -> open
  open_elapsed,   // open -> half-open
  trials_passed,  // half-open -> closed
  trial_failed,   // half-open -> open
  trial_timeout,  // half-open -> open: a trial was never answered
  tripped,        // -> open, by an operator
  reset,          // -> closed, by an operator
};

std::string_view name(BreakerState state);
std::string_view name(BreakerCause cause);

struct BreakerTransition {
  BreakerState from = BreakerState::closed, to = BreakerState::closed;
  BreakerCause cause = BreakerCause::none;
  uint16_t epoch = 0;  // the new one
  MonoNs open_ns = 0;  // to open: for how long
};

// Results since the last call; a slow call that succeeded is in `ok` and in `slow`.
struct CallResults {
  uint64_t ok = 0, failed = 0, slow = 0;
};

class Breaker {
 public:
  // The seed only feeds the jitter. The first epoch lets a reused slot go on counting.
  explicit Breaker(const BreakerSettings& settings, uint64_t seed = 0, uint16_t first_epoch = 0);

  // Time passes; at most one transition.
  std::optional<BreakerTransition> tick(MonoNs now) { return record({}, epoch_, now); }
  // Results of commands sent in `epoch`; time passes.
  std::optional<BreakerTransition> record(const CallResults& results, uint16_t epoch, MonoNs now);
  std::optional<BreakerTransition> trip(MonoNs now);   // by an operator; open: waits anew
  std::optional<BreakerTransition> reset(MonoNs now);  // by an operator; closed: forgets failures

  // Whether a command may be sent now; half-open, this takes a trial.
  bool admit();
  // Half-open, with trials handed out elsewhere (tokens): how many are gone in this epoch.
  void trials_taken(uint32_t taken);

  // New settings hold from the next event; state, window and open time stay.
  void configure(const BreakerSettings& settings);

  BreakerState state() const { return state_; }
  uint16_t epoch() const { return epoch_; }
  uint32_t trials() const { return trials_; }  // of this half-open; else 0
  uint32_t trials_left() const;
  uint64_t openings() const { return openings_; }
  BreakerCause last_cause() const { return last_cause_; }
  uint64_t failures_in_window() { return recent_.within(time_, window()); }
  const CallCounts& calls_in_window() const { return calls_.total(); }
  MonoNs in_state_ns() const { return static_cast<MonoNs>(time_ - since_); }
  MonoNs open_left_ns() const;  // 0 unless open
  const BreakerSettings& settings() const { return settings_; }

 private:
  void advance(MonoNs now);
  BreakerTransition go(BreakerState to, BreakerCause cause);
  BreakerTransition open(BreakerCause cause);
  BreakerCause reason_to_open(const CallResults& results);
  std::optional<BreakerTransition> record_closed(const CallResults& results);
  std::optional<BreakerTransition> record_half_open(const CallResults& results);
  MonoNs with_jitter(MonoNs open_ns);
  BreakerNs window() const { return static_cast<BreakerNs>(settings_.window_ns); }

  BreakerSettings settings_;
  BreakerState state_ = BreakerState::closed;
  BreakerCause last_cause_ = BreakerCause::none;
  uint16_t epoch_;
  // Own time: the sum of what the caller's clock went forward.
  BreakerNs time_ = 0;
  std::optional<MonoNs> last_now_;
  BreakerNs since_ = 0;  // of the state
  // Open.
  MonoNs open_base_ns_ = 0;  // of the latest opening, without jitter; 0: none since the last close
  MonoNs open_for_ns_ = 0;
  uint64_t openings_ = 0;
  uint64_t random_;
  // Half-open.
  uint32_t trials_ = 0;  // of this half-open; new settings hold from the next
  uint32_t taken_ = 0;
  uint64_t passed_ = 0;
  BreakerNs last_taken_ = 0;
  // Closed.
  RecentFailures recent_;
  CallWindow calls_;
};

}  // namespace lf::resilience
