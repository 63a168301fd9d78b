// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/board.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace lf::resilience {
namespace {

constexpr MonoNs kMs = 1'000'000;
constexpr MonoNs kTrialSlack = 100 * kMs;

forward::BreakerFlag flag(BreakerState state) {
  switch (state) {
    case BreakerState::open:
      return forward::BreakerFlag::open;
    case BreakerState::half_open:
      return forward::BreakerFlag::half_open;
    case BreakerState::closed:
      break;
  }
  return forward::BreakerFlag::closed;
}

}  // namespace

BreakerSettings breaker_settings(const config::Breaker& b, uint32_t service_timeout_ms) {
  BreakerSettings s;
  s.failures = b.failures;
  s.window_ns = b.window_s * 1000 * kMs;
  s.failure_rate = b.failure_rate;
  s.slow_rate = b.slow_rate;
  s.min_calls = b.min_calls;
  s.open_ns = b.open_ms * kMs;
  s.open_max_ns = b.open_max_ms * kMs;
  s.jitter = b.jitter;
  s.trials = b.trials;
  s.trial_timeout_ns = 2 * service_timeout_ms * kMs + kTrialSlack;
  return s;
}

std::vector<BoardNode> board_nodes(const config::Config& config, const forward::Slots& slots) {
  std::vector<BoardNode> nodes;
  for (const config::Service& service : config.services)
    for (const config::Node& node : service.nodes) {
      const auto place = slots.nodes.find(forward::node_key(service.name, node.name));
      if (!place) continue;
      nodes.push_back({service.name, node.name, node.id, static_cast<NodeSlot>(place->index),
                       place->epoch, breaker_settings(service.breaker, service.timeout_ms)});
    }
  return nodes;
}

BreakerBoard::BreakerBoard(forward::NodeLive& live, std::vector<const NodeStats*> workers,
                           uint64_t seed)
    : live_(live),
      workers_(std::move(workers)),
      seed_(seed),
      entries_(kNodesMax),
      seen_(kNodesMax * workers_.size()) {}

void BreakerBoard::start(const BoardNode& node) {
  Entry& entry = entries_[node.slot];
  // A new epoch: what is still in flight to the slot's last owner does not count.
  const auto epoch = static_cast<uint16_t>(live_.breaker(node.slot).epoch + 1);
  entry.breaker =
      std::make_unique<Breaker>(node.settings, seed_ ^ (node.slot * 0x9e3779b97f4a7c15), epoch);
  entry.slot_epoch = node.slot_epoch;
  entry.own_failures = 0;
  for (size_t w = 0; w < workers_.size(); ++w)
    seen_[node.slot * workers_.size() + w].slow = workers_[w][node.slot].slow.read();
  publish(node.slot, *entry.breaker);
}

void BreakerBoard::retire(NodeSlot slot) {
  Entry& entry = entries_[slot];
  entry.breaker.reset();
  const auto epoch = static_cast<uint16_t>(live_.breaker(slot).epoch + 1);
  live_.set_breaker(slot, {forward::BreakerFlag::closed, epoch, 0});
}

void BreakerBoard::configure(std::vector<BoardNode> nodes) {
  std::vector<bool> stays(kNodesMax, false);
  for (const BoardNode& node : nodes) {
    Entry& entry = entries_[node.slot];
    stays[node.slot] = true;
    if (entry.breaker && entry.slot_epoch == node.slot_epoch)
      entry.breaker->configure(node.settings);
    else
      start(node);
  }
  for (const BoardNode& node : nodes_)
    if (!stays[node.slot]) retire(node.slot);
  nodes_ = std::move(nodes);
}

