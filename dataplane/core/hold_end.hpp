// SPDX-License-Identifier: Apache-2.0
// Further origins of injected commands: they were held by policy, and end. Control sends them
// through the pipeline once more so that they are counted, recorded and answered like any other;
// the policy stage refuses them under their own verdicts. Writer: control; reader: workers.
#pragma once

#include "dataplane/core/burst.hpp"

namespace lf {

inline constexpr Origin kHoldRefused =
    static_cast<Origin>(static_cast<uint8_t>(Origin::released) + 1);
inline constexpr Origin kHoldExpired =
    static_cast<Origin>(static_cast<uint8_t>(Origin::released) + 2);
inline constexpr Origin kHoldFull = static_cast<Origin>(static_cast<uint8_t>(Origin::released) + 3);

// Released or ended: policy is not asked again.
constexpr bool was_held(Origin origin) noexcept {
  return origin >= Origin::released && origin <= kHoldFull;
}

}  // namespace lf
