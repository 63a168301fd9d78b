// SPDX-License-Identifier: Apache-2.0
// Builds the table of organisations' prefixes from the configuration. The EAL runs. Thread:
// control.
#pragma once

#include <memory>

#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "control/forward/slots.hpp"
#include "dataplane/flow/organisations.hpp"

namespace lf::flow {

// Null where no organisation has a prefix.
Result<std::shared_ptr<const Organisations>> build_organisations(const config::Config& config,
                                                                 const forward::Slots& slots);

}  // namespace lf::flow