// Differences to what was seen last, over all workers. Counts of another epoch are left out.
CallResults BreakerBoard::collect(NodeSlot slot, const Breaker& breaker) {
  CallResults sum;
  Seen* seen = seen_.data() + slot * workers_.size();
  const bool wants_slow = breaker.settings().slow_rate > 0;
  for (const NodeStats* worker : workers_) {
    Seen& last = *seen++;
    const NodeStats& stats = worker[slot];
    const auto word = OutcomeWord::unpack(stats.outcomes_in_epoch.load(std::memory_order_relaxed));
    if (word.epoch == breaker.epoch()) {
      if (last.word.epoch != word.epoch) last.word = {word.epoch, 0, 0};
      sum.ok += (word.ok - last.word.ok) & OutcomeWord::kMask;
      sum.failed += (word.failed - last.word.failed) & OutcomeWord::kMask;
      last.word = word;
    }
    if (!wants_slow) continue;
    const uint64_t slow = stats.slow.read();
    // Slow replies have no epoch; half-open must not be judged by those of commands before it.
    if (breaker.state() == BreakerState::closed) sum.slow += slow - last.slow;
    last.slow = slow;
  }
  return sum;
}

void BreakerBoard::publish(NodeSlot slot, const Breaker& breaker) {
  live_.set_breaker(slot, {flag(breaker.state()), breaker.epoch(), breaker.trials_left()});
}

std::span<const BoardTransition> BreakerBoard::tick(MonoNs now) {
  transitions_ = std::exchange(pending_, {});
  for (const BoardNode& node : nodes_) {
    Entry& entry = entries_[node.slot];
    Breaker& breaker = *entry.breaker;
    CallResults results = collect(node.slot, breaker);
    results.failed += std::exchange(entry.own_failures, 0);
    if (const auto t = breaker.record(results, breaker.epoch(), now)) {
      publish(node.slot, breaker);
      transitions_.push_back({node.slot, *t});
    } else if (breaker.state() == BreakerState::half_open) {
      breaker.trials_taken(breaker.trials() - live_.breaker(node.slot).trials);
    }
  }
  return transitions_;
}

void BreakerBoard::by_operator(NodeSlot slot, const std::optional<BreakerTransition>& transition) {
  if (!transition) return;
  publish(slot, *entries_[slot].breaker);
  pending_.push_back({slot, *transition});
}

bool BreakerBoard::trip(NodeSlot slot, MonoNs now) {
  Breaker* b = breaker(slot);
  if (b) by_operator(slot, b->trip(now));
  return b != nullptr;
}

bool BreakerBoard::reset(NodeSlot slot, MonoNs now) {
  Breaker* b = breaker(slot);
  if (b) by_operator(slot, b->reset(now));
  return b != nullptr;
}

void BreakerBoard::add_failures(NodeSlot slot, uint32_t failures) {
  if (slot < entries_.size() && entries_[slot].breaker) entries_[slot].own_failures += failures;
}

Result<NodeSlot> BreakerBoard::find(std::string_view node) const {
  uint32_t id = 0;
  const auto* end = node.data() + node.size();
  const auto number = std::from_chars(node.data(), end, id);
  const bool is_number = !node.empty() && number.ec == std::errc{} && number.ptr == end;
  NodeSlot found = kNoNode;
  for (const BoardNode& n : nodes_) {
    if (n.service + '/' + n.name == node) return n.slot;
    if (n.name != node && !(is_number && n.id == id)) continue;
    if (found != kNoNode)
      return fail(ErrorCode::invalid, "node '{}': several have that name; say service/node", node);
    found = n.slot;
  }
  if (found == kNoNode) return fail(ErrorCode::not_found, "node '{}' is not configured", node);
  return found;
}

Breaker* BreakerBoard::breaker(NodeSlot slot) {
  return slot < entries_.size() ? entries_[slot].breaker.get() : nullptr;
}

BreakerState BreakerBoard::state(NodeSlot slot) const {
  if (slot >= entries_.size() || !entries_[slot].breaker) return BreakerState::closed;
  return entries_[slot].breaker->state();
}

}  // namespace lf::resilience
