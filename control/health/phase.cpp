// SPDX-License-Identifier: Apache-2.0
#include "control/health/phase.hpp"

#include <algorithm>
#include <cmath>

namespace lf::health {
namespace {

constexpr MonoNs kSecond = 1'000'000'000;
constexpr MonoNs kBlindRetryNs = 30 * kSecond;  // doubled at each retry, up to the next
constexpr MonoNs kBlindRetryMaxNs = 300 * kSecond;
constexpr double kJitterIntervals = 8;

MonoNs blind_wait(uint32_t retries) {
  return std::min(kBlindRetryMaxNs, kBlindRetryNs << std::min(retries, 8u));
}

PhaseStep step_ejected(PhaseState s, const PhaseSignals& in, const config::Health& settings,
                       MonoNs now) {
  const bool back = in.health && *in.health >= settings.readmit_at;
  if (!back) {
    s.readmit_at.reset();
    if (!in.blind || now - s.ejected_at < blind_wait(s.retries)) return {s, {}};
    const uint32_t retries = s.retries + 1;
    s = warm_up(now);
    s.retries = retries;
    return {s, Cause::retried};
  }
  if (!s.readmit_at) {
    const double interval_ns = settings.interval_ms * 1e6;
    s.readmit_at = now + static_cast<MonoNs>(in.random * settings.readmit_jitter *
                                             kJitterIntervals * interval_ns);
  }
  if (now < *s.readmit_at) return {s, {}};
  return {warm_up(now), Cause::health_back};
}

}  // namespace

PhaseStep step(PhaseState s, const PhaseSignals& in, const config::Health& settings, MonoNs now) {
  const MonoNs passed = std::max<MonoNs>(0, now - s.stepped);
  s.stepped = std::max(s.stepped, now);
  if (s.phase == Phase::ejected) return step_ejected(s, in, settings, s.stepped);

  const bool low = in.health && *in.health < settings.eject_below;
  if (low && in.may_eject) {
    s.phase = Phase::ejected;
    s.ejected_at = s.stepped;
    s.ramp_ns = 0;
    s.readmit_at.reset();
    s.held_in = false;
    return {s, Cause::health_low};
  }
  const std::optional<Cause> held =
      low && !s.held_in ? std::optional(Cause::limit_reached) : std::nullopt;
  s.held_in = low;
  if (held) return {s, held};
  if (s.phase != Phase::warming || !in.in_service) return {s, {}};
  if (!in.health || *in.health >= settings.ramp_hold_below) s.ramp_ns += passed;
  if (s.ramp_ns < MonoNs{settings.warmup_s} * kSecond) return {s, {}};
  s.phase = Phase::active;
  s.retries = 0;
  return {s, Cause::warm_up_done};
}

PhaseState warm_up(MonoNs now) {
  PhaseState s;
  s.phase = Phase::warming;
  s.stepped = now;
  return s;
}

PhaseState come_back(const PhaseState& state, MonoNs now) {
  if (state.phase == Phase::ejected) return state;
  PhaseState s = warm_up(now);
  s.retries = state.retries;
  s.held_in = state.held_in;
  return s;
}

double ramp(MonoNs t, MonoNs warmup) {
  if (warmup <= 0 || t >= warmup) return 1;
  return 0.1 *
         std::pow(10.0, static_cast<double>(std::max<MonoNs>(t, 0)) / static_cast<double>(warmup));
}

double ramp(const PhaseState& state, const config::Health& settings) {
  if (state.phase == Phase::active) return 1;
  return ramp(state.ramp_ns, MonoNs{settings.warmup_s} * kSecond);
}

std::string_view name(Cause cause) {
  static constexpr std::string_view kNames[] = {
#define LF_X(id, name, help) name,
      LF_HEALTH_CAUSES(LF_X)
#undef LF_X
  };
  return kNames[static_cast<size_t>(cause)];
}

std::string_view explain(Cause cause) {
  static constexpr std::string_view kHelp[] = {
#define LF_X(id, name, help) help,
      LF_HEALTH_CAUSES(LF_X)
#undef LF_X
  };
  return kHelp[static_cast<size_t>(cause)];
}

}  // namespace lf::health
