// SPDX-License-Identifier: Apache-2.0
#include "control/policy/vocabulary.hpp"

#include <algorithm>

#include "control/config/config.hpp"

namespace lf::policy {

std::optional<uint32_t> Names::find(std::string_view name) const {
  const auto it = std::find(names_.begin(), names_.end(), name);
  if (it == names_.end()) return std::nullopt;
  return static_cast<uint32_t>(it - names_.begin());
}

Result<uint32_t> Names::intern(std::string_view name) {
  if (const auto known = find(name)) return *known;
  if (names_.size() >= limit_)
    return fail(ErrorCode::conflict, "{} '{}': there are {} already, no more fit", what_, name,
                limit_);
  names_.emplace_back(name);
  return static_cast<uint32_t>(names_.size() - 1);
}

Vocabulary::Vocabulary() {
  intents.assign(default_intents().begin(), default_intents().end());
  for (const RoleSpec& role : clearance_roles()) (void)roles.intern(role.name);
  (void)groups.intern("none");
}

const IntentSpec* Vocabulary::intent(std::string_view name) const {
  for (const IntentSpec& i : intents)
    if (i.name == name) return &i;
  return nullptr;
}

const IntentSpec* Vocabulary::intent(uint8_t code) const {
  for (const IntentSpec& i : intents)
    if (i.code == code) return &i;
  return nullptr;
}

uint8_t Vocabulary::intent_clearance(uint8_t code) const {
  const IntentSpec* spec = intent(code);
  return spec ? spec->clearance : kOtherIntentClearance;
}

uint8_t Vocabulary::unconfigured_code() const {
  uint8_t code = 255;
  while (code > 0 && intent(code)) --code;
  return code;
}

std::string Vocabulary::org_name(uint32_t id) const {
  for (const auto& [name, org_id] : orgs)
    if (org_id == id) return name;
  return std::to_string(id);
}

std::string Vocabulary::intent_name(uint8_t code) const {
  const IntentSpec* spec = intent(code);
  return spec ? spec->name : "other-" + std::to_string(code);
}

std::vector<std::string> Vocabulary::role_names(uint32_t bits) const {
  std::vector<std::string> names;
  for (uint32_t b = 0; b < roles.all().size(); ++b)
    if (bits >> b & 1) names.push_back(roles.all()[b]);
  return names;
}

void Vocabulary::configure(const config::Config& config) {
  intents.clear();
  for (const config::Intent& i : config.intents) intents.push_back({i.name, i.code, i.clearance});
  if (intents.empty()) intents.assign(default_intents().begin(), default_intents().end());
  orgs.clear();
  for (const config::Organisation& o : config.organisations) orgs[o.name] = o.id;
}

Result<uint32_t> role_bits(Vocabulary& vocabulary, const std::vector<std::string>& roles) {
  uint32_t bits = 0;
  for (const std::string& role : roles) {
    const auto bit = vocabulary.roles.intern(role);
    if (!bit) return tl::unexpected(bit.error());
    bits |= 1u << *bit;
  }
  return bits;
}

int clearance_of_bits(uint32_t role_bits) {
  int best = 0;
  for (size_t b = 0; b < clearance_roles().size(); ++b)
    if (role_bits >> b & 1) best = std::max(best, clearance_roles()[b].clearance);
  return best;
}

}  // namespace lf::policy
