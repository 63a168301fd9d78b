// SPDX-License-Identifier: Apache-2.0
#include "control/policy/compare.hpp"

#include <spdlog/spdlog.h>

#include "control/audit/query.hpp"

namespace lf::policy {
namespace {

constexpr size_t kQueueMax = 1u << 20;
constexpr size_t kExamplesMax = 1000;
constexpr uint64_t kLoggedMax = 100;

}  // namespace

Result<void> Compare::start(const CompareOptions& options, UnixUs now_us) {
  if (options.one_in == 0) return fail(ErrorCode::invalid, "sample must be above 0");
  if (options.version)
    if (auto v = engine_.loaded(*options.version); !v) return tl::unexpected(std::move(v.error()));
  const std::lock_guard lock(mutex_);
  report_ = {};
  report_.running = true;
  report_.options = options;
  report_.since_us = now_us;
  queue_.clear();
  offered_ = 0;
  return {};
}

void Compare::stop() {
  tick(SIZE_MAX);
  const std::lock_guard lock(mutex_);
  report_.running = false;
}

void Compare::offer(std::span<const audit::Record> records) {
  const std::lock_guard lock(mutex_);
  if (!report_.running) return;
  for (const audit::Record& r : records) {
    if (!audit::was_evaluated(r)) continue;
    if (offered_++ % report_.options.one_in != 0)
      ++report_.skipped;
    else if (queue_.size() >= kQueueMax)
      ++report_.dropped;
    else
      queue_.push_back(r);
  }
}

size_t Compare::tick(size_t limit) {
  std::deque<audit::Record> batch;
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() <= limit) {
      batch.swap(queue_);
    } else {
      const auto end = queue_.begin() + static_cast<ptrdiff_t>(limit);
      batch.assign(queue_.begin(), end);
      queue_.erase(queue_.begin(), end);
    }
  }
  for (const audit::Record& r : batch) compare(r);
  return batch.size();
}

Decision Compare::by_functions(const Inputs& in, const Vocabulary& vocabulary) {
  if (!functions::authorize(in.clearance, in.mfa_level, vocabulary.intent_clearance(in.intent),
                            in.severity))
    return {PolicyOutcome::deny, 0};
  const bool hold = functions::requires_hold(in.risk_centi / 100.0, in.comms_degraded);
  return {hold ? PolicyOutcome::hold : PolicyOutcome::allow, 0};
}

void Compare::compare(const audit::Record& record) {
  std::optional<uint32_t> version;
  {
    const std::lock_guard lock(mutex_);
    version = report_.options.version;
  }
  const Inputs inputs = audit::inputs_of(record);
  Decision other;
  if (version) {
    const auto answer = engine_.evaluate(inputs, *version);
    if (!answer) return;
    other = answer->decision;
  } else {
    other = by_functions(inputs, engine_.vocabulary());
  }
  const auto given = static_cast<PolicyOutcome>(record.outcome);
  const std::lock_guard lock(mutex_);
  ++report_.compared;
  if (other.outcome == given) {
    ++report_.agreed;
    return;
  }
  if (report_.disagreed++ < kLoggedMax)
    spdlog::warn(
        "compare: org {} operator {} intent {} severity {} clearance {} mfa {} risk {} comms {}: "
        "active version {} says {}, {} says {}",
        record.org_id, record.operator_id, record.intent, record.severity, inputs.clearance,
        inputs.mfa_level, inputs.risk_centi / 100.0, inputs.comms_degraded, record.policy_version,
        outcome_name(given), version ? fmt::format("version {}", *version) : "the functions",
        outcome_name(other.outcome));
  if (report_.examples.size() < kExamplesMax) report_.examples.push_back({record, other});
}

CompareReport Compare::report() const {
  const std::lock_guard lock(mutex_);
  return report_;
}

bool Compare::running() const {
  const std::lock_guard lock(mutex_);
  return report_.running;
}

}  // namespace lf::policy
