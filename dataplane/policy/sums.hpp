// SPDX-License-Identifier: Apache-2.0
// The short way of rule sets whose dimensions are all small, as most are: what a packet's values add
// up to leads to its row (group_small() in control/policy/compile.cpp). Tables of all dimensions
// stand at fixed places, so that one register is enough for them; a dimension that no rule speaks
// of adds nothing. Built by control/policy/sums.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/core/burst.hpp"

namespace lf::policy {

struct Sums {
  static constexpr uint32_t kRisks = 1u << 14;  // identity gives no greater ones
  // By Meta::levels (clearance and MFA level) and comms_degraded, which are neighbours.
  uint16_t levels_and_comms[512] = {};
  uint16_t severity[256] = {};
  uint16_t intent[256] = {};
  uint16_t risk[kRisks] = {};

  // Added up in 16 bits, as wide as the tables are: a step for each of them less.
  uint16_t of(const Meta& m) const noexcept {
    static_assert(offsetof(Meta, comms_degraded) == offsetof(Meta, levels) + 1);
    uint16_t both;
    std::memcpy(&both, &m.levels, sizeof both);
    uint16_t sum = levels_and_comms[both];
    sum = static_cast<uint16_t>(sum + severity[m.severity]);
    sum = static_cast<uint16_t>(sum + intent[m.intent]);
    return static_cast<uint16_t>(sum + risk[m.risk_centi]);
  }
};

}  // namespace lf::policy
