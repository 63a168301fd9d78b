// SPDX-License-Identifier: Apache-2.0
// Builds the authenticate Table of a configuration: expands keys, draws a hash until the map is
// shallow. Thread: control, or a helper of it. Changes nothing but its result.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "control/forward/slots.hpp"
#include "dataplane/authenticate/table.hpp"

namespace lf::authenticate {

// Gives 64 random bits; tests bring their own.
using Random = std::function<uint64_t()>;

// `slots` is synced with the configuration; without it numbers are positions in the configuration.
// An organisation's first key is its current one. Errors: more than kKeysMax keys, a key id or an
// organisation id twice, more than kOrgsMax organisations.
Result<std::shared_ptr<const Table>> build_table(const config::Config& config);
Result<std::shared_ptr<const Table>> build_table(const config::Config& config,
                                                 const forward::Slots& slots);
Result<std::shared_ptr<const Table>> build_table(const config::Config& config,
                                                 const forward::Slots& slots, const Random& random);

}  // namespace lf::authenticate
