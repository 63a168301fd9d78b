// SPDX-License-Identifier: Apache-2.0
// From the configuration to what workers read about admission. Pure.
#pragma once

#include "control/config/config.hpp"
#include "dataplane/admission/table.hpp"

namespace lf::admission {

inline Table build_table(const config::Config& config) {
  const uint64_t limit = config.admission.hard_limit;
  return {.enabled = config.admission.enabled,
          .hard_limit = limit != 0 ? limit : config.ledger.entries};
}

}  // namespace lf::admission
