// SPDX-License-Identifier: Apache-2.0
// From YAML text to a Config, whole or not at all. Called by the daemon at start and on reload,
// by `latticeforge --check` and by tests, on any thread; reads only the file and the key files it
// names. Every mistake is reported, each as "file:line:column: key: what is wrong".
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "control/base/result.hpp"
#include "control/config/config.hpp"

namespace lf::config {

using Loaded = tl::expected<Config, std::vector<Error>>;

Loaded load(const std::string& path);
// `path` is for messages and for relative key files.
Loaded parse(const std::string& text, const std::string& path);

// All errors, one a line.
std::string to_text(const std::vector<Error>& errors);

}  // namespace lf::config
