// SPDX-License-Identifier: Apache-2.0
// The rule set that ships: docs/examples/policy/default.yaml, built in.
#pragma once

#include <string_view>

namespace lf::policy {

extern const std::string_view kDefaultRules;

}  // namespace lf::policy
