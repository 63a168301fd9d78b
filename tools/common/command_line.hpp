// SPDX-License-Identifier: Apache-2.0
// What every tool does with its command line once its options are added. Errors are said on
// standard error; what comes back is the status to exit with.
#pragma once

#include <CLI/CLI.hpp>
#include <tl/expected.hpp>

#include "control/base/result.hpp"

namespace lf::tools {

// 0: the user asked for help; 2: not understood.
tl::expected<void, int> parse_command_line(CLI::App& app, int argc, char** argv);
// For what the parser could not see.
tl::unexpected<int> refuse(const CLI::App& app, const Error& error);

}  // namespace lf::tools
