// SPDX-License-Identifier: Apache-2.0
// The plain functions behind the policy: authorization, risk gate, compliance tags, dual control.
// They are the reference that the shipped rule set reproduces, and the "functions" path of
// policy.evaluate and compare mode. Live decisions come from the engine
// (control/policy/engine.hpp), which offers the same signatures. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lf::policy {

inline constexpr int kSeverityMin = 1;
inline constexpr int kSeverityMax = 5;
inline constexpr int kOtherIntentClearance = 3;  // of an intent that nobody configured

struct IntentSpec {
  std::string name;
  uint8_t code = 0;
  uint8_t clearance = kOtherIntentClearance;
};

// The five intents that the product knows without configuration.
std::span<const IntentSpec> default_intents();

// Roles that give clearance, in the order of their bits in an operator's role set.
struct RoleSpec {
  std::string_view name;
  int clearance;
};
std::span<const RoleSpec> clearance_roles();
int role_clearance(std::string_view role);                   // unknown: 0
int operator_clearance(std::span<const std::string> roles);  // the highest; none: 0

struct Operator {
  std::string id;
  std::vector<std::string> roles;
  int mfa_level = 0;
};

struct TargetState {  // of the satellite that a command is for
  double temperature_c = 0;
  double fuel_kg = 0;
};

struct GateRequest {
  double risk = 0;
  bool comms_degraded = false;
  int operator_clearance = 0;
  int required_clearance = 3;
  bool manual_override = false;
};

struct GateDecision {
  double risk = 0;
  bool hold = false;
  bool approved = false;
  std::vector<std::string> reasons;
};

namespace functions {

// required = max(intent's clearance, severity clamped to 1..5); from 4 on MFA level 2 is needed.
bool authorize(int clearance, int mfa_level, int intent_clearance, int severity);
bool authorize_intent(const Operator& who, std::string_view intent, int severity);

double evaluate_risk(const TargetState& target, std::span<const double> burns_delta_v,
                     std::span<const int> incident_severities);
bool requires_hold(double risk, bool comms_degraded);
std::vector<std::string> compliance_tags(double risk);
GateDecision evaluate_policy_gate(const GateRequest& request);
// Approvals are approvers' names; the same name counts once.
bool enforce_dual_control(const GateDecision& decision, std::span<const std::string> approvals);
int required_approvals(double risk);
std::string_view escalation_band(double risk, bool hold);

}  // namespace functions

// Rounds to 4 decimals as decimal arithmetic on the exact binary value does, half to even.
double round4(double value);

}  // namespace lf::policy
