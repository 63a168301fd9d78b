// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/breaker.hpp"

#include <algorithm>
#include <array>

namespace lf::resilience {
namespace {

// One step of the clock counts at most this much (104 days), whatever the caller's clock does; all
// settings are shorter, and sums of it wrap without harm.
constexpr uint64_t kStepMax = uint64_t{1} << 53;

uint64_t next_random(uint64_t& state) {  // SplitMix64
  uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// Without a trial a half-open breaker could never end, and nothing is ever within no time.
BreakerSettings usable(BreakerSettings settings) {
  settings.trials = std::max(settings.trials, 1u);
  settings.min_calls = std::max(settings.min_calls, 1u);
  settings.window_ns = std::max<MonoNs>(settings.window_ns, 1);
  settings.open_ns = std::max<MonoNs>(settings.open_ns, 1);
  return settings;
}

}  // namespace

std::string_view name(BreakerState state) {
  static constexpr std::array<std::string_view, 3> kNames{"closed", "open", "half-open"};
  return kNames.at(static_cast<size_t>(state));
}

std::string_view name(BreakerCause cause) {
  static constexpr std::array<std::string_view, 10> kNames{
      "none",          "failures",     "failure-rate",  "slow-rate", "open-elapsed",
      "trials-passed", "trial-failed", "trial-timeout", "tripped",   "reset"};
  return kNames.at(static_cast<size_t>(cause));
}

Breaker::Breaker(const BreakerSettings& settings, uint64_t seed, uint16_t first_epoch)
    : settings_(usable(settings)), epoch_(first_epoch), random_(seed) {}

void Breaker::configure(const BreakerSettings& settings) {
  settings_ = usable(settings);
}

void Breaker::advance(MonoNs now) {
  if (last_now_ && now > *last_now_)
    time_ += std::min(static_cast<uint64_t>(now) - static_cast<uint64_t>(*last_now_), kStepMax);
  last_now_ = now;
}

BreakerTransition Breaker::go(BreakerState to, BreakerCause cause) {
  const BreakerTransition t{state_, to, cause, ++epoch_, 0};
  state_ = to;
  last_cause_ = cause;
  since_ = time_;
  trials_ = to == BreakerState::half_open ? settings_.trials : 0;
  taken_ = 0;
  passed_ = 0;
  recent_.clear();
  calls_.clear();
  return t;
}

BreakerTransition Breaker::open(BreakerCause cause) {
  const MonoNs longest = std::max(settings_.open_max_ns, settings_.open_ns);
  if (open_base_ns_ == 0)
    open_base_ns_ = settings_.open_ns;
  else
    open_base_ns_ = open_base_ns_ > longest / 2 ? longest : open_base_ns_ * 2;
  open_for_ns_ = with_jitter(open_base_ns_);
  ++openings_;
  BreakerTransition t = go(BreakerState::open, cause);
  t.open_ns = open_for_ns_;
  return t;
}

MonoNs Breaker::with_jitter(MonoNs open_ns) {
  if (settings_.jitter <= 0) return open_ns;
  const double unit = static_cast<double>(next_random(random_) >> 11) * 0x1p-53;
  return open_ns + static_cast<MonoNs>(static_cast<double>(open_ns) * settings_.jitter * unit);
}

BreakerCause Breaker::reason_to_open(const CallResults& results) {
  const uint64_t calls = results.ok + results.failed;
  if (settings_.failure_rate <= 0 && settings_.failures > 0) {
    const BreakerNs step =
        settings_.failures <= RecentFailures::kEntries ? 0 : window() / CallWindow::kSteps;
    recent_.add(time_, results.failed, step);
    if (recent_.within(time_, window()) >= settings_.failures) return BreakerCause::failures;
  }
  if (settings_.failure_rate <= 0 && settings_.slow_rate <= 0) return BreakerCause::none;
  calls_.add(time_, window(), {calls, results.failed, results.slow});
  const CallCounts& sum = calls_.total();
  if (sum.calls < settings_.min_calls) return BreakerCause::none;
  const auto reaches = [&](uint64_t part, double rate) {
    return rate > 0 && static_cast<double>(part) >= rate * static_cast<double>(sum.calls);
  };
  if (reaches(sum.failed, settings_.failure_rate)) return BreakerCause::failure_rate;
  if (reaches(sum.slow, settings_.slow_rate)) return BreakerCause::slow_rate;
  return BreakerCause::none;
}

std::optional<BreakerTransition> Breaker::record_closed(const CallResults& results) {
  const BreakerCause cause = reason_to_open(results);
  if (cause == BreakerCause::none) return std::nullopt;
  return open(cause);
}

std::optional<BreakerTransition> Breaker::record_half_open(const CallResults& results) {
  if (results.failed > 0 || (settings_.slow_rate > 0 && results.slow > 0))
    return open(BreakerCause::trial_failed);
  passed_ += results.ok;
  if (passed_ >= trials_) {
    open_base_ns_ = 0;
    return go(BreakerState::closed, BreakerCause::trials_passed);
  }
  const auto waited = static_cast<MonoNs>(time_ - last_taken_);
  if (taken_ > passed_ && waited >= settings_.trial_timeout_ns)
    return open(BreakerCause::trial_timeout);
  return std::nullopt;
}

std::optional<BreakerTransition> Breaker::record(const CallResults& results, uint16_t epoch,
                                                 MonoNs now) {
  advance(now);
  const CallResults counted = epoch == epoch_ ? results : CallResults{};
  switch (state_) {
    case BreakerState::closed:
      return record_closed(counted);
    case BreakerState::half_open:
      return record_half_open(counted);
    case BreakerState::open:
      break;
  }
  if (in_state_ns() < open_for_ns_) return std::nullopt;
  return go(BreakerState::half_open, BreakerCause::open_elapsed);
}

std::optional<BreakerTransition> Breaker::trip(MonoNs now) {
  advance(now);
  if (state_ != BreakerState::open) return open(BreakerCause::tripped);
  since_ = time_;
  return std::nullopt;
}

std::optional<BreakerTransition> Breaker::reset(MonoNs now) {
  advance(now);
  open_base_ns_ = 0;
  recent_.clear();
  calls_.clear();
  if (state_ == BreakerState::closed) return std::nullopt;
  return go(BreakerState::closed, BreakerCause::reset);
}

bool Breaker::admit() {
  if (state_ != BreakerState::half_open) return state_ == BreakerState::closed;
  if (taken_ >= trials_) return false;
  trials_taken(taken_ + 1);
  return true;
}

void Breaker::trials_taken(uint32_t taken) {
  if (state_ != BreakerState::half_open || taken <= taken_) return;
  taken_ = taken;
  last_taken_ = time_;
}

uint32_t Breaker::trials_left() const {
  return trials_ - std::min(taken_, trials_);
}

MonoNs Breaker::open_left_ns() const {
  return state_ == BreakerState::open ? std::max<MonoNs>(open_for_ns_ - in_state_ns(), 0) : 0;
}

}  // namespace lf::resilience
