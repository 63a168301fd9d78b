// SPDX-License-Identifier: Apache-2.0
// Gives a compiled program its short way (dataplane/policy/sums.hpp), if its dimensions allow it.
#pragma once

#include "dataplane/policy/table.hpp"

namespace lf::policy {

void add_sums(Program& program);

}  // namespace lf::policy
