// SPDX-License-Identifier: Apache-2.0
// The engine's part about which version is active for whom: gradual activation, confirmation,
// rollback. The history of activations is a stack: rolling back takes the newest off.
#include <sodium.h>

#include <algorithm>
#include <cmath>

#include "control/policy/engine.hpp"

namespace lf::policy {
namespace {

// The same for an organisation whatever the version and the percentage: whoever is in at 10 % is
// in at 20 % too.
double share_of(const std::string& key, uint32_t org_id) {
  uint64_t hash = 0;
  crypto_shorthash(reinterpret_cast<unsigned char*>(&hash),
                   reinterpret_cast<const unsigned char*>(&org_id), sizeof(org_id),
                   reinterpret_cast<const unsigned char*>(key.data()));
  return static_cast<double>(hash >> 11) * 0x1.0p-53 * 100;
}

}  // namespace

bool Engine::is_candidate_org(const Activation& a, uint32_t org_id) const {
  if (a.candidate == 0) return false;
  if (!a.org_ids.empty())
    return std::find(a.org_ids.begin(), a.org_ids.end(), org_id) != a.org_ids.end();
  return share_of(store_->key(), org_id) < a.percent;
}

uint32_t Engine::version_of(uint32_t org_id) const {
  const bool configured = org_indexes_.count(org_id) > 0;
  return configured && is_candidate_org(active_, org_id) ? active_.candidate : active_.base;
}

Result<Activation> Engine::activate(const ActivateRequest& request) {
  if (!(request.percent >= 0 && request.percent <= 100))
    return fail(ErrorCode::invalid, "percent {} is outside 0..100", request.percent);
  if (auto v = loaded(request.version); !v) return tl::unexpected(std::move(v.error()));
  Activation next;
  next.base = active_.base;
  next.percent = request.percent;
  next.author = request.author;
  for (const std::string& name : request.organisations) {
    const auto it = vocabulary_.orgs.find(name);
    if (it == vocabulary_.orgs.end())
      return fail(ErrorCode::not_found, "unknown organisation '{}'", name);
    next.org_ids.push_back(it->second);
  }
  const bool everybody = request.organisations.empty() && request.percent >= 100;
  if (everybody || active_.base == 0) {
    if (!everybody)
      return fail(ErrorCode::conflict, "there is no version for the other organisations yet");
    next.base = request.version;
  } else if (request.version != active_.base && (request.percent > 0 || !next.org_ids.empty())) {
    next.candidate = request.version;
  }
  if (request.confirm_s > 0) {
    if (active_.base == 0) return fail(ErrorCode::conflict, "there is nothing to fall back to");
    next.confirm_by_us = clock_.unix_us() + int64_t{request.confirm_s} * 1'000'000;
  }
  return apply(std::move(next), "activate");
}

Result<Activation> Engine::apply(Activation next, const char* kind) {
  // What does not compile is refused before it is active anywhere. A large set compiles on a
  // helper; the limits that can refuse it were checked when it was first compiled or will show
  // then: workers keep what they have.
  for (const uint32_t version : {next.base, next.candidate}) {
    if (version == 0) continue;
    if (auto v = loaded(version); !v) return tl::unexpected(std::move(v.error()));
    LoadedVersion& v = loaded_[version];
    if (v.program) continue;
    if (!v.compiling.valid()) start_compiling(v);
    if (v.compiling.wait_for(std::chrono::seconds(0)) != std::future_status::ready) continue;
    auto program = v.compiling.get();
    if (!program) return tl::unexpected(std::move(program.error()));
    v.program = std::move(*program);
    v.patterns = v.program->patterns;
  }
  next.kind = kind;
  next.at_us = clock_.unix_us();
  if (auto saved = store_->add_activation(next); !saved)
    return tl::unexpected(std::move(saved.error()));
  active_ = next;
  table_stale_ = true;
  if (on_activation_) on_activation_(active_);
  return active_;
}

Result<Activation> Engine::rollback(const std::string& author) {
  auto history = store_->activations();
  if (!history) return tl::unexpected(std::move(history.error()));
  if (history->size() < 2)
    return fail(ErrorCode::conflict, "there is no earlier activation to roll back to");
  Activation next = (*history)[history->size() - 2];
  for (const uint32_t version : {next.base, next.candidate}) {
    if (version == 0) continue;
    if (auto v = loaded(version); !v) return tl::unexpected(std::move(v.error()));
    LoadedVersion& v = loaded_[version];
    if (!v.program && !v.compiling.valid()) start_compiling(v);
  }
  if (auto popped = store_->pop_activation(); !popped)
    return tl::unexpected(std::move(popped.error()));
  // What it falls back to was in force before: it needs no confirmation any more.
  next.confirm_by_us = 0;
  active_ = next;
  table_stale_ = true;
  Activation event = active_;
  event.kind = "rollback";
  event.author = author;
  event.at_us = clock_.unix_us();
  if (on_activation_) on_activation_(event);
  return event;
}

Result<Activation> Engine::confirm(const std::string& author) {
  if (active_.confirm_by_us == 0)
    return fail(ErrorCode::conflict, "the active version waits for no confirmation");
  Activation next = active_;
  next.confirm_by_us = 0;
  next.author = author;
  if (auto popped = store_->pop_activation(); !popped)
    return tl::unexpected(std::move(popped.error()));
  return apply(std::move(next), "confirm");
}

void Engine::tick() {
  for (auto& [number, version] : loaded_)
    if (version.compiling.valid() && ready(version, false)) table_stale_ = true;
  if (active_.confirm_by_us != 0 && clock_.unix_us() >= active_.confirm_by_us)
    if (!rollback("nobody confirmed")) active_.confirm_by_us = 0;
}

}  // namespace lf::policy
