// SPDX-License-Identifier: Apache-2.0
// Which organisations the rules in force can allow or hold nothing of, whatever they send. For
// xdp.push, which then drops their packets in the driver. Remembers the answer for each version, as
// versions never change, and looks at few organisations a tick. Thread: control.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "control/policy/engine.hpp"

namespace lf::policy {

// Whether no input of the organisation can be allowed or held. May say no where that is so, never
// yes where it is not: conditions on anything but the organisation count as if they could be met.
bool denies_all_of(const RuleSet& rules, uint32_t org_id);

class DeniedOrgs {
 public:
  void begin_tick() { looks_left_ = kLooksPerTick; }
  // No, until there was time to look.
  bool contains(Engine& engine, uint32_t org_id);

 private:
  static constexpr uint32_t kLooksPerTick = 16;
  struct Known {
    uint32_t version = 0;
    bool denied = false;
  };
  std::unordered_map<uint32_t, Known> known_;  // by organisation
  uint32_t looks_left_ = 0;
};

}  // namespace lf::policy
