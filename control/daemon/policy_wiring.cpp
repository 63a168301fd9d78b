// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/policy_wiring.hpp"

#include <spdlog/spdlog.h>

#include "control/audit/commands.hpp"
#include "dataplane/core/hold_end.hpp"

namespace lf::daemon {
namespace {

constexpr size_t kWaitingMax = 4096;

uint8_t drop_outcomes(const config::Audit& audit) {
  const auto bit = [](bool set, PolicyOutcome outcome) {
    return static_cast<uint32_t>(set) << static_cast<uint32_t>(outcome);
  };
  if (!audit.enabled) return 0;
  return static_cast<uint8_t>(bit(audit.on_overflow.allow, PolicyOutcome::allow) |
                              bit(audit.on_overflow.deny, PolicyOutcome::deny) |
                              bit(audit.on_overflow.hold, PolicyOutcome::hold));
}

}  // namespace

PolicyWiring::PolicyWiring(const config::Config& config, policy::Engine& engine, const Clock& clock)
    : audit_enabled_(config.audit.enabled),
      audit_drop_outcomes_(drop_outcomes(config.audit)),
      engine_(engine),
      compare_(engine),
      context_{engine, compare_, clock, config.audit.enabled ? config.audit.directory : ""},
      hold_(
          engine, clock, {config.hold.packets, false},
          [this](hold::End how, const hold::Held& held) { ended(how, held); },
          [this](const audit::Record& event) { collector_->add_event(event); }) {
  for (uint32_t w = 0; w < config.dataplane.workers; ++w) {
    rings_.push_back(std::make_unique<audit::Ring>(config.audit.ring_records));
    rings_.back()->set_enabled(audit_enabled_);
    ring_views_.push_back(rings_.back().get());
  }
}

Result<std::unique_ptr<PolicyWiring>> PolicyWiring::create(const config::Config& config,
                                                           policy::Engine& engine,
                                                           const Clock& clock) {
  std::unique_ptr<PolicyWiring> w(new PolicyWiring(config, engine, clock));
  audit::Collector::Options options;
  if (config.audit.enabled) options.directory = config.audit.directory;
  options.limits = {config.audit.segment_mb << 20, config.audit.keep_mb << 20};
  auto collector = audit::Collector::create(options, w->ring_views_, clock);
  if (!collector) return tl::unexpected(std::move(collector.error()));
  w->collector_ = std::move(*collector);
  w->collector_->set_tap(
      [raw = w.get()](std::span<const audit::Record> records) { raw->compare_.offer(records); });
  // What is active from the start is an event like every later activation.
  w->collector_->add_event(audit::activation_record(engine.active()));
  engine.on_activation([raw = w.get()](const policy::Activation& a) {
    raw->collector_->add_event(audit::activation_record(a));
    spdlog::info("policy: {} version {}{} by {}", a.kind, a.base,
                 a.candidate ? fmt::format(", candidate {}", a.candidate) : "", a.author);
  });
  w->collector_->start();
  return w;
}

PolicyWiring::~PolicyWiring() {
  engine_.on_activation({});
  collector_.reset();
}

std::vector<rpc::Command> PolicyWiring::commands(std::function<void()> changed) {
  std::vector<rpc::Command> all = policy::commands(context_);
  for (rpc::Command& command : all) {
    if (!command.mutates) continue;
    command.handler = [handler = command.handler, changed](const rpc::Json& params) {
      auto result = handler(params);
      if (result) changed();
      return result;
    };
  }
  for (auto part :
       {audit::commands(engine_, collector_.get(), context_.audit_directory), hold_.commands()})
    for (rpc::Command& command : part) all.push_back(std::move(command));
  return all;
}

void PolicyWiring::held(const Note& note, std::span<const uint8_t> frame) {
  if (!hold_.held(note.meta, frame)) inject_again(frame, note.meta.in_port, kHoldFull);
}

void PolicyWiring::approval(const Note& note) {
  if (!note.meta.authenticated) return;
  const hold::Approval result = hold_.approval(note.meta);
  if (result == hold::Approval::unknown || result == hold::Approval::not_allowed)
    spdlog::debug("approval by operator {} of organisation {} does not count",
                  note.meta.operator_id, note.meta.org_id);
}

void PolicyWiring::ended(hold::End how, const hold::Held& held) {
  const Origin origin = how == hold::End::released  ? Origin::released
                        : how == hold::End::refused ? kHoldRefused
                                                    : kHoldExpired;
  inject_again(held.command.frame, held.command.in_port, origin);
}

void PolicyWiring::inject_again(std::span<const uint8_t> frame, uint8_t in_port, Origin origin) {
  Meta meta;
  meta.in_port = in_port;
  meta.origin = origin;
  if (waiting_.empty() && inject_ && inject_(frame, meta)) return;
  if (waiting_.size() >= kWaitingMax) {
    spdlog::error("a command that was held is lost: {} others wait for room", waiting_.size());
    return;
  }
  waiting_.push_back({{frame.begin(), frame.end()}, meta});
}

void PolicyWiring::tick() {
  hold_.tick();
  while (!waiting_.empty() && inject_(waiting_.front().frame, waiting_.front().meta))
    waiting_.pop_front();
  compare_.tick();
  const bool wanted = audit_enabled_ || compare_.running();
  for (audit::Ring* ring : ring_views_)
    if (ring->enabled() != wanted) ring->set_enabled(wanted);
}

void PolicyWiring::finish() {
  collector_->stop();
  collector_->flush();
}

}  // namespace lf::daemon
