// SPDX-License-Identifier: Apache-2.0
// One outage's replay, from the opening of a node's breaker to its end: a pure state machine that
// says which order the workers get next. A round counts what is kept of the node, plans with
// build_replay_plan on that number, and sends as many as the plan's budget allows. What is left
// waits retry_backoff(round) for the next round; what would pass its deadline meanwhile is refused,
// and after the plan's last round the rest is. Thread: control; the director drives one per node.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/base/clock.hpp"
#include "control/resilience/replay_plan.hpp"
#include "dataplane/replay/orders.hpp"

namespace lf::resilience {

// Regions of the node's service, for the plan.
struct ReplayRegions {
  std::string primary;
  std::vector<std::string> candidates, degraded;
};

// What the workers say about the order that was given last.
struct OrderProgress {
  bool all_reported = false;  // every worker has walked it to its end
  uint64_t left = 0;          // sum of what they reported
  uint32_t tokens_left = 0;
};

// What to have the workers do next; phase none ends it.
struct NextOrder {
  replay::Order order;
  uint64_t deadline_us = 0;
};

class ReplayRun {
 public:
  enum class Stage : uint8_t { counting, sending, waiting, refusing, done };

  ReplayRun(int64_t timeout_s, ReplayRegions regions);

  NextOrder start(MonoNs now);
  std::optional<NextOrder> step(const OrderProgress& progress, MonoNs now, UnixUs unix_us);

  Stage stage() const { return stage_; }
  uint32_t round() const { return round_; }         // from 1
  const ReplayPlan& plan() const { return plan_; }  // of this round
  uint64_t events() const { return events_; }       // commands found in the first round
  uint64_t sent() const { return sent_; }           // tokens taken so far
  uint64_t left() const { return left_; }           // at the last count

 private:
  std::optional<NextOrder> counted(const OrderProgress& progress, MonoNs now);
  std::optional<NextOrder> round_over(const OrderProgress& progress, MonoNs now, UnixUs unix_us);
  NextOrder count(MonoNs now);
  NextOrder refuse_all(MonoNs now);
  NextOrder finish();
  bool overdue(MonoNs now) const;
  void enter(Stage stage, MonoNs now);

  int64_t timeout_s_;
  ReplayRegions regions_;
  Stage stage_ = Stage::done;
  MonoNs since_ = 0;
  MonoNs wait_ns_ = 0;
  uint32_t round_ = 0;
  ReplayPlan plan_;
  uint64_t events_ = 0, sent_ = 0, left_ = 0;
};

std::string_view name(ReplayRun::Stage stage);

}  // namespace lf::resilience
