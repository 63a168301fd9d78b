// SPDX-License-Identifier: Apache-2.0
// Runs a command line with a text on its standard input and waits for it, for a bounded time.
// Thread: any but the control thread (it waits). Does not fork: the daemon's memory is large and
// part of it is shared with devices, so the child comes from posix_spawn.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "control/base/result.hpp"

namespace lf::notify {

// environment: "NAME=value", added to the daemon's own. Fails unless the command exits with 0 in
// time; a command that does not is killed together with what it started.
Result<void> run_command(const std::string& command_line,
                         const std::vector<std::string>& environment, const std::string& input,
                         int timeout_ms, const std::atomic<bool>& stopping);

}  // namespace lf::notify
