// SPDX-License-Identifier: Apache-2.0
// What differs between two configurations, by section: for a reload, which must say what it put in
// force and what waits for the next start. Pure.
#pragma once

#include <string>
#include <vector>

#include "control/config/config.hpp"

namespace lf::config {

// Names of the sections that differ, in the file's order.
std::vector<std::string> changed_sections(const Config& now, const Config& next);

}  // namespace lf::config
