// SPDX-License-Identifier: Apache-2.0
// What keys a configuration may have, as the loader itself sees it: for the test that keeps
// docs/configuration.md true.
#pragma once

#include <string>
#include <vector>

#include "control/config/reader.hpp"

namespace lf::config {

// Keys that the loader asks for while it reads `text`, in its order: path, type and range, default.
// Keys inside a list or map are seen when the text has at least one entry of it.
std::vector<KeyInfo> known_keys(const std::string& text);

}  // namespace lf::config
