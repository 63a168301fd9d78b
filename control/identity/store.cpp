// SPDX-License-Identifier: Apache-2.0
#include "control/identity/store.hpp"

#include <algorithm>

#include "control/policy/rules.hpp"

namespace lf::identity {
namespace {

constexpr uint8_t kMfaMax = 9;
constexpr size_t kChangedMax = 4096;  // more changes: building anew is cheaper

template <typename Entry>
std::vector<Entry> picked(const std::vector<Entry>& entries, const std::vector<size_t>& places) {
  std::vector<Entry> out;
  out.reserve(places.size());
  for (const size_t p : places) out.push_back(entries[p]);
  return out;
}

}  // namespace

template <typename Entry>
void Store::Rows<Entry>::put(Entry entry, bool manual) {
  const auto [it, added] = index.emplace(entry.id, entries.size());
  if (added) {
    entries.push_back(std::move(entry));
    by_hand.push_back(manual);
  } else {
    if (by_hand[it->second] && !manual) return;
    entries[it->second] = std::move(entry);
    by_hand[it->second] = manual;
  }
  if (rebuild) return;
  changed.push_back(it->second);
  rebuild = changed.size() > kChangedMax;
}

template <typename Entry>
void Store::Rows<Entry>::keep_manual() {
  Rows kept;
  for (size_t i = 0; i < entries.size(); ++i)
    if (by_hand[i]) kept.put(std::move(entries[i]), true);
  *this = std::move(kept);
}

Store::Store(policy::Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

Result<OperatorEntry> Store::entry_of(const config::Operator& o) const {
  OperatorEntry e;
  e.id = o.id;
  const auto bits = policy::role_bits(vocabulary_, o.roles);
  if (!bits) return tl::unexpected(bits.error());
  e.role_bits = *bits;
  e.clearance = static_cast<uint8_t>(policy::operator_clearance(o.roles));
  if (o.mfa_level > kMfaMax)
    return fail(ErrorCode::invalid, "operator {}: MFA level {} is above {}", o.id, o.mfa_level,
                kMfaMax);
  e.mfa_level = o.mfa_level;
  if (o.mfa_expires_us < 0)
    return fail(ErrorCode::invalid, "operator {}: MFA expires before 1970", o.id);
  // An expiry inside the second that it names counts as that second's beginning: the safe side.
  const int64_t expires_s = std::min<int64_t>(o.mfa_expires_us / 1'000'000, UINT32_MAX);
  e.mfa_expires_s =
      o.mfa_expires_us == 0 ? 0 : static_cast<uint32_t>(std::max<int64_t>(1, expires_s));
  e.every_org = o.organisations.empty();
  for (const std::string& name : o.organisations) {
    const auto it = vocabulary_.orgs.find(name);
    if (it == vocabulary_.orgs.end())
      return fail(ErrorCode::not_found, "operator {}: unknown organisation '{}'", o.id, name);
    e.org_ids.push_back(it->second);
  }
  return e;
}

Result<TargetEntry> Store::entry_of(const config::Target& t) const {
  if (!(t.risk >= 0 && t.risk <= 100))
    return fail(ErrorCode::invalid, "target {}: risk {} is outside 0..100", t.id, t.risk);
  const auto group = vocabulary_.groups.intern(t.group.empty() ? "none" : t.group);
  if (!group) return tl::unexpected(group.error());
  return TargetEntry{t.id, policy::risk_to_centi(t.risk), static_cast<uint16_t>(*group),
                     t.comms_degraded};
}

Result<Store::Configured> Store::read(const config::Config& config) const {
  std::vector<config::Operator> operators = config.operators;
  std::vector<config::Target> targets = config.targets;
  if (!config.policy.operators_file.empty()) {
    auto more = read_operators(config.policy.operators_file);
    if (!more) return tl::unexpected(std::move(more.error()));
    operators.insert(operators.end(), std::make_move_iterator(more->begin()),
                     std::make_move_iterator(more->end()));
  }
  if (!config.policy.targets_file.empty()) {
    auto more = read_targets(config.policy.targets_file);
    if (!more) return tl::unexpected(std::move(more.error()));
    targets.insert(targets.end(), std::make_move_iterator(more->begin()),
                   std::make_move_iterator(more->end()));
  }
  Configured rows;
  for (const config::Operator& o : operators) {
    auto e = entry_of(o);
    if (!e) return tl::unexpected(std::move(e.error()));
    rows.operators.push_back(std::move(*e));
  }
  for (const config::Target& t : targets) {
    auto e = entry_of(t);
    if (!e) return tl::unexpected(std::move(e.error()));
    rows.targets.push_back(*e);
  }
  return rows;
}

void Store::take(Configured&& rows, const OrgIndexes& orgs) {
  orgs_ = orgs;
  operators_.keep_manual();
  targets_.keep_manual();
  for (OperatorEntry& e : rows.operators) operators_.put(std::move(e), false);
  for (const TargetEntry& e : rows.targets) targets_.put(e, false);
  operators_.rebuild = targets_.rebuild = true;
}

Result<void> Store::set_operator(const config::Operator& o) {
  auto entry = entry_of(o);
  if (!entry) return tl::unexpected(std::move(entry.error()));
  operators_.put(std::move(*entry), true);
  return {};
}

Result<void> Store::set_target(const config::Target& t) {
  auto entry = entry_of(t);
  if (!entry) return tl::unexpected(std::move(entry.error()));
  targets_.put(*entry, true);
  return {};
}

const OperatorEntry* Store::find_operator(uint32_t id) const {
  const auto it = operators_.index.find(id);
  return it == operators_.index.end() ? nullptr : &operators_.entries[it->second];
}

const TargetEntry* Store::find_target(uint32_t id) const {
  const auto it = targets_.index.find(id);
  return it == targets_.index.end() ? nullptr : &targets_.entries[it->second];
}

Table Store::tables() {
  if (!operators_.rebuild && !operators_.changed.empty()) {
    auto next =
        with_operators(*tables_.operators, picked(operators_.entries, operators_.changed), orgs_);
    operators_.rebuild = !next;
    if (next) tables_.operators = std::move(next);
  }
  if (operators_.rebuild) tables_.operators = build_operators(operators_.entries, orgs_);
  if (!targets_.rebuild && !targets_.changed.empty()) {
    auto next = with_targets(*tables_.targets, picked(targets_.entries, targets_.changed));
    targets_.rebuild = !next;
    if (next) tables_.targets = std::move(next);
  }
  if (targets_.rebuild) tables_.targets = build_targets(targets_.entries);
  operators_.rebuild = targets_.rebuild = false;
  operators_.changed.clear();
  targets_.changed.clear();
  return tables_;
}

}  // namespace lf::identity
