// SPDX-License-Identifier: Apache-2.0
// The names that rules may use and the numbers that packets, tables and audit records carry for
// them. Numbers of roles and groups are given out once and never change (the store keeps them), so
// old audit records keep their meaning. Control thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "control/base/result.hpp"
#include "control/policy/functions.hpp"

namespace lf::config {
struct Config;
}

namespace lf::policy {

inline constexpr uint32_t kRolesMax = 24;     // bits that an operator's table entry has for roles
inline constexpr uint32_t kGroupsMax = 4096;  // target groups, the empty one included

// An append-only list of names; a name's number is its place.
class Names {
 public:
  Names(std::string_view what, uint32_t limit) : what_(what), limit_(limit) {}

  std::optional<uint32_t> find(std::string_view name) const;
  Result<uint32_t> intern(std::string_view name);
  const std::vector<std::string>& all() const { return names_; }

 private:
  std::string what_;  // for messages
  uint32_t limit_;
  std::vector<std::string> names_;
};

struct Vocabulary {
  Vocabulary();  // default intents, the six roles, group 0 "none", no organisation

  std::vector<IntentSpec> intents;
  std::unordered_map<std::string, uint32_t> orgs;  // name -> org id on the wire
  Names roles{"role", kRolesMax};
  Names groups{"target group", kGroupsMax};

  const IntentSpec* intent(std::string_view name) const;
  const IntentSpec* intent(uint8_t code) const;
  uint8_t intent_clearance(uint8_t code) const;  // kOtherIntentClearance when not configured
  uint8_t unconfigured_code() const;             // a code that stands for "any other intent"
  std::string org_name(uint32_t id) const;       // its number as text when not configured
  std::string intent_name(uint8_t code) const;   // "other-N" when not configured
  std::vector<std::string> role_names(uint32_t bits) const;

  // Takes intents and organisations from the configuration; roles and groups stay.
  void configure(const config::Config& config);
};

// Bits of the roles in the list; interns those that are new.
Result<uint32_t> role_bits(Vocabulary& vocabulary, const std::vector<std::string>& roles);
// The highest clearance that the roles in the set give.
int clearance_of_bits(uint32_t role_bits);

}  // namespace lf::policy
