// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/replay_run.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "dataplane/core/backoff.hpp"

namespace lf::resilience {
namespace {

constexpr MonoNs kMs = 1'000'000;
// Workers walk an order in a millisecond or so; one that does not turn up is not waited for.
constexpr MonoNs kOrderTimeoutNs = 200 * kMs;
// A round needs so long to reach its packets; a deadline within it is not to be waited for.
constexpr int64_t kRoundMs = 30;
constexpr uint64_t kMaxTokens = UINT32_MAX;

}  // namespace

std::string_view name(ReplayRun::Stage stage) {
  static constexpr std::array<std::string_view, 5> kNames{"counting", "sending", "waiting",
                                                          "refusing", "done"};
  return kNames.at(static_cast<size_t>(stage));
}

ReplayRun::ReplayRun(int64_t timeout_s, ReplayRegions regions)
    : timeout_s_(timeout_s), regions_(std::move(regions)) {}

void ReplayRun::enter(Stage stage, MonoNs now) {
  stage_ = stage;
  since_ = now;
}

bool ReplayRun::overdue(MonoNs now) const {
  return now - since_ >= kOrderTimeoutNs;
}

NextOrder ReplayRun::start(MonoNs now) {
  round_ = 0;
  events_ = sent_ = left_ = 0;
  return count(now);
}

NextOrder ReplayRun::count(MonoNs now) {
  ++round_;
  enter(Stage::counting, now);
  return {.order = {.phase = replay::Phase::count}, .deadline_us = 0};
}

NextOrder ReplayRun::refuse_all(MonoNs now) {
  enter(Stage::refusing, now);
  return {.order = {.phase = replay::Phase::refuse}, .deadline_us = UINT64_MAX};
}

NextOrder ReplayRun::finish() {
  stage_ = Stage::done;
  return {};
}

std::optional<NextOrder> ReplayRun::counted(const OrderProgress& progress, MonoNs now) {
  left_ = progress.left;
  if (round_ == 1) events_ = left_;
  // Nothing that is in time; what is not is refused on the way out.
  if (left_ == 0) return refuse_all(now);
  const auto events = static_cast<int64_t>(left_);
  plan_ = build_replay_plan(events, timeout_s_, regions_.primary, regions_.candidates,
                            regions_.degraded);
  if (plan_.budget == 0) return refuse_all(now);
  enter(Stage::sending, now);
  const auto tokens = static_cast<uint32_t>(std::min<uint64_t>(plan_.budget, kMaxTokens));
  return NextOrder{.order = {.phase = replay::Phase::send,
                             .batch = static_cast<uint8_t>(plan_.batch_size),
                             .tokens = tokens}};
}

std::optional<NextOrder> ReplayRun::round_over(const OrderProgress& progress, MonoNs now,
                                               UnixUs unix_us) {
  sent_ += static_cast<uint64_t>(plan_.budget) - progress.tokens_left;
  if (round_ >= plan_.retries) return refuse_all(now);
  const int64_t wait_ms = retry_backoff(round_);
  wait_ns_ = wait_ms * kMs;
  enter(Stage::waiting, now);
  return NextOrder{.order = {.phase = replay::Phase::refuse},
                   .deadline_us = static_cast<uint64_t>(unix_us + (wait_ms + kRoundMs) * 1000)};
}

std::optional<NextOrder> ReplayRun::step(const OrderProgress& progress, MonoNs now,
                                         UnixUs unix_us) {
  since_ = std::min(since_, now);  // a clock that steps back makes nothing wait for it
  const bool walked = progress.all_reported || overdue(now);
  switch (stage_) {
    case Stage::counting:
      return walked ? counted(progress, now) : std::nullopt;
    case Stage::sending:
      return walked ? round_over(progress, now, unix_us) : std::nullopt;
    case Stage::waiting:
      if (now - since_ < wait_ns_) return std::nullopt;
      return count(now);
    case Stage::refusing:
      return walked ? std::optional(finish()) : std::nullopt;
    case Stage::done:
      break;
  }
  return std::nullopt;
}

}  // namespace lf::resilience
