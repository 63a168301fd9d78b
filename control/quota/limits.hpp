// SPDX-License-Identifier: Apache-2.0
// From the configuration's quotas to the limits of a Table. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "control/config/config.hpp"
#include "control/forward/slots.hpp"
#include "dataplane/quota/table.hpp"

namespace lf::quota {

inline constexpr std::string_view kOtherIntentName = "other";  // of kOtherIntent

// kUnlimited for a quota without a limit; more than kLimitMax is taken as kLimitMax.
Limit limit_of(const config::Quota& quota);

// All limits of a configuration, tiers and delays. An intent's limit is the organisation's own
// for it, or else the intent's default. Indices without an owner get kUncounted.
Table table_of(const config::Config& config, const forward::Slots& slots, uint32_t workers,
               uint64_t tsc_hz);

// Keys that have a limit.
uint64_t count_limited(const config::Config& config);

}  // namespace lf::quota
